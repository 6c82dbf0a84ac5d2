import Foundation

/// What goes wrong during a run.
enum ChaosFault: String, CaseIterable {
    case serverKilled = "server killed"
    case serverPaused = "server paused"
    case agentKilled = "agents killed"
    case agentPaused = "agents paused"
    case workerKilled = "workers killed"
    case workerPaused = "workers paused"
    case rWorkerKilled = "R workers killed"
    case rWorkerPaused = "R workers paused"
    case clientKilled = "clients killed"
    case connectionsCut = "connections cut"
    case connectionsHalfClosed = "half-closed"
    case connectionsStalled = "stalled"
    case connectionsSlowed = "slowed"
    case partitioned = "cut off silently"
    case deafened = "cut off in one direction"
    case lossy = "lossy"
    case delayed = "delayed"

    /// What a proxy between the server and the others does, and what signals do.
    static let withProxy = allCases.filter { !$0.needsNetwork }
    /// What the network itself does, and kills. Nothing is stopped: a stopped agent cannot keep the promise of strict jobs.
    static let inNetwork: [ChaosFault] = [
        .partitioned, .deafened, .lossy, .delayed, .partitioned, .serverKilled, .agentKilled, .workerKilled, .rWorkerKilled,
    ]

    var needsNetwork: Bool {
        switch self {
        case .partitioned, .deafened, .lossy, .delayed: true
        default: false
        }
    }

    var isOfR: Bool { self == .rWorkerKilled || self == .rWorkerPaused }

    var isKill: Bool {
        switch self {
        case .serverKilled, .agentKilled, .workerKilled, .rWorkerKilled, .clientKilled: true
        default: false
        }
    }
}

/// Faults of several kinds, one after the other.
struct ChaosFaults {
    /// Each comes as often as it stands here before any comes again.
    var kinds: [ChaosFault]
    /// The mean time between two.
    var interval: Duration
}

/// A run: how long, from which seed, what goes wrong and how often.
struct ChaosPlan {
    var seed: UInt64
    var seconds: Int
    /// Each goes its own way.
    var faults: [ChaosFaults]
    var nodes = 3
    /// So many of the nodes, the first ones, are never killed or paused: they show what a long life does to an agent.
    var spared = 0
    /// In the second and the last quarter of the run the server is not killed. What nodes have of attached jobs whose client is gone waits
    /// for the client's grace, ten minutes from the server's last start; and a server that lives shows what a long life does to it.
    var serverRests = false
    /// Jobs that were read and found right are forgotten, so that a long run's disk stays small.
    var forgets = false
    /// Memory, descriptors and disk are looked at so often; they must be flat at the end.
    var samples: Duration?
    /// How many tasks a durable job may have, and a map.
    var jobSizes = [1, 3, 20, 60]
    var mapSizes = [2, 10, 40, 150]

    /// No more durable jobs are submitted while so many are unread.
    var most = 8
    /// How many seconds a task may take besides its start and end, in jobs of up to 200 tasks; others take none.
    var pauses = [0, 0, 0.05, 0.2, 1]
    /// So many maps at a time.
    var maps = 2
    /// No more tasks are begun than so many a second on average; nil: as many as the machine can.
    var rate: Double?
    /// So many sessions of R at a time, and how many elements they have.
    private(set) var rSessions = 2
    var rSizes = [1, 3, 20]

    init(seed: UInt64, seconds: Int, faults: [ChaosFault] = ChaosFault.withProxy, interval: Duration = .milliseconds(700)) {
        self.seed = seed
        self.seconds = seconds
        self.faults = [ChaosFaults(kinds: faults, interval: interval)]
        if let why = ChaosR.missing {
            leaveOutR()
            skipped.append("sessions and workers of R: \(why)")
        }
    }

    /// Each agent, the server and the clients are in network namespaces of their own.
    var isNetworked = false
    /// How long the network is in trouble, at most.
    var longest = Duration.seconds(5)
    /// What durable jobs are submitted with, one or the other; `--strict` ones are checked for it.
    var policies: [[String]] = [[]]

    /// What cannot be done on this machine, and why.
    private(set) var skipped: [String] = []

    private mutating func leaveOutR() {
        rSessions = 0
        for index in faults.indices { faults[index].kinds.removeAll(where: \.isOfR) }
    }

    /// Each kind that is to come.
    var kinds: [ChaosFault] { ChaosFault.allCases.filter { kind in faults.contains { $0.kinds.contains(kind) } } }

    /// For `make test`: little work, so that little is left when the faults are over.
    static func short(
        seed: UInt64, seconds: Int, faults: [ChaosFault] = ChaosFault.withProxy, interval: Duration
    ) -> ChaosPlan {
        var plan = ChaosPlan(seed: seed, seconds: seconds, faults: faults, interval: interval)
        plan.becomeShort()
        return plan
    }

    private mutating func becomeShort() {
        most = 3
        (jobSizes, mapSizes, rSizes) = ([1, 3, 20], [2, 10, 40], [1, 3, 10])
        pauses = [0, 0, 0.05, 0.2]
    }

    /// A kill every two seconds for long, and a million tasks an hour: most are short, and come by the thousand.
    static func soak(seed: UInt64, seconds: Int) -> ChaosPlan {
        var plan = ChaosPlan(seed: seed, seconds: seconds)
        // The server's kill costs most: one of eight.
        let kills = plan.kinds.filter { $0.isKill && $0 != .serverKilled }
        plan.faults = [
            ChaosFaults(kinds: [.serverKilled, .agentKilled, .workerKilled, .clientKilled] + kills, interval: .seconds(2)),
            ChaosFaults(kinds: plan.kinds.filter { !$0.isKill }, interval: .seconds(10)),
        ]
        plan.spared = 1
        plan.serverRests = true
        plan.forgets = true
        plan.samples = .seconds(max(1, seconds / 360))
        plan.most = 3
        plan.maps = 3
        plan.rate = 400
        plan.jobSizes = [1, 20, 400, 2000, 4000]
        plan.mapSizes = [2, 40, 300, 1000, 3000]
        plan.rSizes = [3, 60, 1000]
        return plan
    }

    /// Network namespaces. Leases end while nodes are cut off.
    static func network(
        seed: UInt64, seconds: Int, interval: Duration, longest: Duration, isShort: Bool = false
    ) -> ChaosPlan {
        var plan = ChaosPlan(seed: seed, seconds: seconds, faults: ChaosFault.inNetwork, interval: interval)
        plan.isNetworked = true
        plan.longest = longest
        if isShort {
            plan.becomeShort()
            // Two other short runs have it.
            plan.leaveOutR()
        }
        plan.pauses.append(1.5)
        plan.policies = [[], ["--lease", "5s"], ["--lease", "5s", "--strict"]]
        return plan
    }

    /// What `make chaos` and `make soak` say; nil in `make test`.
    static var asked: ChaosPlan? {
        let environment = ProcessInfo.processInfo.environment
        guard let text = environment["ROOST_CHAOS_SECONDS"], let seconds = Int(text), seconds > 0 else { return nil }
        let seed = environment["ROOST_CHAOS_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 1...999_999)
        return environment["ROOST_CHAOS_SOAK"] == "1" ? .soak(seed: seed, seconds: seconds) : ChaosPlan(seed: seed, seconds: seconds)
    }
}
