/// How payloads are run: which program on the node understands a job's common data and arguments.
public struct RuntimeName: Hashable, Sendable {
    public var rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    /// Processes: the payload is a command line.
    public static let command = RuntimeName(rawValue: "command")
    /// Tasks call an R function; workers are R processes that stay with a session.
    public static let r = RuntimeName(rawValue: "r")
    /// Computes an eight-byte digest of the argument inside the agent, without a process; for benchmarks.
    public static let digest = RuntimeName(rawValue: "digest")

    /// Whether its workers outlive their tasks, and so belong to a session.
    public var keepsWorkers: Bool { self == .r }
}

/// Whose memory keeps a job safe.
public enum Retention: UInt8, Sendable, CaseIterable {
    /// The client's: outcomes leave the server when the client has acknowledged them.
    case attached = 0
    /// The server's disk, until the job is forgotten: any client of the user may read it, again and again.
    case durable = 1
}

/// When to stop a whole job early, in GNU parallel's terms.
public struct HaltRule: Hashable, Sendable {
    public enum Urgency: UInt8, Sendable { case soon = 0, now = 1 }
    public enum Condition: UInt8, Sendable { case failed = 0, succeeded = 1, done = 2 }
    public enum Threshold: Hashable, Sendable { case count(UInt32), percent(UInt32) }

    public var urgency: Urgency
    public var condition: Condition
    public var threshold: Threshold

    public init(urgency: Urgency, condition: Condition, threshold: Threshold) {
        self.urgency = urgency; self.condition = condition; self.threshold = threshold
    }
}

/// What the pool does when things go wrong, and how much of the pool a job may use.
public struct JobPolicy: Hashable, Sendable {
    /// How often a task that failed, timed out or went over its memory is tried again. Default 0.
    public var retries: UInt32 = 0
    /// How many workers a task may kill before it is held. Default 3.
    public var crashLimit: UInt32 = 3
    /// How many nodes may be lost, without explanation, under a running task before it is held. Default 10.
    public var nodeLossLimit: UInt32 = 10
    /// The longest an attempt may run; nil: as long as it likes.
    public var timeout: Duration?
    /// The most tasks of this job in flight at once; nil: no limit.
    public var maxParallel: UInt32?
    public var halt: HaltRule?
    /// Orders a user's own jobs; higher first.
    public var priority: Int32 = 0
    /// How long an attempt stays granted to a node that is out of contact. Default 5 minutes.
    public var lease: Duration = Limits.lease
    /// Whether a node that is out of contact ends the attempt before its lease does, so that no two attempts run at once.
    public var isStrict = false
    /// How long a durable job is kept after its end; nil: as long as the server keeps any.
    public var keep: Duration?
    /// Time between SIGINT, SIGTERM and SIGKILL when an attempt is stopped. Default 5 s.
    public var killGrace: Duration = .seconds(5)

    public init() {}
}

/// Everything about a job but its tasks.
public struct JobSpec: Equatable, Sendable {
    public var id: JobID
    /// For people; may be empty.
    public var name: String
    public var runtime: RuntimeName
    /// What all tasks share; goes to a node once. Opaque to the server.
    public var common: [UInt8]
    /// What each task needs while it runs.
    public var request: Resources
    /// Labels a node must carry.
    public var labels: [Label]
    public var policy: JobPolicy
    public var retention: Retention
    /// Whether output is sent to the submitting client while tasks run.
    public var streamsOutput: Bool
    /// Whether what tasks signal is sent to the submitting client while they run; so it is where output is, too.
    public var streamsConditions = false
    /// The epoch of the server that was sent the job first; 0: none was. A server of a later epoch lets its tasks wait for the
    /// nodes that may still run them. No part of what makes two submissions the same.
    public var firstEpoch: Epoch = 0
    /// Whose setup its workers run first; a worker that outlives a task serves one session. 0: it needs none.
    public var session = SessionID(rawValue: 0)
    /// How many entries of the session's setup log are in force.
    public var setup: UInt32 = 0
    /// The seat of the session whose worker runs its tasks, one after the other; 0: any worker does.
    ///
    /// A seat is bound to a node at its first grant, and there to a worker at its first task. Numbers are the client's to
    /// give: a new number is a new seat.
    public var seat: UInt32 = 0
    /// The epoch of the latest outcome that the client has had of a task of the seat: what that task left there is expected to be
    /// found. 0: it has had none. Said anew whenever the job is opened; no part of what the job is.
    public var seatEpoch: Epoch = 0
    /// What whoever attaches to the job has to know of it: names, say. At most ``Limits/annotationBytes``; opaque to the server,
    /// and never sent to nodes.
    public var annotation: [UInt8] = []

    public init(
        id: JobID, name: String = "", runtime: RuntimeName, common: [UInt8] = [], request: Resources = .oneCPU,
        labels: [Label] = [], policy: JobPolicy = JobPolicy(), retention: Retention = .attached,
        streamsOutput: Bool = false
    ) {
        self.id = id
        self.name = name
        self.runtime = runtime
        self.common = common
        self.request = request
        self.labels = labels
        self.policy = policy
        self.retention = retention
        self.streamsOutput = streamsOutput
    }
}
