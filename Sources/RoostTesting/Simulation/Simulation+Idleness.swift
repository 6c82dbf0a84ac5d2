import RoostModel
import RoostNode
import RoostScheduler

/// Work is never left lying: a wake-up that the scheduler forgot would show as a node with nothing to do, and a task
/// that it could run.
extension Simulation {
    func checkIdleness() {
        guard isServerUp else { return }
        let idle = nodes.filter(isIdle)
        guard !idle.isEmpty else { return }
        // What concerns a durable job may wait for the disk.
        let isDiskBusy = disk.inFlight != nil
        for job in history.jobs where !(job.isDurable && isDiskBusy) {
            guard let node = idle.first(where: { canRun(job.plan.spec, $0) }), let task = waitingTask(of: job) else {
                continue
            }
            // Granted to a node that was lost before the grant was on disk: that one's lease has to end first.
            let latest = job.attempts[Int(task)].last.map { history.attempts[Int($0)] }
            if let grant = disk.latestGrant(of: job.plan.spec.id, task),
                latest.map({ ($0.epoch, $0.number) != (grant.epoch, grant.number) }) ?? true
            {
                continue
            }
            history.fail(.idleness, "job \(job.ordinal) task \(task) waits, and \(node.name) has nothing to do")
        }
    }

    /// Nothing there, nothing on its way, and long enough for the server to know.
    private func isIdle(_ node: SimulatedNode) -> Bool {
        let pause = Duration.seconds(10)
        guard let machine = node.machine, !machine.hasWork, node.lastBusy + pause < now, node.isWelcome,
            node.welcomed + pause < now, node.cutUntil + pause < now, let connection = node.connection, !connection.isDead,
            connection.isOpenAtServer, connection.isKnown, history.isCurrent(connection.id, ofNode: node.ordinal),
            history.drainedLife[node.ordinal] < node.life, !isPromisedWork(node)
        else { return false }
        return history.openOfNode[node.ordinal].allSatisfy { history.attempts[$0].isOver }
    }

    /// Whether a grant for the node waits for the disk.
    private func isPromisedWork(_ node: SimulatedNode) -> Bool {
        let id = node.identity().node
        let writes = (disk.inFlight?.writes ?? []) + disk.waiting.writes
        return writes.contains { if case .task(_, .granted(_, id)) = $0 { true } else { false } }
    }

    private func canRun(_ spec: JobSpec, _ node: SimulatedNode) -> Bool {
        node.offer.shortage(for: spec.request) == nil && spec.labels.allSatisfy(node.labels.contains)
    }

    /// A task that has no outcome and that nobody has, as the server must know. Where a limit, a cancellation or the
    /// memory for outcomes may hold it back, none.
    private func waitingTask(of job: History.Job) -> TaskIndex? {
        // Setup may be on its way.
        guard job.number != nil, job.rounds == 0, job.plan.spec.setup == 0, job.plan.spec.seat == 0,
            job.plan.spec.policy.maxParallel == nil,
            history.isSurelyOpen(job, clientNeeds: { clients[$0].isAlive && !clients[$0].hasLeft }, at: now)
        else { return nil }
        let isFresh = job.instance == 0 && configuration.undeliveredBytes == Limits.undeliveredBytes
        for task in 0..<TaskIndex(min(job.taskCount, job.attempts.count)) where !job.mayBeCancelled(task) {
            guard let last = job.attempts[Int(task)].last else {
                if isFresh { return task }
                continue
            }
            let attempt = history.attempts[Int(last)]
            let isOfNow = attempt.epoch == configuration.epoch && attempt.instance == job.instance
            let mayBeHeld = job.attempts[Int(task)].count >= Int(job.plan.spec.policy.nodeLossLimit)
            let silence = now - history.nodeHeard[attempt.node]
            let isLost = silence > configuration.suspectAfter + job.plan.spec.policy.lease + .seconds(1)
            if isOfNow && (attempt.isReturned || isLost) && !attempt.isReported && !mayBeHeld { return task }
        }
        return nil
    }
}
