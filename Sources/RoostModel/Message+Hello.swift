/// What a token allows.
public enum Role: UInt8, Sendable, CaseIterable {
    case node = 0
    case client = 1
    /// May look at everything but results and outputs; may change nothing.
    case observer = 2
    /// May do everything, also to other users' jobs.
    case admin = 3

    public var name: String {
        switch self {
        case .node: "node"
        case .client: "client"
        case .observer: "observer"
        case .admin: "admin"
        }
    }
}

/// Who is at the other end, as its token says.
public struct Principal: Hashable, Sendable {
    public var role: Role
    public var user: String
    /// The user's share of the pool relative to other users', 1 ... ``Limits/userWeight``.
    public var weight: UInt32
    public init(role: Role, user: String, weight: UInt32 = 1) { self.role = role; self.user = user; self.weight = weight }
}

/// What a peer says of itself first.
public enum Hello: Equatable, Sendable {
    case client(ClientHello)
    case node(NodeHello)
    /// A node's guard reports that the agent it watched is dead.
    case guardReport(GuardReport)
}

public struct ClientHello: Hashable, Sendable {
    public var session: SessionID
    /// Program, host and process, for people.
    public var description: String
    public init(session: SessionID, description: String = "") { self.session = session; self.description = description }
}

public struct GuardReport: Hashable, Sendable {
    public var node: NodeID
    public var incarnation: Incarnation
    public init(node: NodeID, incarnation: Incarnation) { self.node = node; self.incarnation = incarnation }
}

public struct NodeHello: Equatable, Sendable {
    public var node: NodeID
    public var incarnation: Incarnation
    /// For people; the host's name unless the operator chose another.
    public var name: String
    public var processID: Int32
    /// What the node offers: slots as CPUs, memory, and so on.
    public var offer: Resources
    public var labels: [Label]
    public var runtimes: [RuntimeName]
    /// Operating system and architecture, for people.
    public var platform: String
    public var version: String
    /// Everything it was granted and has not been acknowledged.
    public var inventory: [InventoryRun]
    /// What it has of sessions' setup logs.
    public var setups: [SetupHeld]
    /// Seats that were given a worker there, whether or not it lives.
    public var seats: [SeatHeld]
    /// With which of the pool's servers it has been in contact, ascending by epoch; the latest ``Limits/contactsPerNode``.
    public var contacts: [Contact]

    public init(
        node: NodeID, incarnation: Incarnation, name: String, processID: Int32 = 0, offer: Resources,
        labels: [Label] = [], runtimes: [RuntimeName] = [.command, .digest], platform: String = "",
        version: String = "", inventory: [InventoryRun] = [], setups: [SetupHeld] = [],
        seats: [SeatHeld] = [], contacts: [Contact] = []
    ) {
        self.node = node
        self.incarnation = incarnation
        self.name = name
        self.processID = processID
        self.offer = offer
        self.labels = labels
        self.runtimes = runtimes
        self.platform = platform
        self.version = version
        self.inventory = inventory
        self.setups = setups
        self.seats = seats
        self.contacts = contacts
    }

    /// How long it was in contact with servers of later epochs.
    public func contactTime(after epoch: Epoch) -> Duration {
        contacts.reduce(.zero) { $1.epoch > epoch ? $0 + $1.time : $0 }
    }
}

/// For how long, all in all, a node was in contact with the server of one epoch.
public struct Contact: Hashable, Sendable {
    public var epoch: Epoch
    public var time: Duration
    public init(epoch: Epoch, time: Duration) { self.epoch = epoch; self.time = time }
}

/// Attempts of consecutive tasks with the same number.
public struct AttemptRun: Hashable, Sendable {
    public var job: JobID
    public var epoch: Epoch
    public var number: UInt32
    public var tasks: TaskRange
    public init(job: JobID, epoch: Epoch, number: UInt32, tasks: TaskRange) {
        self.job = job
        self.epoch = epoch
        self.number = number
        self.tasks = tasks
    }
}

/// A part of what a reconnecting node still has.
public struct InventoryRun: Hashable, Sendable {
    public enum State: UInt8, Sendable, CaseIterable { case queued = 0, running = 1, finished = 2 }
    public var attempts: AttemptRun
    public var state: State
    /// In which epoch a server last showed that it knows the job; 0: in none that the node remembers.
    public var confirmed: Epoch
    public init(attempts: AttemptRun, state: State, confirmed: Epoch = 0) {
        self.attempts = attempts
        self.state = state
        self.confirmed = confirmed
    }
}

/// The server's answer to a hello.
public struct Welcome: Hashable, Sendable {
    /// Names the pool for ever.
    public var pool: UInt64
    public var epoch: Epoch
    public var serverVersion: String
    /// How often the peer should let itself be heard.
    public var heartbeat: Duration
    /// The server's wall clock, in nanoseconds since 1970, so that `doctor` can compare.
    public var unixNanoseconds: Int64

    public init(
        pool: UInt64, epoch: Epoch, serverVersion: String = "", heartbeat: Duration = Limits.heartbeat,
        unixNanoseconds: Int64 = 0
    ) {
        self.pool = pool
        self.epoch = epoch
        self.serverVersion = serverVersion
        self.heartbeat = heartbeat
        self.unixNanoseconds = unixNanoseconds
    }
}
