import RoostModel

/// What nodes do, checked as they do it.
extension History {
    func nodeStarted(_ node: Int) { sentBatches[node] = [:] }

    func nodeSent(_ node: Int, sequence: UInt64, _ batch: OutcomeBatch) { sentBatches[node][sequence] = batch }

    /// The node's disk does not give back what it stored.
    func nodeLostResults(_ node: Int, _ batch: OutcomeBatch) {
        guard let job = job(batch.job) else { return }
        for position in 0..<batch.count {
            let task = batch.task(at: position)
            if let index = find(job, task, batch.epoch, batch.attempt(at: position), node: node) { attempts[index].isLost = true }
        }
    }

    func nodeGaveBack(_ node: Int, _ runs: [AttemptRun]) {
        for run in runs {
            guard let job = job(run.job) else { continue }
            for task in run.tasks.first..<run.tasks.end {
                guard let index = find(job, task, run.epoch, run.number, node: node) else { continue }
                attempts[index].isGivenBack = true
                if attempts[index].started != nil {
                    fail(.gaveBack, "\(show(attempts[index])) was given back by its node, and had started")
                }
            }
        }
    }

    func nodeWasToldToDrop(_ node: Int, _ runs: [AttemptRun], at now: Instant) {
        for run in runs {
            guard let job = job(run.job) else { continue }
            for task in run.tasks.first..<run.tasks.end {
                guard let index = find(job, task, run.epoch, run.number, node: node), !attempts[index].isDropped else { continue }
                attempts[index].isDropped = true
                attempts[index].droppedAt = now
            }
        }
    }

    /// A worker starts; its attempts.
    func started(_ node: Int, _ start: WorkerStartFacts, at now: Instant) -> [Int] {
        guard let job = job(start.job) else {
            fail(.notGranted, "node-\(node) starts a task of an unknown job")
            return []
        }
        var started: [Int] = []
        for task in start.tasks.first..<start.tasks.end {
            guard let index = find(job, task, start.epoch, start.number, node: node), attempts[index].started == nil
            else {
                fail(
                    .notGranted,
                    "node-\(node) starts job \(job.ordinal) task \(task) attempt \(start.epoch).\(start.number) twice, or unasked"
                )
                continue
            }
            if attempts[index].isGivenBack { fail(.gaveBack, "\(show(attempts[index])) was given back, and starts") }
            if attempts[index].isDropped { fail(.superseded, "\(show(attempts[index])) was to be dropped, and starts") }
            for other in job.attempts[Int(task)] where attempts[Int(other)].isRunning {
                let older = min(Int(other), index)
                if job.plan.spec.policy.isStrict && attempts[older].instance == attempts[index].instance {
                    fail(.strict, "\(show(attempts[Int(other)])) still runs when \(show(attempts[index])) starts")
                }
                if !attempts[older].isExcused {
                    fail(.twoAttempts, "\(show(attempts[Int(other)])) still runs when \(show(attempts[index])) starts")
                }
            }
            checkSeat(job, index)
            attempts[index].started = now
            attempts[index].isRunning = true
            job.starts[Int(task)] += 1
            started.append(index)
        }
        return started
    }

    private func checkSeat(_ job: Job, _ index: Int) {
        let spec = job.plan.spec
        guard spec.seat != 0 else { return }
        let attempt = attempts[index]
        let seat = SeatID(session: spec.session, number: spec.seat)
        if let place = seats[seat], place != SeatPlace(node: attempt.node, life: attempt.life) {
            fail(.seat, "\(show(attempt)) starts; the worker of its seat \(spec.seat) is on node-\(place.node), life \(place.life)")
        }
        for other in jobs where other.plan.spec.seat == spec.seat && other.plan.spec.session == spec.session {
            for index in other.attempts.joined() where attempts[Int(index)].isRunning && attempts[Int(index)].node == attempt.node {
                fail(.seat, "\(show(attempt)) starts on seat \(spec.seat), where \(show(attempts[Int(index)])) runs")
            }
        }
    }

    func ended(_ indices: [Int], _ end: AttemptEnd?) {
        for index in indices {
            attempts[index].isRunning = false
            attempts[index].end = end
        }
    }
}
