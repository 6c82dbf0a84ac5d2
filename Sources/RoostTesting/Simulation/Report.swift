import RoostModel

extension SimulationReport {
    /// Everything a person needs to know about one simulation, and how to see it again.
    package var summary: String {
        let numbers = counts.filter { $0.count > 0 }.map { "\($0.name) \($0.count)" }.joined(separator: ", ")
        var text =
            "seed \(seed): \(events) events in \(Int(end.nanoseconds / 1_000_000_000)) s of virtual time; \(numbers)"
        text += "\n  faults \(faults)"
        guard let broken else { return text }
        text += "\n  broken: \(broken.rule.rawValue)\n          \(broken.detail)"
        text += "\n  again, with its trace: ROOST_SEED=\(seed) make simulate"
        return text
    }
}
