import DequeModule
import RoostModel
import RoostNode

/// Nodes' disks, where results wait for the server.
extension Simulation {
    private func fails(_ chance: Double) -> Bool {
        !isQuiet && faults.isOn(.diskFailures) && nodeDisks.chance(chance * faults.strength(.diskFailures))
    }

    func store(_ sequence: UInt64, _ batch: OutcomeBatch, sends: Bool, _ node: SimulatedNode) {
        guard !fails(0.2) else {
            unstorable += 1
            note(26, node.ordinal, Int(sequence), "\(node.name) cannot store batch \(sequence)")
            return tellAtOnce(node, .storingFailed(sequence: sequence, batch))
        }
        stored += 1
        node.stored[sequence] = batch
        guard sends else { return }
        if node.waitingStored.isEmpty, nodeDisks.chance(0.5) {
            say(.outcomes(sequence: sequence, batch), node)
            tellAtOnce(node, .storedSent(sequence: sequence))
        } else {
            sendStored(sequence, node)
        }
    }

    /// It leaves when the link takes it.
    func sendStored(_ sequence: UInt64, _ node: SimulatedNode) {
        node.waitingStored.append(sequence)
        if node.waitingStored.count == 1 { scheduleStored(node) }
    }

    private func scheduleStored(_ node: SimulatedNode) {
        guard let connection = node.connection else { return }
        queue.schedule(
            .storedLeaves(node: node.ordinal, connection.id), at: now + nodeDisks.length(.microseconds(10), .milliseconds(500)))
    }

    func storedLeaves(_ node: SimulatedNode, over connection: ConnectionID) {
        guard node.isAlive, node.connection?.id == connection, let sequence = node.waitingStored.popFirst() else { return }
        if !node.waitingStored.isEmpty { scheduleStored(node) }
        // It may have been acknowledged meanwhile.
        guard let batch = node.stored[sequence] else { return }
        if fails(0.1) {
            unreadable += 1
            note(27, node.ordinal, Int(sequence), "\(node.name) cannot read batch \(sequence) back")
            node.stored[sequence] = nil
            history.nodeLostResults(node.ordinal, batch)
            tellAtOnce(node, .storedUnreadable(sequence: sequence))
        } else {
            say(.outcomes(sequence: sequence, batch), node)
            tellAtOnce(node, .storedSent(sequence: sequence))
        }
    }

    private func tellAtOnce(_ node: SimulatedNode, _ event: NodeEvent) {
        var actions: [NodeAction] = []
        node.machine?.apply(event, at: now, into: &actions)
        carryOut(actions, node)
    }
}
