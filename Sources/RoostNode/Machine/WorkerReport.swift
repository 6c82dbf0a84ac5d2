import RoostModel

/// When the server hears of workers that outlive their tasks, beside every heartbeat.
///
/// Thousands of short tasks begin and end between two heartbeats, and nobody wants to hear of each. So what counts is
///
///     who is there, for whom, in which seat     at once, or 50 ms after the last heartbeat
///     what long tasks keep them busy            half a second after it
struct WorkerReport {
    /// As they were when `seen`.
    var workers: [WorkerSnapshot] = []
    var seen = Instant.zero
    /// As the server heard of them last.
    var said: [WorkerSnapshot] = []
    /// When it did.
    private var saidAt: Instant?
    /// When it is to hear of them again, before the next heartbeat.
    var dueAt = Instant.never

    /// For the next heartbeat.
    mutating func take(at now: Instant) -> [WorkerSnapshot] {
        said = workers
        saidAt = now
        dueAt = .never
        let elapsed = (now - seen).inSeconds
        return workers.prefix(Limits.workersPerNode).map { worker in
            var worker = worker
            worker.seconds += elapsed
            return worker
        }
    }

    func due(at now: Instant, heartbeat: Duration) -> Instant {
        let pause: Duration
        if workers.map(Existence.init) != said.map(Existence.init) {
            pause = Limits.workersChanged
        } else if workers.map(Self.longTask) != said.map(Self.longTask) {
            // In a pool so large that heartbeats are rare, these are, too.
            pause = max(Limits.workersTurned, heartbeat / 6)
        } else {
            return .never
        }
        return saidAt.map { max(now, $0 + pause) } ?? now
    }

    /// Whether a worker is there, and for whom.
    private struct Existence: Equatable {
        var processID: Int32
        var session: SessionID
        var seat: UInt32
        var isStarting: Bool
        var isEnding: Bool

        init(_ worker: WorkerSnapshot) {
            processID = worker.processID
            session = worker.session
            seat = worker.seat
            isStarting = worker.state == .starting
            isEnding = worker.state == .ending
        }
    }

    /// What it has been running for a while.
    private static func longTask(_ worker: WorkerSnapshot) -> TaskID? {
        worker.seconds >= NodeMachine.reportRunningAfter.inSeconds / 2 ? worker.task : nil
    }
}
