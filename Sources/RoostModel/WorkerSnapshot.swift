/// A worker that outlives its tasks, as its node sees it: a process, whom it serves, what it does.
public struct WorkerSnapshot: Hashable, Sendable {
    public enum State: UInt8, Sendable, CaseIterable {
        /// The process is there, its program is not yet.
        case starting = 0
        case idle = 1
        case busy = 2
        case ending = 3
    }

    public var processID: Int32
    /// Whom it serves; 0: nobody yet.
    public var session: SessionID
    /// The place of a cluster that is bound to it; 0: none.
    public var seat: UInt32
    public var state: State
    /// What it runs: the first task of its batch. nil: nothing.
    public var task: TaskID?
    /// How long it has been doing what it does, in seconds.
    public var seconds: Double
    /// Resident memory; 0: not known.
    public var memoryBytes: UInt64
    public var tasksDone: UInt64

    public init(
        processID: Int32, session: SessionID = SessionID(rawValue: 0), seat: UInt32 = 0, state: State,
        task: TaskID? = nil, seconds: Double = 0, memoryBytes: UInt64 = 0, tasksDone: UInt64 = 0
    ) {
        self.processID = processID
        self.session = session
        self.seat = seat
        self.state = state
        self.task = task
        self.seconds = seconds
        self.memoryBytes = memoryBytes
        self.tasksDone = tasksDone
    }
}
