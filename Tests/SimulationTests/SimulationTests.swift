import RoostModel
import RoostScheduler
import RoostTesting
import Testing

@Suite struct SimulationTests {
    @Test(.enabled(if: Setting.seeds != nil)) func theSeedsAskedFor() {
        for seed in Setting.seeds ?? 0..<0 {
            if Setting.isVerbose { print("seed \(seed)") }
            var options = SimulationOptions(seed: seed)
            options.traces = Setting.traces
            options.sabotage = Setting.text("ROOST_SABOTAGE").flatMap { Sabotage(rawValue: $0) }
            let report = Simulation(options).run()
            if Setting.traces { for line in report.traceLines { print(line) } }
            if report.broken != nil || Setting.isVerbose || Setting.traces { print(report.summary) }
            if report.broken != nil { Issue.record("seed \(seed)") }
        }
    }
}
