import RoostModel

/// Leaving the pool.
extension NodeMachine {
    /// No more work: what waits is given back, what runs ends, results are handed over, then the node leaves.
    mutating func drain(at now: Instant, into actions: inout [NodeAction]) {
        guard let reason = drainReason else { return }
        if isConnected && !hasSaidDraining {
            hasSaidDraining = true
            actions.append(.send(.draining(reason: reason)))
        }
        if isConnected, !queue.isEmpty {
            for job in queue.jobs {
                actions.append(.send(.retracted(job: job, giveBack(job, atMost: .max))))
            }
        }
        guard running == 0 else { return }
        if leaveBy == nil { leaveBy = now + Self.handOverTime }
        // Out of contact, it waits a little for a chance to hand over what it has and to say goodbye.
        let isHandedOver = isConnected && unacknowledged.isEmpty && queue.isEmpty
        guard isHandedOver || leaveBy.map({ $0 <= now }) == true else { return }
        hasLeft = true
        if isConnected { actions.append(.send(.goodbye(reason: reason))) }
        actions.append(.leave(reason: reason))
    }

    mutating func stop(reason: String, into actions: inout [NodeAction]) {
        hasLeft = true
        for worker in workers.indices where workers[worker] != nil {
            actions.append(.signal(worker: worker, .kill))
        }
        if isConnected { actions.append(.send(.goodbye(reason: reason))) }
        actions.append(.leave(reason: reason))
    }
}
