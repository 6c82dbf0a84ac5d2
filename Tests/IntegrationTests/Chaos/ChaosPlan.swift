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
}

/// A run: how long, from which seed, what goes wrong and how often.
struct ChaosPlan {
    var seed: UInt64
    var seconds: Int
    var faults = ChaosFault.allCases
    /// The mean time between two faults.
    var interval = Duration.milliseconds(700)
    var nodes = 3
    /// Jobs that were read and found right are forgotten, so that a long run's disk stays small.
    var forgets = false
    /// Memory, descriptors and disk are looked at so often; they must be flat at the end.
    var samples: Duration?

    /// What `make chaos` and `make soak` say; nil in `make test`.
    static var asked: ChaosPlan? {
        let environment = ProcessInfo.processInfo.environment
        guard let text = environment["ROOST_CHAOS_SECONDS"], let seconds = Int(text), seconds > 0 else { return nil }
        let seed = environment["ROOST_CHAOS_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 1...999_999)
        var plan = ChaosPlan(seed: seed, seconds: seconds)
        if environment["ROOST_CHAOS_SOAK"] == "1" {
            plan.forgets = true
            plan.interval = .seconds(2)
            plan.samples = .seconds(max(1, seconds / 60))
        }
        return plan
    }
}
