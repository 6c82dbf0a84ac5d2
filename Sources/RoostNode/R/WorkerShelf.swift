package import RoostModel

/// Which of the workers that outlive their tasks serves a task. Pure.
///
/// A worker serves one session from its first task to its end. So there are workers of sessions, busy or idle, and
/// *spares*: started, and nobody's yet. A worker may be bound to a *seat* of its session; it is never ended for another's
/// sake, so the node may have as many more workers as it has seats.
package struct WorkerShelf {
    /// How many workers the node keeps, busy or not.
    let slots: Int
    private var workers: [UInt64: Worker] = [:]
    private var clock = 0

    private struct Worker {
        var session: SessionID?
        var seat: UInt32 = 0
        var isBusy: Bool
        /// Counts uses, so that the one longest idle is found.
        var lastUsed: Int
    }

    /// What is to be done to have a worker for a task.
    package enum Choice: Equatable {
        case use(UInt64)
        /// Start one; first end this one, of another session, so that there are not ever more.
        case start(ending: UInt64?)
    }

    package init(slots: Int) { self.slots = max(1, slots) }

    var count: Int { workers.count }
    var spares: [UInt64] { workers.filter { $0.value.session == nil }.map(\.key).sorted() }
    var idle: [UInt64] { workers.filter { !$0.value.isBusy }.map(\.key).sorted() }

    /// Finds a worker for the session's next task: one of its own, else a spare, else a new one.
    package func choose(for session: SessionID) -> Choice {
        let idle = workers.filter { !$0.value.isBusy }
        // The one used last has its data in the caches.
        if let own = idle.filter({ $0.value.session == session }).max(by: { $0.value.lastUsed < $1.value.lastUsed }) {
            return .use(own.key)
        }
        return chooseOther(idle)
    }

    /// Finds a worker for a seat that has none: one of its session that has no seat, else as for a task.
    package func chooseForSeat(of session: SessionID) -> Choice {
        let idle = workers.filter { !$0.value.isBusy && $0.value.seat == 0 }
        if let own = idle.filter({ $0.value.session == session }).max(by: { $0.value.lastUsed < $1.value.lastUsed }) {
            return .use(own.key)
        }
        return chooseOther(idle)
    }

    private func chooseOther(_ idle: [UInt64: Worker]) -> Choice {
        if let spare = idle.filter({ $0.value.session == nil }).map(\.key).min() { return .use(spare) }
        guard workers.count >= slots else { return .start(ending: nil) }
        return .start(ending: idle.filter { $0.value.seat == 0 }.min { $0.value.lastUsed < $1.value.lastUsed }?.key)
    }

    package mutating func bind(_ worker: UInt64, to seat: UInt32) { workers[worker]?.seat = seat }

    /// Whether a spare should be started while there is time: the next session then need not wait for a start.
    package var wantsSpare: Bool { spares.isEmpty && workers.count <= slots }

    package mutating func add(_ worker: UInt64) { workers[worker] = Worker(session: nil, isBusy: false, lastUsed: clock) }

    package mutating func begin(_ worker: UInt64, _ session: SessionID) {
        clock += 1
        workers[worker] = Worker(
            session: session, seat: workers[worker]?.seat ?? 0, isBusy: true, lastUsed: clock)
    }

    package mutating func end(_ worker: UInt64) { workers[worker]?.isBusy = false }

    package mutating func remove(_ worker: UInt64) { workers[worker] = nil }

    func workers(of session: SessionID) -> [UInt64] {
        workers.filter { $0.value.session == session }.map(\.key).sorted()
    }
}
