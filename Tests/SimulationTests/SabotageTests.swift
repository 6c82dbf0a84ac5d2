import Roost
import RoostModel
import RoostNode
import RoostScheduler
import RoostTesting
import Testing

/// The proof of the simulator: bugs built in on purpose, one at a time, are each found within the seeds that
/// `make test` runs.
///
/// Found by what happened, as the history has it: the scheduler's own books are not looked into here, for a bug may
/// well keep them as consistently as it keeps them wrong.
@Suite struct SabotageTests {
    @Test(arguments: Sabotage.allCases) func theServersBugIsCaught(_ bug: Sabotage) {
        expectCaught(bug.rawValue) { $0.sabotage = bug }
    }

    @Test(arguments: NodeSabotage.allCases) func theNodesBugIsCaught(_ bug: NodeSabotage) {
        expectCaught(bug.rawValue) { $0.nodeSabotage = bug }
    }

    @Test(arguments: ClientSabotage.allCases) func theClientsBugIsCaught(_ bug: ClientSabotage) {
        expectCaught(bug.rawValue) { $0.clientSabotage = bug }
    }

    /// By three seeds: a bug that only one meets is caught by luck.
    private func expectCaught(_ name: String, _ build: (inout SimulationOptions) -> Void) {
        let wanted = Setting.countsCatches ? Int.max : 3
        var catches: [SimulationReport] = []
        for seed in Setting.usualSeeds where catches.count < wanted {
            var options = SimulationOptions(seed: seed)
            options.looksIntoTheScheduler = false
            build(&options)
            let report = Simulation(options).run()
            if report.broken != nil { catches.append(report) }
        }
        if wanted == Int.max { print(row(name, catches)) }
        if catches.count < min(wanted, 3) { Issue.record("\(name) is caught by \(catches.count) of the seeds \(Setting.usualSeeds)") }
    }

    /// One line about a bug: how many seeds catch it, the first of them, and by which rules.
    private func row(_ name: String, _ catches: [SimulationReport]) -> String {
        var rules: [(rule: Rule, count: Int)] = []
        for case let rule? in catches.map({ $0.broken?.rule }) {
            if let known = rules.firstIndex(where: { $0.rule == rule }) {
                rules[known].count += 1
            } else {
                rules.append((rule, 1))
            }
        }
        let first = catches.first.map { ", first \($0.seed)" } ?? ""
        let by = rules.sorted { $0.count > $1.count }.map { "\($0.rule) \($0.count)" }.joined(separator: ", ")
        return "\(name): caught by \(catches.count) of \(Setting.usualSeeds.count) seeds\(first); \(by)"
    }
}
