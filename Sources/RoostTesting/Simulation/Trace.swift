package import RoostModel

/// What happened in a simulation: a hash always, one line an event when somebody wants to read it.
package struct Trace {
    package private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    package private(set) var lines: [String] = []
    package private(set) var count = 0
    private let keepsLines: Bool

    package init(keepsLines: Bool) { self.keepsLines = keepsLines }

    package mutating func note(
        _ now: Instant, _ code: Int, _ a: Int, _ b: Int, _ text: @autoclosure () -> String
    ) {
        count += 1
        mix(UInt64(bitPattern: now.nanoseconds))
        mix(UInt64(truncatingIfNeeded: code))
        mix(UInt64(truncatingIfNeeded: a))
        mix(UInt64(truncatingIfNeeded: b))
        guard keepsLines else { return }
        lines.append("\(Trace.show(now)) \(text())")
    }

    private mutating func mix(_ value: UInt64) {
        let product = (hash ^ value).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        hash = product.high ^ product.low
    }

    /// Virtual time in seconds, microseconds behind the point.
    package static func show(_ instant: Instant) -> String {
        let micro = instant.nanoseconds / 1000
        let fraction = String(micro % 1_000_000)
        return "\(micro / 1_000_000).\(String(repeating: "0", count: 6 - fraction.count))\(fraction)"
    }
}

/// A rule that every simulation checks.
package enum Rule: String, Sendable {
    case invariant = "the scheduler's own books agree"
    case overCommitted = "no node runs more than it has room for"
    case overGranted = "no node is granted more than it has room for"
    case twoAttempts = "no two attempts of a task are current at a time"
    case strict = "no two attempts of a strict job's task run at a time, whatever is cut off"
    case fencing = "attempts are numbered upwards"
    case argument = "a task gets its own argument"
    case setup = "a task runs where its session's setup is"
    case seat = "a seat's tasks run one at a time, on the worker that its client knows"
    case runsAgain = "what is done, and safe, is not done again"
    case notGranted = "a worker runs what was granted, once"
    case gaveBack = "what was given back was not started, and will not be"
    case inventory = "a node's inventory names all it has"
    case superseded = "a node in contact stops attempts that are not its own any more"
    case lateWins = "the outcome is that of the latest attempt"
    case payload = "an outcome belongs to its task's argument"
    case deliveredOnce = "each outcome is delivered once"
    case inOrder = "outcomes asked for in order come in order"
    case complete = "a job ends when all its outcomes are delivered"
    case charged = "only a task that really failed, crashed or lost its node is charged"
    case limits = "no task is tried more often than its policy says"
    case cancelled = "only what somebody cancelled is cancelled"
    case refused = "no job is refused without a reason"
    case safe = "a node's result is acknowledged when its client has it"
    case durable = "what was acknowledged of a durable job is there after a restart"
    case restart = "what nodes still have after a restart goes on"
    case forgotten = "the server forgets no job that its client still uses"
    case idleness = "no task waits while a node that could run it has nothing to do"
    case finishes = "when faults stop, all work finishes"
    case idle = "when all work is done, nothing is left anywhere"
    case spinning = "time goes on"
}
