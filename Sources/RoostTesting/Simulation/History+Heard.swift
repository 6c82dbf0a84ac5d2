import RoostModel

/// What the server hears, taken down as it is handed to the scheduler.
extension History {
    /// Anything from a node, on the connection that is the node's for the server.
    func heard(node: Int, at now: Instant) {
        let silence = now - nodeHeard[node]
        nodeHeard[node] = now
        guard silence >= .seconds(5) else { return }
        for index in openOfNode[node] where silence >= jobs[attempts[index].job].plan.spec.policy.lease {
            excuse(index)
        }
        openOfNode[node].removeAll { attempts[$0].isOver }
    }

    func excuse(_ index: Int) {
        attempts[index].isOver = true
        attempts[index].isExcused = true
    }

    func isCurrent(_ connection: ConnectionID, ofNode node: Int) -> Bool { nodeConnections[node] == connection }

    func nodeConnected(_ node: Int, life: Int, _ connection: ConnectionID, _ inventory: [InventoryRun], at now: Instant) {
        // An agent that is known to be dead is sent away; its words were under way for long.
        guard life > deadLife[node] else { return }
        heard(node: node, at: now)
        nodeConnections[node] = connection
        for index in openOfNode[node]
        where jobs[attempts[index].job].isDurable && wasMissedAfterRestart(attempts[index], jobs[attempts[index].job], at: now) {
            excuse(index)
        }
        met[node] = (epoch, life)
        if life > deadLife[node] + 1 { nodeDied(node, life: life - 1) }
        var named: Set<AttemptID> = []
        for run in inventory {
            noteStrangers(run, node: node)
            for task in run.attempts.tasks.first..<run.attempts.tasks.end {
                named.insert(
                    AttemptID(
                        task: TaskID(job: run.attempts.job, index: task), epoch: run.attempts.epoch,
                        number: run.attempts.number))
            }
        }
        for index in openOfNode[node] where attempts[index].life == life {
            let attempt = attempts[index]
            let id = AttemptID(
                task: TaskID(job: jobs[attempt.job].plan.spec.id, index: attempt.task), epoch: attempt.epoch,
                number: attempt.number)
            guard !attempt.isOver, !named.contains(id) else { continue }
            attempts[index].isOver = true
            attempts[index].isReturned = true
            if (attempt.isRunning || attempt.end != nil) && !attempt.isDropped && !attempt.isReported {
                fail(.inventory, "\(show(attempt)) is missing in the inventory")
            }
        }
        openOfNode[node].removeAll { attempts[$0].isOver }
    }

    /// What a newer attempt has taken the place of.
    private func noteStrangers(_ run: InventoryRun, node: Int) {
        guard run.state != .finished, let job = job(run.attempts.job) else { return }
        for task in run.attempts.tasks.first..<run.attempts.tasks.end {
            guard let index = find(job, task, run.attempts.epoch, run.attempts.number, node: node) else { continue }
            if !isLatestHere(index) { toBeDropped.insert(index) }
        }
    }

    /// The turn is over in which a node connected; unless its connection is over, too, it has been told.
    func turnEnded(isOpen: (ConnectionID) -> Bool) {
        guard !toBeDropped.isEmpty else { return }
        let untold = toBeDropped.filter { nodeConnections[attempts[$0].node].map(isOpen) ?? false }
        toBeDropped.removeAll()
        guard let index = untold.min() else { return }
        fail(.superseded, "\(show(attempts[index])) is its node's no more, and the node is not told so")
    }

    /// It is told as soon as the disk has what the server did before.
    func willBeToldToDrop(_ node: Int, _ runs: [AttemptRun]) {
        for run in runs {
            guard let job = job(run.job) else { continue }
            for task in run.tasks.first..<run.tasks.end {
                if let index = find(job, task, run.epoch, run.number, node: node) { toBeDropped.remove(index) }
            }
        }
    }

    func toldToDrop(_ node: Int, _ runs: [AttemptRun]) {
        for run in runs {
            guard let job = job(run.job) else { continue }
            for task in run.tasks.first..<run.tasks.end {
                guard let index = find(job, task, run.epoch, run.number, node: node) else { continue }
                toBeDropped.remove(index)
                // It may go on for a moment. Nothing of a durable job is to be dropped that is the latest.
                if !job.isDurable || !isLatest(index) { excuse(index) }
            }
        }
    }

