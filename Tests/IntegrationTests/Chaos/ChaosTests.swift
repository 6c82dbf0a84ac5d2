import Foundation
import RoostTesting
import Testing

extension Integration {
    /// Processes are killed and stopped, connections fail, and no acknowledged task or outcome is lost or doubled.
    @Suite(.timeLimit(.minutes(10))) struct Chaos {
        @Test(.enabled(if: ChaosPlan.asked == nil)) func `Only the server is killed: nothing runs twice`() async throws {
            var plan = ChaosPlan(seed: 4, seconds: 8, faults: [.serverKilled])
            plan.interval = .milliseconds(1500)
            try await play(plan)
        }

        @Test(.enabled(if: ChaosPlan.asked == nil)) func `Everything that can go wrong does`() async throws {
            var plan = ChaosPlan(seed: 1, seconds: 14)
            plan.interval = .milliseconds(400)
            try await play(plan)
        }

        /// `make chaos SECONDS=600 SEED=7`, `make soak`.
        @Test(.enabled(if: ChaosPlan.asked != nil), .timeLimit(.minutes(24 * 60)))
        func `A long run`() async throws {
            try await play(try #require(ChaosPlan.asked))
        }

        private func play(_ plan: ChaosPlan) async throws {
            var run = ChaosRun(plan)
            do {
                try await run.play()
            } catch {
                print(run.report)
                throw error
            }
            print(run.report)
            #expect(run.history.broken.isEmpty, "\(run.history.broken.prefix(20).joined(separator: "\n"))")
            #expect(run.samples.grown.isEmpty)
            #expect(!run.history.acknowledged.isEmpty || run.history.forgotten > 0)
            #expect(run.history.maps > 0)
            #expect(Set(run.injected.keys).isSuperset(of: plan.faults), "each kind of fault came")
            if plan.faults == [.serverKilled] {
                let twice = run.executions.tasksRunMoreThanOnce
                #expect(twice.isEmpty, "ran more than once: \(twice.prefix(20))")
            }
        }
    }
}
