import RoostModel

/// Durations as people write them: `10`, `1.5h`, `2d3h`, `90s`, `250ms`, `1:30`, `12:00:00`.
package enum DurationText {
    /// The duration that `text` names; nil when it names none, a negative one or more than 100 years.
    package static func parse(_ text: String) -> Duration? {
        let seconds = text.contains(":") ? clock(text) : units(text)
        guard let seconds, seconds.isFinite, seconds >= 0, seconds <= 3_153_600_000 else { return nil }
        return .milliseconds(Int64((seconds * 1000).rounded()))
    }

    /// A time to live; nil: for ever.
    /// - Throws: `.usage`.
    static func keep(_ text: String) throws(RoostError) -> Duration? {
        if text == "forever" { return nil }
        guard let time = parse(text) else {
            throw RoostError(.usage, "--keep takes a time, not '\(text)'", remedy: "For example --keep 30d, or --keep forever.")
        }
        return time
    }

    private static func clock(_ text: String) -> Double? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { decimal($0) }
        guard (2...3).contains(parts.count) else { return nil }
        var total = 0.0
        for part in parts {
            guard let part else { return nil }
            total = total * 60 + part
        }
        return total
    }

    private static func units(_ text: String) -> Double? {
        var total = 0.0
        var rest = Substring(text)
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            guard let value = decimal(number) else { return nil }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            switch unit {
            case "ms": total += value / 1000
            case "s", "": total += value
            case "m": total += value * 60
            case "h": total += value * 3600
            case "d": total += value * 86_400
            case "w": total += value * 604_800
            default: return nil
            }
        }
        return total
    }

    /// A plain decimal number: digits with at most one point.
    static func decimal(_ text: some StringProtocol) -> Double? {
        guard text.contains(where: \.isNumber), text.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }) else {
            return nil
        }
        return Double(text)
    }

    /// A duration for people: `3.2s`, `4m05s`, `2h10m`, `3d04h`.
    package static func show(_ duration: Duration) -> String {
        let seconds = max(0, Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18)
        if seconds < 60 {
            let tenths = Int((seconds * 10).rounded())
            if tenths < 600 { return tenths < 100 ? "\(tenths / 10).\(tenths % 10)s" : "\((tenths + 5) / 10)s" }
        }
        let whole = Int(min(seconds.rounded(), 1e12))
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        if whole < 3600 { return "\(whole / 60)m\(two(whole % 60))s" }
        if whole < 86_400 { return "\(whole / 3600)h\(two(whole / 60 % 60))m" }
        return "\(whole / 86_400)d\(two(whole / 3600 % 24))h"
    }
}
