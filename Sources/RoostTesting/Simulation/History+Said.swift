import RoostModel

/// What the server says, checked as it is sent.
extension History {
    func granted(_ run: GrantRun, node: Int, life: Int, clientNeeds: (Int) -> Bool, at now: Instant) {
        guard let job = job(run.attempts.job) else { return fail(.notGranted, "a grant of an unknown job") }
        grants += run.arguments.count
        for offset in 0..<run.arguments.count {
            let task = run.attempts.tasks.first + UInt32(offset)
            guard Int(task) < job.attempts.count else {
                return fail(.argument, "a grant of a task that does not exist")
            }
            if Array(run.arguments[offset]) != job.plan.arguments[Int(task)] {
                fail(.argument, "job \(job.ordinal) task \(task) was granted with another argument")
            }
            if job.delivered[Int(task)] > 0 && job.rounds == 0 {
                fail(.runsAgain, "job \(job.ordinal) task \(task) is granted, and its client has its outcome")
            }
            if let last = job.attempts[Int(task)].last { checkSuccessor(run, of: Int(last), job, at: now) }
            checkLimits(job, task)
            job.attempts[Int(task)].append(Int32(attempts.count))
            openOfNode[node].append(attempts.count)
            attempts.append(
                Attempt(
                    job: job.ordinal, task: task, node: node, life: life, epoch: run.attempts.epoch,
                    instance: job.instance, number: run.attempts.number, granted: now))
        }
        checkRoom(node, clientNeeds: clientNeeds, at: now)
    }

    /// All that the node has been granted and not given an end of has room there at the same time; of a job whose
    /// tasks are granted ahead, one. Attempts of a job that the server may have forgotten do not count.
    private func checkRoom(_ node: Int, clientNeeds: (Int) -> Bool, at now: Instant) {
        openOfNode[node].removeAll { attempts[$0].isOver }
        var asked = Resources()
        var ahead: Set<Int> = []
        for index in openOfNode[node] where attempts[index].epoch == epoch {
            let job = jobs[attempts[index].job]
            guard attempts[index].instance == job.instance, isSurelyOpen(job, clientNeeds: clientNeeds, at: now)
            else { continue }
            if job.mayBeGrantedAhead && !ahead.insert(job.ordinal).inserted { continue }
            asked.add(job.plan.spec.request)
        }
        if let shortage = offers[node].shortage(for: asked) {
            fail(.overGranted, "what node-\(node) was granted \(shortage)")
        }
    }

    /// Whether the server must still have the job.
    func isSurelyOpen(_ job: Job, clientNeeds: (Int) -> Bool, at now: Instant) -> Bool {
        !job.isEndSaid && !job.wasOwnerAway && !job.isAbandoned && clientNeeds(job.owner) && !isAway(job.owner, at: now)
    }

    private func checkSuccessor(_ run: GrantRun, of last: Int, _ job: Job, at now: Instant) {
        let before = attempts[last]
        let isNewServer = !job.isDurable && (before.epoch != epoch || before.instance != job.instance)
        if (job.isDurable || before.epoch == run.attempts.epoch) && before.number >= run.attempts.number {
            fail(.fencing, "\(show(before)) is followed by number \(run.attempts.number)")
        }
        if !before.isOver || isNewServer {
            let silence = now - nodeHeard[before.node]
            let isDead = deadLife[before.node] >= before.life
            if isNewServer {
                if !isDead && !before.isExcused && silence < job.plan.spec.policy.lease { checkKept(before, job, at: now) }
                excuse(last)
            } else if isDead || silence >= job.plan.spec.policy.lease || wasMissedAfterRestart(before, job, at: now) {
                excuse(last)
            } else if before.mayBeOnDisk && before.end != nil && job.isDurable {
                excuse(last)
            } else {
                fail(.twoAttempts, "\(show(before)) is not over, and the task is granted again")
            }
        }
        if before.end == .succeeded && !attempts[last].isExcused && !before.isLost {
            fail(.runsAgain, "\(show(before)) succeeded, and the task is granted again")
        }
    }

    /// After a restart, nobody waits longer than the recovery window for a node that does not come back.
    func wasMissedAfterRestart(_ attempt: Attempt, _ job: Job, at now: Instant) -> Bool {
        attempt.epoch != epoch && met[attempt.node].epoch != epoch
            && now - serverStart >= min(recoveryWindow, job.plan.spec.policy.lease)
    }

