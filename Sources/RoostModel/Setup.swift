/// One entry of a session's setup log: an export or an expression that every worker which serves the session has run
/// before its next task. Opaque to the server; the runtime on the node understands it.
public struct SetupEntry: Equatable, Sendable {
    public var session: SessionID
    /// Counted from 1 in the session, without gaps.
    public var number: UInt32
    public var payload: [UInt8]
    public init(session: SessionID, number: UInt32, payload: [UInt8]) {
        self.session = session
        self.number = number
        self.payload = payload
    }
}

/// How much of a session's setup log somebody has: its first `count` entries.
public struct SetupHeld: Hashable, Sendable {
    public var session: SessionID
    public var count: UInt32
    /// In which epoch a node last used it; 0: nobody says.
    public var epoch: Epoch
    public init(session: SessionID, count: UInt32, epoch: Epoch = 0) {
        self.session = session
        self.count = count
        self.epoch = epoch
    }
}

/// A seat of a session.
public struct SeatID: Hashable, Sendable {
    public var session: SessionID
    public var number: UInt32
    public init(session: SessionID, number: UInt32) { self.session = session; self.number = number }
}

/// A seat for which somebody has, or had, a worker.
public struct SeatHeld: Hashable, Sendable {
    public var seat: SeatID
    /// In which epoch the latest of its tasks was granted: within one, a seat has one worker at most.
    public var epoch: Epoch
    public init(seat: SeatID, epoch: Epoch) { self.seat = seat; self.epoch = epoch }
}

/// Something a task signalled while it runs (progress, a condition that cannot wait for the outcome), in the form of
/// its runtime. Sent to whoever sees the job's output; lost with a connection.
public struct TaskCondition: Hashable, Sendable {
    public var job: JobID
    public var task: TaskIndex
    public var attempt: UInt32
    public var bytes: [UInt8]
    public init(job: JobID, task: TaskIndex, attempt: UInt32, bytes: [UInt8]) {
        self.job = job; self.task = task; self.attempt = attempt; self.bytes = bytes
    }
}
