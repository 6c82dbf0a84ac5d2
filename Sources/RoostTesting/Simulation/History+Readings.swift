import RoostModel

extension History {
    /// A program begins to read a job; its number.
    func beginReading(_ job: Int, client: Int, order: ReadRequest.Order, isOwner: Bool) -> Int {
        add(
            Reading(
                job: job, client: client, order: order, isOwner: isOwner, rounds: jobs[job].rounds,
                instance: jobs[job].instance, delivered: Array(repeating: false, count: jobs[job].plan.arguments.count))
        )
    }

    /// A program was handed outcomes.
    func delivered(_ reading: Int, _ batch: OutcomeBatch) {
        let job = jobs[readings[reading].job]
        var position = 0
        for run in batch.tasks {
            for task in run.first..<run.end {
                checkDelivery(reading, job, task)
                checkOutcome(job, task, batch, position)
                if readings[reading].isOwner {
                    job.delivered[Int(task)] &+= 1
                    noteSeat(job, task, batch, position)
                }
                position += 1
            }
        }
    }

    private func checkDelivery(_ reading: Int, _ job: Job, _ task: TaskIndex) {
        guard Int(task) < job.attempts.count else { return fail(.payload, "an outcome of a task that does not exist") }
        if readings[reading].delivered[Int(task)] && readings[reading].rounds == job.rounds {
            fail(.deliveredOnce, "job \(job.ordinal) task \(task) was delivered twice")
        }
        if readings[reading].order == .inOrder {
            if task < readings[reading].next {
                fail(.inOrder, "job \(job.ordinal): task \(task) after \(readings[reading].next - 1)")
            }
            // Only what the owner has, and a new server does not, may be missing.
            let mayMiss = job.instance != readings[reading].instance || job.instance > 0
            if task > readings[reading].next && !mayMiss {
                fail(.inOrder, "job \(job.ordinal): task \(task) comes before \(readings[reading].next)")
            }
        }
        update(reading) { reading in
            if !reading.delivered[Int(task)] { reading.count += 1 }
            reading.delivered[Int(task)] = true
            reading.next = task + 1
        }
    }

    private func checkOutcome(_ job: Job, _ task: TaskIndex, _ batch: OutcomeBatch, _ position: Int) {
        let number = batch.attempt(at: position)
        let code = batch.code(at: position)
        let payload = Array(batch.payloads[position])
        let name = "job \(job.ordinal) task \(task), attempt \(batch.epoch).\(number)"
        let index = find(job, task, batch.epoch, number, node: nil)
        if let index, !isLatestHere(index), job.rounds == 0 {
            fail(
                .lateWins,
                "\(name) is delivered; the latest is \(show(attempts[Int(job.attempts[Int(task)].last ?? 0)]))")
        }
        switch (code.kind, code.end) {
        case (.succeeded, _):
            guard let index, attempts[index].end == .succeeded else {
                return fail(.lateWins, "\(name) succeeded, it is said; it did not")
            }
            if payload != job.plan.result(of: Int(task)) { fail(.payload, "\(name) has the outcome \(payload)") }
        case (.failed, .failed):
            guard let index, attempts[index].end == .failed else {
                return fail(.charged, "\(name) failed, it is said; it did not")
            }
            if payload != job.plan.complaint(of: Int(task)) { fail(.payload, "\(name) has the outcome \(payload)") }
            checkRetried(job, task, name)
        case (.failed, .timedOut):
            if job.plan.spec.policy.timeout == nil { fail(.charged, "\(name) timed out, and has no timeout") }
            checkRetried(job, task, name)
        case (.held, .crashed):
            if job.crashes[Int(task)].possible < Int(max(job.plan.spec.policy.crashLimit, 1)) && job.rounds == 0 {
                fail(.charged, "\(name) is held after \(job.crashes[Int(task)].possible) crashes")
            }
            if batch.postMortem(at: position) == nil { fail(.charged, "\(name) is held without evidence") }
        case (.held, .nodeLost):
            let begun = job.attempts[Int(task)].count { attempts[Int($0)].started != nil }
            if begun < Int(job.plan.spec.policy.nodeLossLimit) {
                fail(.charged, "\(name) is held after \(begun) losses")
            }
        case (.failed, .nodeLost):
            if job.plan.spec.seat == 0 { fail(.charged, "\(name) failed with its node, and had no seat there") }
        case (.cancelled, _):
            if !job.mayBeCancelled(task) { fail(.cancelled, "\(name) is cancelled, and nobody asked for it") }
        case (.failed, _), (.held, _):
            fail(.charged, "\(name) ended as \(code.kind), \(code.end)")
        }
    }

    /// What the client now knows of the seat's worker.
    private func noteSeat(_ job: Job, _ task: TaskIndex, _ batch: OutcomeBatch, _ position: Int) {
        guard job.plan.spec.seat != 0 else { return }
        let seat = SeatID(session: job.plan.spec.session, number: job.plan.spec.seat)
        switch batch.code(at: position).end {
        case .succeeded, .failed:
            guard let index = find(job, task, batch.epoch, batch.attempt(at: position), node: nil) else { return }
            seats[seat] = SeatPlace(node: attempts[index].node, life: attempts[index].life)
        case .nodeLost: seats[seat] = nil
        default: break
        }
    }

    private func checkRetried(_ job: Job, _ task: TaskIndex, _ name: String) {
        if job.failures[Int(task)].possible <= Int(job.plan.spec.policy.retries), job.rounds == 0,
            !job.mayBeCancelled(task)
        {
            fail(.limits, "\(name) failed for good after \(job.failures[Int(task)].possible) failures")
        }
    }

    /// A program was told that it has all outcomes.
    func ended(_ reading: Int, _ progress: JobProgress, at now: Instant) {
        let job = jobs[readings[reading].job]
        let isWhole = Int(progress.tasks) == job.plan.arguments.count
        let mayBeGivenUp = job.mayBeGivenUp || (job.isDurable && job.plan.spec.setup > 0 && isAway(job.owner, at: now))
        if !isWhole && !job.mayBeCancelled(0) && !mayBeGivenUp {
            fail(.complete, "job \(job.ordinal) ended with \(progress.tasks) of \(job.plan.arguments.count) tasks")
        }
        let mayMiss = !readings[reading].isOwner && job.instance > 0
        if readings[reading].count < Int(progress.tasks) && !mayMiss {
            let missing = readings[reading].delivered.firstIndex(of: false) ?? 0
            fail(
                .complete,
                "job \(job.ordinal) ended; \(readings[reading].count) of \(progress.tasks) outcomes were delivered, not task \(missing)"
            )
        }
    }
}
