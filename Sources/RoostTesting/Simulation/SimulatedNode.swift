import DequeModule
import RoostModel
import RoostNode

/// A node: its machine, and workers that are nothing but a behaviour and an end.
final class SimulatedNode {
    /// A worker at work.
    struct Work {
        var start: WorkerStart
        /// Attempts in the history.
        var attempts: [Int]
        var behaviour: TaskBehaviour?
        /// Distinguishes this work from earlier work of the same worker.
        var number: Int
        var isEnding = false
        /// What it will report.
        var end: WorkerEnd?
    }

    let ordinal: Int
    let offer: Resources
    let labels: [Label]
    /// Bytes of results that it keeps in memory; `.max`: it has no disk.
    let resultsInMemory: Int
    /// Its disk: gone with the agent.
    var stored: [UInt64: OutcomeBatch] = [:]
    /// Stored batches that the link has not taken yet.
    var waitingStored: Deque<UInt64> = []
    var name: String { "node-\(ordinal)" }
    var machine: NodeMachine?
    /// How many entries of each session's setup have arrived in this life, in their order.
    var setups: [SessionID: UInt32] = [:]
    /// Counts the agent's lives: the incarnation.
    var life = 0
    var connection: SimulatedConnection?
    var isDialling = false
    var isWelcome = false
    var welcomed = Instant.zero
    var backoff = Limits.reconnectFirst
    var cutUntil = Instant.zero
    var inbox: [NodeEvent] = []
    var isTurnDue = false
    var timerAt: Instant?
    var timerToken = 0
    var works: [Int: Work] = [:]
    var nextWork = 0
    /// What its workers really use, counted here and nowhere else.
    var inUse = Resources()
    var isAlive: Bool { machine != nil }
    /// When it last had anything to do, or to report.
    var lastBusy = Instant.zero
    /// Its machine is lost: it never starts again.
    var isGone = false

    init(ordinal: Int, offer: Resources, labels: [Label], resultsInMemory: Int) {
        self.ordinal = ordinal
        self.offer = offer
        self.labels = labels
        self.resultsInMemory = resultsInMemory
    }

    var incarnation: Incarnation { Incarnation(rawValue: UInt64(life)) }

    func identity() -> NodeHello {
        NodeHello(
            node: NodeID(rawValue: UInt64(ordinal + 1)), incarnation: incarnation, name: name, offer: offer,
            labels: labels, runtimes: [.command, .digest, .r])
    }
}