    /// A server that forgot an attached job: what a node told it that it still has of it, is not to be granted again.
    private func checkKept(_ attempt: Attempt, _ job: Job, at now: Instant) {
        guard attempt.epoch != epoch, !attempt.isOver, met[attempt.node] == (epoch, attempt.life), !job.wasOwnerAway,
            !job.isAbandoned, now - serverStart < grace
        else { return }
        // Another attempt of it was brought before, and has failed since.
        guard !job.attempts[Int(attempt.task)].contains(where: { attempts[Int($0)].isReported }) else { return }
        fail(.restart, "\(show(attempt)) is still at its node, and the task is granted again")
    }

    private func checkLimits(_ job: Job, _ task: TaskIndex) {
        let policy = job.plan.spec.policy
        if job.crashes[Int(task)].sure >= Int(max(policy.crashLimit, 1)) {
            fail(
                .limits,
                "job \(job.ordinal) task \(task) crashed \(job.crashes[Int(task)].sure) times and is granted again")
        }
        if job.failures[Int(task)].sure > Int(policy.retries) {
            fail(
                .limits,
                "job \(job.ordinal) task \(task) failed \(job.failures[Int(task)].sure) times and is granted again")
        }
    }

    /// The server says that the job is open, under this number.
    func submitted(_ id: JobID, number: UInt32, tasks: UInt32) {
        guard let job = job(id) else { return }
        let before = job.taskCount
        job.taskCount = Int(tasks)
        if job.isDurable && (job.number ?? number) != number {
            fail(.durable, "job \(job.ordinal) was number \(job.number ?? 0) and is now \(number)")
        }
        if job.isDurable && Int(tasks) < before {
            fail(.durable, "job \(job.ordinal) had \(before) tasks, it was said, and now has \(tasks)")
        }
        if let known = job.number, known != number {
            // Not even when it has said that the job has ended: that may never have arrived.
            if !job.wasOwnerAway {
                fail(.forgotten, "job \(job.ordinal) was opened as \(known) and now as \(number)")
            }
            job.instance += 1
            job.forgetCharges()
        }
        job.number = number
        job.isEndSaid = false
        job.wasOwnerAway = false
    }

    func appended(_ id: JobID, tasks: UInt32) { job(id)?.taskCount = Int(tasks) }

    /// The server has opened a new round of some of the job's tasks.
    func beginRound(_ job: Int) {
        jobs[job].rounds += 1
        jobs[job].forgetCharges()
    }

    func ended(_ id: JobID) { job(id)?.isEndSaid = true }

    private func noteAcknowledged(_ node: Int, _ batch: OutcomeBatch, _ job: Job) {
        var position = 0
        for run in batch.tasks {
            for task in run.first..<run.end {
                defer { position += 1 }
                guard let index = find(job, task, batch.epoch, batch.attempt(at: position), node: node) else { continue }
                attempts[index].isAcknowledged = true
                guard attempts[index].isSurelyCharged else { continue }
                attempts[index].isSurelyCharged = false
                charge(job, task, batch.code(at: position).end) { $0.sure += 1 }
            }
        }
    }

    func acknowledged(_ node: Int, _ sequences: [UInt64], clientNeeds: (Int) -> Bool, at now: Instant) {
        for sequence in sequences {
            guard let batch = sentBatches[node].removeValue(forKey: sequence), let job = job(batch.job) else { continue }
            noteAcknowledged(node, batch, job)
            guard !job.isDurable, batch.epoch == epoch, clientNeeds(job.owner),
                !isAway(job.owner, at: now), !job.wasOwnerAway, !job.isAbandoned
            else { continue }
            var position = 0
            for run in batch.tasks {
                for task in run.first..<run.end {
                    defer { position += 1 }
                    guard batch.code(at: position).kind == .succeeded, job.delivered[Int(task)] == 0,
                        let index = find(job, task, batch.epoch, batch.attempt(at: position), node: node),
                        isLatest(index), !attempts[index].isExcused, attempts[index].instance == job.instance
                    else { continue }
                    fail(.safe, "\(show(attempts[index])): its client does not have the outcome yet")
                }
            }
        }
    }
}
