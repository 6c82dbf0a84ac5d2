import RoostModel
import Synchronization

/// Turns what the pool says of a job into what is new about it.
final class ProgressWatch: Sendable {
    private let slots: Int?
    private let last = Mutex((retried: UInt32(0), lost: UInt32(0)))

    init(slots: Int?) { self.slots = slots }

    func facts(_ progress: JobProgress) -> [MapFact] {
        // What is granted waits partly on its node; with slots of our own we know how much can run.
        let running = min(Int(progress.granted), slots ?? .max)
        return last.withLock { last in
            var facts: [MapFact] = [.running(running)]
            if progress.retried > last.retried { facts.append(.retried(Int(progress.retried - last.retried))) }
            if progress.lost > last.lost { facts.append(.lost(Int(progress.lost - last.lost))) }
            last = (progress.retried, progress.lost)
            return facts
        }
    }
}
