package import RoostModel

/// What `--halt` asked for.
package enum HaltChoice: Hashable, Sendable {
    case never
    case rule(HaltRule)
}

/// `--halt`: `never`, or `now|soon,fail|success|done=N|N%`; also the older numbers of GNU parallel.
package enum HaltText {
    /// What `text` asks for; nil when it makes no sense.
    package static func parse(_ text: String) -> HaltChoice? {
        if text == "never" || text == "0" { return .never }
        return rule(text).map(HaltChoice.rule)
    }

    private static func rule(_ text: String) -> HaltRule? {
        switch text {
        case "1": return HaltRule(urgency: .soon, condition: .failed, threshold: .count(1))
        case "2": return HaltRule(urgency: .now, condition: .failed, threshold: .count(1))
        case "-1": return HaltRule(urgency: .soon, condition: .succeeded, threshold: .count(1))
        case "-2": return HaltRule(urgency: .now, condition: .succeeded, threshold: .count(1))
        default: break
        }
        if text.hasSuffix("%"), let threshold = threshold(text) {
            return HaltRule(urgency: .soon, condition: .failed, threshold: threshold)
        }
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count == 2, let urgency = ["now": HaltRule.Urgency.now, "soon": .soon][parts[0]] else { return nil }
        let sides = parts[1].split(separator: "=", omittingEmptySubsequences: false)
        let conditions: [Substring: HaltRule.Condition] = ["fail": .failed, "success": .succeeded, "done": .done]
        guard sides.count == 2, let condition = conditions[sides[0]], let threshold = threshold(String(sides[1])) else {
            return nil
        }
        return HaltRule(urgency: urgency, condition: condition, threshold: threshold)
    }

    private static func threshold(_ text: String) -> HaltRule.Threshold? {
        if text.hasSuffix("%") {
            guard let percent = UInt32(text.dropLast()), (1...100).contains(percent) else { return nil }
            return .percent(percent)
        }
        guard let count = UInt32(text), count > 0 else { return nil }
        return .count(count)
    }
}
