package import RoostModel

/// Stopping attempts, and everything that happens because time passed.
extension NodeMachine {
    mutating func beginStop(
        _ worker: Int, with signal: WorkerSignal, at now: Instant, into actions: inout [NodeAction]
    ) {
        guard let grace = workers[worker]?.grace else { return }
        actions.append(.signal(worker: worker, signal))
        workers[worker]?.nextSignal = signal == .interrupt ? .terminate : .kill
        workers[worker]?.escalateAt = signal == .kill ? .never : now + grace
    }

    /// Deadlines of running attempts are few: one pass over the workers finds the next.
    package var nextDeadline: Instant? {
        guard !hasLeft else { return nil }
        var next = min(nextHeartbeat, report.dueAt)
        if isConnected { next = min(next, lastHeard + Limits.suspectAfter) }
        if let leaveBy { next = min(next, leaveBy) }
        for case let worker? in workers {
            next = min(next, worker.timeoutAt, worker.escalateAt, expiry(of: worker))
            if isConnected && !worker.isReported && !worker.isWaiting { next = min(next, worker.started + Self.reportRunningAfter) }
        }
        return next == .never ? nil : next
    }

    mutating func deadlinesPassed(at now: Instant, into actions: inout [NodeAction]) {
        var longRunning: [AttemptRun] = []
        for worker in workers.indices {
            guard let record = workers[worker] else { continue }
            if record.escalateAt <= now {
                beginStop(worker, with: record.nextSignal, at: now, into: &actions)
            }
            if record.timeoutAt <= now {
                // One that is to be dropped is being stopped: to begin anew would give it twice the time.
                if record.stopping == .no && !record.isDropped {
                    workers[worker]?.stopping = .timedOut
                    beginStop(worker, with: stopSignal(record), at: now, into: &actions)
                }
                workers[worker]?.timeoutAt = .never
            }
            if expiry(of: record) <= now {
                workers[worker]?.stopping = .expired
                beginStop(worker, with: .kill, at: now, into: &actions)
            }
            if isConnected, !record.isReported, !record.isWaiting, record.started + Self.reportRunningAfter <= now {
                workers[worker]?.isReported = true
                longRunning.append(record.attempts)
            }
        }
        if !longRunning.isEmpty { actions.append(.send(.running(longRunning))) }
        if min(nextHeartbeat, report.dueAt) <= now { sendHeartbeat(at: now, into: &actions) }
        if isConnected && lastHeard + Limits.suspectAfter <= now {
            lastHeard = now
            actions.append(.reconnect)
        }
    }

    // MARK: Strict leases

    /// When an attempt that must not run beside its successor has to be over; the server has not heard since that it runs.
    func expiry(of worker: Worker) -> Instant {
        guard let lease = worker.strictLease, worker.stopping != .expired, sabotage != .ignoreLease else { return .never }
        return provenAt + lease
    }

    var hasStrictWork: Bool {
        workers.contains { $0?.strictLease != nil } || queue.jobs.contains { jobs[$0]?.policy.isStrict == true }
    }

    /// Whether a task of the job may begin: one that its lease would end at once may not.
    func mayBegin(_ spec: JobSpec, at now: Instant) -> Bool {
        !spec.policy.isStrict || sabotage == .ignoreLease
            || (provenAt > .zero && now < provenAt + (spec.policy.leaseAtNode ?? .zero))
    }

    /// How a task that overruns its time is asked to end. A worker that outlives its tasks may survive an interrupt;
    /// one with a batch does not, or the rest of the batch would take as long again.
    private func stopSignal(_ record: Worker) -> WorkerSignal {
        guard record.keepsWorkers else { return .terminate }
        return record.attempts.tasks.count > 1 ? .kill : .interrupt
    }

    mutating func sendHeartbeat(at now: Instant, into actions: inout [NodeAction]) {
        nextHeartbeat = now + heartbeatInterval
        heartbeatsSent.append(now)
        var status = status
        status.workers = report.take(at: now)
        actions.append(.send(.heartbeat(status)))
    }

    /// All but the workers.
    package var status: NodeStatus {
        NodeStatus(
            queued: UInt32(queue.tasks), running: UInt32(running), unacknowledged: UInt32(unacknowledged.count),
            milliLoad: milliLoad)
    }

    /// The workers are as they are; the server hears it at once if it matters, and soon if it might.
    mutating func workersChanged(
        _ workers: [WorkerSnapshot], seen: Instant, at now: Instant, into actions: inout [NodeAction]
    ) {
        report.workers = workers
        report.seen = seen
        guard isConnected else { return }
        report.dueAt = report.due(at: now, heartbeat: heartbeatInterval)
        if report.dueAt <= now { sendHeartbeat(at: now, into: &actions) }
    }
}

extension JobPolicy {
    /// What of its lease a task of a strict job may use at its node without contact; the server counts the whole. nil: the job is
    /// not strict.
    var leaseAtNode: Duration? { isStrict ? lease * 9 / 10 : nil }
}
