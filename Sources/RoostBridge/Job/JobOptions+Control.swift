import Roost
import RoostModel

extension JobOptions {
    /// What `submit` asks for.
    init(_ control: Control) throws(BridgeFailure) {
        self.init()
        name = control.text("label") ?? ""
        policy.retries = try Self.whole(control, "retries", 0...Double(Limits.attemptsPerTask)).map { UInt32($0) } ?? 0
        policy.crashLimit = try Self.whole(control, "crash_limit", 1...Double(Limits.attemptsPerTask)).map { UInt32($0) } ?? 3
        policy.maxParallel = try Self.whole(control, "max_parallel", 1...Double(UInt32.max)).map { UInt32($0) }
        policy.priority = try Self.whole(control, "priority", Double(Int32.min)...Double(Int32.max)).map { Int32($0) } ?? 0
        if let seconds = try Self.amount(control, "timeout", 0...1e9) { policy.timeout = .nanoseconds(Int64(seconds * 1e9)) }
        if let cpus = try Self.amount(control, "cpus", 0...1e6) { request.milliCPUs = Int64((cpus * 1000).rounded()) }
        if let bytes = try Self.whole(control, "memory", 0...0x1p60) { request.memoryBytes = Int64(bytes) }
        for text in control.texts("labels") ?? [] {
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
                throw .usage("'labels' are of the form KEY=VALUE; not '\(text)'")
            }
            labels.append(Label(key: String(text[..<equals]), value: String(text[text.index(after: equals)...])))
        }
        seat = try Self.whole(control, "seat", 0...Double(UInt32.max)).map { UInt32($0) } ?? 0
        streamsConditions = control.flag("live") ?? false
        if control.flag("durable") ?? false { retention = .durable }
    }

    private static func amount(
        _ control: Control, _ name: String, _ range: ClosedRange<Double>
    ) throws(BridgeFailure) -> Double? {
        // Infinity is R's way to say "no limit".
        guard control.has(name), control.number(name) != .infinity else { return nil }
        guard let number = control.number(name), range.contains(number) else {
            throw .usage("'\(name)' is a number from \(show(range.lowerBound)) to \(show(range.upperBound))")
        }
        return number
    }

    private static func whole(
        _ control: Control, _ name: String, _ range: ClosedRange<Double>
    ) throws(BridgeFailure) -> Double? {
        guard let number = try amount(control, name, range) else { return nil }
        guard number == number.rounded() else { throw .usage("'\(name)' is a whole number; not \(number)") }
        return number
    }

    private static func show(_ number: Double) -> String { Int64(exactly: number).map { "\($0)" } ?? "\(number)" }
}
