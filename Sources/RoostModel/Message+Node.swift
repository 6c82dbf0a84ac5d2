/// What a node says to the server.
public enum NodeToServer: Equatable, Sendable {
    /// Attempts have ended. The node keeps the batch until `sequence` is acknowledged.
    case outcomes(sequence: UInt64, OutcomeBatch)
    /// Given back: these were never handed to a worker, and will not be. Answers a retract, also when empty.
    case retracted(job: JobID, [AttemptRun])
    /// These have been running for a while; the server charges only what it knows was running.
    case running([AttemptRun])
    case heartbeat(NodeStatus)
    case output(OutputChunk)
    case condition(TaskCondition)
    /// The node takes no more work: SIGTERM, or a reclaim notice.
    case draining(reason: String)
    /// The node leaves now; whatever it was granted and has not reported is lost.
    case goodbye(reason: String)
}

/// A node's own view, for `node show` and to compare with the server's.
public struct NodeStatus: Hashable, Sendable {
    public var queued: UInt32
    public var running: UInt32
    /// Outcome batches not yet acknowledged.
    public var unacknowledged: UInt32
    /// One-minute load average, in thousandths.
    public var milliLoad: UInt32
    /// Processes that outlive their tasks; at most ``Limits/workersPerNode`` of them.
    public var workers: [WorkerSnapshot]

    public init(
        queued: UInt32 = 0, running: UInt32 = 0, unacknowledged: UInt32 = 0, milliLoad: UInt32 = 0,
        workers: [WorkerSnapshot] = []
    ) {
        self.queued = queued
        self.running = running
        self.unacknowledged = unacknowledged
        self.milliLoad = milliLoad
        self.workers = workers
    }
}

/// What the server says to a node.
public enum ServerToNode: Equatable, Sendable {
    /// A job the node will be granted tasks of; sent once, before the first grant.
    case job(JobSpec)
    case grant(GrantRun)
    /// Give back up to `count` tasks of the job that no worker has.
    case retract(job: JobID, count: UInt32)
    /// End these attempts: INT, then TERM, then KILL, or KILL at once. Each still gets its outcome.
    case cancel(attempts: [AttemptRun], kill: Bool)
    /// These outcome batches are safe: forget them.
    case acknowledge([UInt64])
    /// These attempts are not yours any more: kill what runs, forget what waits or is finished.
    case drop([AttemptRun])
    /// The job is over: forget its common data.
    case forget(job: JobID)
    /// An entry of a session's setup log, sent once, before the first grant that needs it.
    case setup(SetupEntry)
    /// The session and its jobs are over: end the workers that serve it, forget its setup.
    case forgetSession(SessionID)
    /// Send (or stop sending) the output of running tasks.
    case watch(job: JobID, task: TaskIndex?, on: Bool)
    /// Send this signal to the worker that is this process, if it is one of yours.
    case killWorker(processID: Int32, signal: Int32)
    /// Take no more work, finish what runs, give back the rest, leave.
    case drain
    /// Stop at once, killing what runs.
    case shutDown(reason: String)
    /// The server is there; let yourself be heard this often.
    case heartbeat(interval: Duration)
}

/// The same attempt number for consecutive tasks, granted to one node, with their arguments.
public struct GrantRun: Equatable, Sendable {
    public var attempts: AttemptRun
    public var arguments: PayloadSlice
    public init(attempts: AttemptRun, arguments: PayloadSlice) { self.attempts = attempts; self.arguments = arguments }
}
