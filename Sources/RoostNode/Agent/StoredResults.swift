import DequeModule
package import Logging
package import RoostModel
package import RoostWire

/// The results that an agent's machine wants stored: written at once, and read back no faster than the link takes them.
package final class StoredResults {
    private let store: ResultStore
    private let log: Logger
    /// Told what became of them, for the machine.
    private let tell: (NodeEvent) -> Void
    /// Batches that are to be sent, in their order.
    private var waiting: Deque<UInt64> = []

    /// Bytes that are read in one turn of the event loop: a heartbeat does not wait for all of them.
    private static let bytesPerTurn = 4 << 20

    package init(store: ResultStore, log: Logger, tell: @escaping (NodeEvent) -> Void) {
        self.store = store
        self.log = log
        self.tell = tell
    }

    /// Stores a batch, and sends it if it is to be sent and nothing else waits; what cannot be stored the machine has back.
    package func store(_ sequence: UInt64, _ batch: OutcomeBatch, sendingOver link: (any Link<NodeToServer>)?) {
        do throws(RoostError) {
            try store.add(sequence, batch)
        } catch {
            log.warning("results stay in memory", metadata: ["reason": "\(error)"])
            return tell(.storingFailed(sequence: sequence, batch))
        }
        guard let link else { return }
        if waiting.isEmpty, link.isWritable {
            link.send(.outcomes(sequence: sequence, batch))
            link.flush()
            tell(.storedSent(sequence: sequence))
        } else {
            waiting.append(sequence)
        }
    }

    /// A stored batch is to be sent with the next ``sendWaiting(over:)``.
    package func send(_ sequence: UInt64) { waiting.append(sequence) }

    /// Sends what waits, as far as the link takes it; whether it would take more.
    package func sendWaiting(over link: any Link<NodeToServer>) -> Bool {
        var bytes = 0
        while link.isWritable, let sequence = waiting.first {
            guard bytes < Self.bytesPerTurn else { return true }
            waiting.removeFirst()
            // It may have been acknowledged meanwhile.
            guard store.contains(sequence) else { continue }
            do throws(RoostError) {
                let batch = try store.batch(sequence)
                bytes += batch.payloads.bytes.count
                link.send(.outcomes(sequence: sequence, batch))
                link.flush()
                tell(.storedSent(sequence: sequence))
            } catch {
                log.error("stored results are lost, their tasks run again", metadata: ["reason": "\(error)"])
                store.discard(sequence)
                tell(.storedUnreadable(sequence: sequence))
            }
        }
        return false
    }

    package func discard(_ sequence: UInt64) { store.discard(sequence) }

    /// The connection is gone: the machine says anew what is to be sent.
    package func disconnected() { waiting.removeAll() }
}
