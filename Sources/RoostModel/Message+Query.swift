/// What a person asks of the pool through a client.
public enum Query: Equatable, Sendable {
    case pool
    case jobs
    case job(JobSelector)
    /// Why a job or a task does not run, node by node.
    case explain(JobSelector, task: TaskIndex?)
    case cancel(JobSelector, tasks: [TaskRange], kill: Bool)
    /// New round for tasks that failed (or, for `release`, are held); empty `tasks`: all such.
    case retry(JobSelector, tasks: [TaskRange], held: Bool)
    case forget(JobSelector)
    case drainNode(name: String)
    case killNode(name: String)
    /// Sends a signal to a worker that serves this user (an administrator: to any that is listed).
    case killWorker(node: String, processID: Int32, signal: Int32)
    case createToken(role: Role, user: String, lifetime: Duration?, weight: UInt32)
    case listTokens
    case revokeToken(name: String)
    case stopServer
}

/// How people name jobs.
public enum JobSelector: Hashable, Sendable {
    case id(JobID)
    case numbers([ClosedRange<UInt32>])
    case last
    case all
}

/// The answer to a query.
public enum Reply: Equatable, Sendable {
    case pool(PoolSnapshot)
    case jobs([JobSnapshot])
    case explanation([ExplainedNode])
    case tokens([TokenSnapshot])
    case token(String)
    /// Done; `count` things were changed.
    case done(count: UInt32)
    case failed(RoostError)
}

/// The whole pool at one moment.
public struct PoolSnapshot: Equatable, Sendable {
    public var pool: UInt64
    public var epoch: Epoch
    public var version: String
    /// Seconds since the server's start.
    public var uptimeSeconds: Double
    public var clients: UInt32
    public var nodes: [NodeSnapshot]
    public var jobs: [JobSnapshot]
    public var counters: PoolCounters

    public init(
        pool: UInt64, epoch: Epoch, version: String, uptimeSeconds: Double, clients: UInt32, nodes: [NodeSnapshot],
        jobs: [JobSnapshot], counters: PoolCounters
    ) {
        self.pool = pool
        self.epoch = epoch
        self.version = version
        self.uptimeSeconds = uptimeSeconds
        self.clients = clients
        self.nodes = nodes
        self.jobs = jobs
        self.counters = counters
    }
}

/// What has happened since the server's start.
public struct PoolCounters: Hashable, Sendable {
    public var granted: UInt64 = 0
    public var finished: UInt64 = 0
    /// Outcomes of superseded attempts: counted and dropped.
    public var late: UInt64 = 0
    public var retracted: UInt64 = 0
    public var nodesLost: UInt64 = 0
    public init() {}
}

public struct NodeSnapshot: Equatable, Sendable {
    public enum State: UInt8, Sendable, CaseIterable {
        case connected = 0
        /// Out of contact; its attempts stay granted until the lease ends.
        case suspect = 1
        case draining = 2
        case lost = 3
    }

    public var id: NodeID
    public var name: String
    public var state: State
    public var processID: Int32
    public var peer: String
    public var platform: String
    public var version: String
    public var offer: Resources
    public var labels: [Label]
    public var granted: UInt32
    public var status: NodeStatus
    public var finished: UInt64
    public var connectedSeconds: Double
    /// Since the node was last heard.
    public var silentSeconds: Double

    public init(
        id: NodeID, name: String, state: State, processID: Int32, peer: String, platform: String, version: String,
        offer: Resources, labels: [Label], granted: UInt32, status: NodeStatus, finished: UInt64,
        connectedSeconds: Double, silentSeconds: Double
    ) {
        self.id = id
        self.name = name
        self.state = state
        self.processID = processID
        self.peer = peer
        self.platform = platform
        self.version = version
        self.offer = offer
        self.labels = labels
        self.granted = granted
        self.status = status
        self.finished = finished
        self.connectedSeconds = connectedSeconds
        self.silentSeconds = silentSeconds
    }
}

public struct JobSnapshot: Equatable, Sendable {
    public var id: JobID
    public var number: UInt32
    public var name: String
    public var user: String
    public var runtime: RuntimeName
    public var retention: Retention
    public var priority: Int32
    public var progress: JobProgress
    public var isCancelled: Bool
    public var ageSeconds: Double
    /// The mean run time of its tasks so far, in seconds; nil before the first has ended.
    public var meanTaskSeconds: Double?
    /// Tasks that failed or are held, with evidence; the first few.
    public var troubles: [Trouble]
    /// The job's own; only of one that was asked for by its id, by who may read it.
    public var annotation: [UInt8] = []

    /// A task that did not succeed.
    public struct Trouble: Hashable, Sendable {
        public var task: TaskIndex
        public var code: OutcomeCode
        public var postMortem: PostMortem?
        public init(task: TaskIndex, code: OutcomeCode, postMortem: PostMortem?) {
            self.task = task
            self.code = code
            self.postMortem = postMortem
        }
    }

    public init(
        id: JobID, number: UInt32, name: String, user: String, runtime: RuntimeName, retention: Retention,
        priority: Int32, progress: JobProgress, isCancelled: Bool, ageSeconds: Double, meanTaskSeconds: Double?,
        troubles: [Trouble] = []
    ) {
        self.id = id
        self.number = number
        self.name = name
        self.user = user
        self.runtime = runtime
        self.retention = retention
        self.priority = priority
        self.progress = progress
        self.isCancelled = isCancelled
        self.ageSeconds = ageSeconds
        self.meanTaskSeconds = meanTaskSeconds
        self.troubles = troubles
    }
}

/// What one node (or the pool as a whole, when `node` is empty) says to a job or a task.
public struct ExplainedNode: Hashable, Sendable {
    public var node: String
    public var canRun: Bool
    public var reason: String
    /// Whether waiting is in vain: the node lacks what the job asks for; of the pool: none of its nodes can ever run it.
    public var isUnfit: Bool
    public init(node: String, canRun: Bool, reason: String, isUnfit: Bool = false) {
        self.node = node
        self.canRun = canRun
        self.reason = reason
        self.isUnfit = isUnfit
    }
}

/// A token, without its secret.
public struct TokenSnapshot: Hashable, Sendable {
    public var id: String
    public var role: Role
    public var user: String
    /// Unix seconds.
    public var created: Int64
    public var expires: Int64?
    public var isRevoked: Bool
    /// The user's share of the pool relative to other users'.
    public var weight: UInt32
    public init(
        id: String, role: Role, user: String, created: Int64, expires: Int64?, isRevoked: Bool, weight: UInt32 = 1
    ) {
        self.id = id
        self.role = role
        self.user = user
        self.created = created
        self.expires = expires
        self.isRevoked = isRevoked
        self.weight = weight
    }
}
