import RoostModel

/// Watches whether a `--halt` rule has come true, and what exit status follows from it.
///
/// The pool stops the job by the same rule; the client counts too, because the exit status and the end of
/// reading depend on it.
struct HaltWatch: Sendable {
    private let rule: HaltRule
    private var succeeded = 0
    private var failed = 0
    /// The outcome that made the rule true; nil until then.
    private(set) var trigger: MapOutcome?
    /// The latest outcome that the rule counts, for a percentage that can be reckoned only later.
    private var latest: MapOutcome?

    init(rule: HaltRule) { self.rule = rule }

    var urgency: HaltRule.Urgency { rule.urgency }

    /// Counts an outcome. `total` is nil while inputs are still being read: a percentage of an unknown number
    /// has no meaning yet.
    /// - Returns: whether the rule came true just now.
    mutating func count(_ outcome: MapOutcome, total: Int?) -> Bool {
        switch outcome.kind {
        case .succeeded: succeeded += 1
        case .failed, .held: failed += 1
        case .cancelled: return false
        }
        switch rule.condition {
        case .failed: if outcome.kind == .succeeded { return false }
        case .succeeded: if outcome.kind != .succeeded { return false }
        case .done: break
        }
        latest = outcome
        return check(total: total)
    }

    /// Whether the rule comes true now that the number of tasks is `total`.
    mutating func check(total: Int?) -> Bool {
        guard trigger == nil, let latest, isReached(total) else { return false }
        trigger = latest
        return true
    }

    private func isReached(_ total: Int?) -> Bool {
        let counted =
            switch rule.condition {
            case .failed: failed
            case .succeeded: succeeded
            case .done: failed + succeeded
            }
        return switch rule.threshold {
        case .count(let wanted): counted >= Int(wanted)
        case .percent(let wanted):
            if let total, total > 0 { counted * 100 >= Int(wanted) * total } else { false }
        }
    }

    /// GNU parallel's: 0 when the rule asked for successes and got them, the task's own status when one was
    /// enough, the percentage that failed (rounded up, also when the rule never came true) or the number.
    func status(total: Int) -> ExitStatus {
        if trigger != nil && rule.condition == .succeeded { return .success }
        if case .percent = rule.threshold, rule.condition != .succeeded {
            return .failures((failed * 100 + max(1, total) - 1) / max(1, total))
        }
        guard let trigger, rule.threshold == .count(1), trigger.kind != .succeeded else { return .failures(failed) }
        if trigger.signal != 0 { return ExitStatus(rawValue: 128 + trigger.signal) }
        return trigger.exitStatus > 0 ? ExitStatus(rawValue: trigger.exitStatus) : .failures(1)
    }
}
