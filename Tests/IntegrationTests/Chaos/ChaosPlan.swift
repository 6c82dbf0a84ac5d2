import Foundation

/// What goes wrong during a run.
enum ChaosFault: String, CaseIterable {
    case serverKilled = "server killed"
    case serverPaused = "server paused"
    case agentKilled = "agents killed"
    case agentPaused = "agents paused"
    case workerKilled = "workers killed"
    case workerPaused = "workers paused"
    case clientKilled = "clients killed"
    case connectionsCut = "connections cut"
    case connectionsHalfClosed = "half-closed"
    case connectionsStalled = "stalled"
    case connectionsSlowed = "slowed"

    var isKill: Bool {
        switch self {
        case .serverKilled, .agentKilled, .workerKilled, .clientKilled: true
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
    /// Jobs that were read and found right are forgotten, so that a long run's disk stays small.
    var forgets = false
    /// Memory, descriptors and disk are looked at so often; they must be flat at the end.
    var samples: Duration?
    /// How many tasks a durable job may have, and a map.
    var jobSizes = [1, 3, 20, 60]
    var mapSizes = [2, 10, 40, 150]

    /// No more durable jobs are submitted while so many are unread.
    var most = 8
    /// So many maps at a time.
    var maps = 2

    init(seed: UInt64, seconds: Int, faults: [ChaosFault] = ChaosFault.allCases, interval: Duration = .milliseconds(700)) {
        self.seed = seed
        self.seconds = seconds
        self.faults = [ChaosFaults(kinds: faults, interval: interval)]
    }

    /// Each kind that is to come.
    var kinds: Set<ChaosFault> { Set(faults.flatMap(\.kinds)) }

    /// A kill every two seconds for long, and a million tasks an hour: most are short, and come by the thousand.
    static func soak(seed: UInt64, seconds: Int) -> ChaosPlan {
        var plan = ChaosPlan(seed: seed, seconds: seconds)
        let kills: [ChaosFault] = [
            .serverKilled, .agentKilled, .agentKilled, .workerKilled, .workerKilled, .workerKilled, .clientKilled, .clientKilled,
        ]
        plan.faults = [
            ChaosFaults(kinds: kills, interval: .seconds(2)),
            ChaosFaults(kinds: ChaosFault.allCases.filter { !$0.isKill }, interval: .seconds(10)),
        ]
        plan.spared = 1
        plan.forgets = true
        plan.samples = .seconds(max(1, seconds / 360))
        plan.most = 3
        plan.maps = 3
        plan.jobSizes = [1, 20, 400, 2000, 4000]
        plan.mapSizes = [2, 40, 300, 1000, 3000]
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
