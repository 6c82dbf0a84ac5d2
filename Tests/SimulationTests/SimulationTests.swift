import RoostModel
import RoostTesting
import Testing

/// A whole pool, with crashes, partitions and lost messages, from one seed: the promises hold in every one.
///
/// `ROOST_SEED=7` replays one seed and prints its trace; `ROOST_SEEDS=1-5000` runs many.
@Suite struct SimulationTests {
    @Test func fiveHundredSeedsBreakNoRule() async {
        let seeds = Setting.seeds ?? Setting.usualSeeds
        let clock = ContinuousClock()
        let start = clock.now
        var reports: [SimulationReport] = []
        // A long run says how far it is, and at once what it finds.
        for first in stride(from: seeds.lowerBound, to: seeds.upperBound, by: 1000) {
            let some = await simulate(first..<min(first + 1000, seeds.upperBound))
            for report in some where report.broken != nil { Issue.record("\(Comment(rawValue: replay(report)))") }
            reports += some
            let broken = reports.count { $0.broken != nil }
            if seeds.count > 1000 { print("\(reports.count) of \(seeds.count) seeds played, \(broken) broken") }
        }
        let seconds = (clock.now - start).inSeconds
        let virtual = reports.reduce(0) { $0 + $1.end.nanoseconds / 1_000_000_000 }
        let rate = Double(seeds.count) / max(seconds, 0.001)
        print(
            "\(seeds.count) seeds, \(Int(rate)) a second; \(virtual) s of virtual time, \(Int(Double(virtual) / max(seconds, 0.001))) times as fast as real"
        )
        print("  " + totals(reports).map { "\($0.name) \($0.count)" }.joined(separator: ", "))
    }

    @Test(arguments: [3, 38, 97, 142, 173] as [UInt64]) func theSameSeedGivesTheSameTrace(_ seed: UInt64) {
        var options = SimulationOptions(seed: seed)
        let silent = Simulation(options).run()
        options.traces = true
        let first = Simulation(options).run()
        let second = Simulation(options).run()
        #expect(first.traceHash == second.traceHash)
        #expect(first.traceLines == second.traceLines)
        #expect(silent.traceHash == first.traceHash, "reading the trace must not change it")
        #expect(!first.traceLines.isEmpty)
    }

    @Test func differentSeedsGiveDifferentTraces() {
        let hashes = Set((0..<10).map { Simulation(SimulationOptions(seed: UInt64($0))).run().traceHash })
        #expect(hashes.count == 10)
    }

    /// All seeds, on as many threads as there are, in the order of the seeds.
    private func simulate(_ seeds: Range<UInt64>) async -> [SimulationReport] {
        await withTaskGroup(of: [SimulationReport].self) { group in
            let lanes: UInt64 = 8
            for lane in 0..<lanes {
                group.addTask {
                    stride(from: seeds.lowerBound + lane, to: seeds.upperBound, by: Int(lanes)).map { seed in
                        var options = SimulationOptions(seed: seed)
                        options.traces = Setting.seed != nil
                        let report = Simulation(options).run()
                        if options.traces { print(report.traceLines.joined(separator: "\n") + "\n" + report.summary) }
                        return report
                    }
                }
            }
            var reports: [SimulationReport] = []
            for await some in group { reports += some }
            return reports.sorted { $0.seed < $1.seed }
        }
    }

    /// The failing seed again, with the end of its trace.
    private func replay(_ report: SimulationReport) -> String {
        var options = SimulationOptions(seed: report.seed)
        options.traces = true
        let lines = Simulation(options).run().traceLines
        return report.summary + "\n  the end of its trace:\n    " + lines.suffix(60).joined(separator: "\n    ")
    }

    private func totals(_ reports: [SimulationReport]) -> [(name: String, count: Int)] {
        var totals: [(name: String, count: Int)] = []
        for report in reports {
            for (index, count) in report.counts.enumerated() {
                if index == totals.count { totals.append((count.name, 0)) }
                totals[index].count += count.count
            }
        }
        return totals.filter { $0.count > 0 }
    }
}
