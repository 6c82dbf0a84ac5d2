/// What a client says to the server.
public enum ClientToServer: Equatable, Sendable {
    /// Opens a job, or finds it again under its id.
    case submit(JobSpec)
    case append(AppendTasks)
    /// No more tasks: the job has `count` in all.
    case close(job: JobID, count: UInt32)
    /// Deliver outcomes of this job to me.
    case read(ReadRequest)
    /// I have all outcomes before `cursor`: forget them, and send more.
    case acknowledge(job: JobID, cursor: UInt64)
    /// Send (or stop sending) me the output of running tasks; `task` nil means all of the job.
    case watch(job: JobID, task: TaskIndex?, on: Bool)
    case query(id: UInt64, Query)
    /// The next entry of this session's setup log.
    case setup(SetupEntry)
    case heartbeat
    /// The client leaves for good: its attached jobs are cancelled.
    case goodbye
}

/// Arguments of consecutive tasks.
public struct AppendTasks: Equatable, Sendable {
    public var job: JobID
    public var first: TaskIndex
    public var arguments: PayloadSlice
    /// Tasks of this chunk whose outcomes the client has already (it is sending the job again to a server that
    /// forgot it); their payloads are empty and they do not run.
    public var finished: [TaskRange]

    public init(job: JobID, first: TaskIndex, arguments: PayloadSlice, finished: [TaskRange] = []) {
        self.job = job
        self.first = first
        self.arguments = arguments
        self.finished = finished
    }
}

/// How outcomes are to be delivered.
public struct ReadRequest: Hashable, Sendable {
    public enum Order: UInt8, Sendable, CaseIterable {
        /// As tasks end. The cursor counts batches.
        case asCompleted = 0
        /// By task index. The cursor counts tasks.
        case inOrder = 1
    }

    public var job: JobID
    public var order: Order
    /// Everything before this cursor has been received.
    public var after: UInt64
    /// How many tasks' outcomes may be on their way, unacknowledged.
    public var window: UInt32

    public init(job: JobID, order: Order, after: UInt64 = 0, window: UInt32 = Limits.readerWindowTasks) {
        self.job = job
        self.order = order
        self.after = after
        self.window = window
    }
}

/// What the server says to a client.
public enum ServerToClient: Equatable, Sendable {
    /// The job exists; the server has its first `tasks` tasks.
    case submitted(job: JobID, number: UInt32, tasks: UInt32)
    /// The server has the job's first `tasks` tasks.
    case appended(job: JobID, tasks: UInt32)
    case outcomes(OutcomeDelivery)
    case progress(JobProgress)
    /// Every task of the job has an outcome, and this reader has been sent all of them.
    case ended(JobProgress)
    /// The server cannot do what was asked of this job; the job does not exist (any more) for this client.
    case refused(job: JobID, RoostError)
    case reply(id: UInt64, Reply)
    case output(OutputChunk)
    case condition(TaskCondition)
    /// The server has the first entries of this session's setup log; or will not have more, and why.
    case setupHeld(SetupHeld, RoostError?)
    case heartbeat
}

/// Outcomes of one job on their way to one reader.
public struct OutcomeDelivery: Equatable, Sendable {
    /// The reader's cursor after this delivery.
    public var cursor: UInt64
    public var batch: OutcomeBatch
    public init(cursor: UInt64, batch: OutcomeBatch) { self.cursor = cursor; self.batch = batch }
}

/// How far a job is.
public struct JobProgress: Hashable, Sendable {
    public var job: JobID
    /// Tasks known so far.
    public var tasks: UInt32
    /// Whether `tasks` is all there will be.
    public var isClosed: Bool
    public var succeeded: UInt32 = 0
    public var failed: UInt32 = 0
    public var cancelled: UInt32 = 0
    public var held: UInt32 = 0
    /// Granted to nodes: running or waiting there.
    public var granted: UInt32 = 0
    /// Attempts granted in all.
    public var attempts: UInt64 = 0
    /// Attempts that were tried again, for whatever reason.
    public var retried: UInt32 = 0
    /// Attempts lost with their node.
    public var lost: UInt32 = 0
    /// Late outcomes of superseded attempts: counted and dropped.
    public var late: UInt32 = 0

    public init(job: JobID, tasks: UInt32 = 0, isClosed: Bool = false) {
        self.job = job
        self.tasks = tasks
        self.isClosed = isClosed
    }

    /// Tasks that have an outcome.
    public var done: UInt32 { succeeded + failed + cancelled + held }
    public var isEnded: Bool { isClosed && done == tasks }
}