    /// The server knows that the agent's life is over.
    func nodeDied(_ node: Int, life: Int) {
        deadLife[node] = max(deadLife[node], life)
        for index in openOfNode[node] where attempts[index].life <= life { excuse(index) }
        openOfNode[node].removeAll { attempts[$0].isOver }
    }

    func nodeReported(_ node: Int, _ batch: OutcomeBatch) {
        guard let job = job(batch.job) else { return }
        job.shortestRun = min(job.shortestRun, .nanoseconds(Int64(batch.runNanoseconds) / Int64(max(batch.count, 1))))
        var position = 0
        for run in batch.tasks {
            for task in run.first..<run.end {
                defer { position += 1 }
                guard let index = find(job, task, batch.epoch, batch.attempt(at: position), node: node) else {
                    continue
                }
                let isNews = !attempts[index].isReported
                let isSure = !attempts[index].isExcused
                // Late or not: its node may forget it from now on.
                attempts[index].isReported = true
                attempts[index].isOver = true
                // Of an attached job that this server was not brought by its client, nobody knows what becomes of it.
                let isOwn = job.isDurable || (attempts[index].instance == job.instance && batch.epoch == epoch)
                let end = batch.code(at: position).end
                if isNews && isLatestHere(index) { charge(job, task, end) { $0.possible += 1 } }
                guard isNews, isLatest(index), isOwn else {
                    lateOutcomes += 1
                    continue
                }
                outcomes += 1
                guard isSure else { continue }
                if job.isDurable {
                    attempts[index].isSurelyCharged = true
                } else {
                    charge(job, task, end) { $0.sure += 1 }
                }
            }
        }
    }

    func charge(_ job: Job, _ task: TaskIndex, _ end: AttemptEnd, _ change: (inout Charge) -> Void) {
        switch end {
        case .crashed: change(&job.crashes[Int(task)])
        case .failed, .timedOut, .memoryExceeded, .couldNotStart: change(&job.failures[Int(task)])
        case .succeeded, .cancelled, .reclaimed, .nodeLost, .neverRan: break
        }
    }

    func nodeGaveBackHeard(_ node: Int, _ runs: [AttemptRun]) {
        for run in runs {
            guard let job = job(run.job) else { continue }
            for task in run.tasks.first..<run.tasks.end {
                guard let index = find(job, task, run.epoch, run.number, node: node) else { continue }
                attempts[index].isOver = true
                attempts[index].isReturned = true
            }
        }
    }

    func heard(client: Int, at now: Instant) {
        if now - clientHeard[client] >= grace { clientWasAway(client) }
        clientHeard[client] = now
    }

    /// The server may have given the client up: its attached jobs with it.
    private func clientWasAway(_ client: Int) {
        for job in jobs where job.owner == client {
            job.wasOwnerAway = true
            // What lacks its setup then, the server cancels.
            if job.isDurable && job.plan.spec.setup > 0 { job.mayBeGivenUp = true }
        }
    }

    func isAway(_ client: Int, at now: Instant) -> Bool { now - clientHeard[client] >= grace }

    /// What was heard and not acknowledged the next server has to hear again.
    func serverDied(at now: Instant) {
        for attempt in attempts.indices where !attempts[attempt].isOver && jobs[attempts[attempt].job].isDurable {
            if wasMissedAfterRestart(attempts[attempt], jobs[attempts[attempt].job], at: now) { excuse(attempt) }
        }
        for index in attempts.indices where attempts[index].isReported {
            if attempts[index].isAcknowledged {
                // Of an attached job the next server does not know it; the acknowledgement may not arrive.
                if !jobs[attempts[index].job].isDurable { attempts[index].isReported = false }
                continue
            }
            attempts[index].isReported = false
            attempts[index].mayBeOnDisk = true
            attempts[index].isSurelyCharged = false
            attempts[index].isOver = attempts[index].isExcused
            guard !attempts[index].isExcused else { continue }
            if attempts[index].life <= deadLife[attempts[index].node] {
                excuse(index)
            } else {
                openOfNode[attempts[index].node].append(index)
            }
        }
    }

    func serverStarted(epoch: Epoch, at now: Instant, window: Duration) {
        self.epoch = epoch
        serverStart = now
        recoveryWindow = window
        for job in jobs where !job.isDurable {
            job.instance += 1
            job.number = nil
            job.taskCount = 0
            job.forgetCharges()
        }
    }
}
