import Foundation
import Glibc
import RoostTesting
import Testing

extension Integration {
    /// Processes are killed and stopped, connections fail, and no acknowledged task or outcome is lost or doubled.
    @Suite struct Chaos {
        @Test(.enabled(if: ChaosPlan.asked == nil)) func `Only the server is killed: nothing runs twice`() async throws {
            try await play(ChaosPlan.short(seed: 4, seconds: 4, faults: [.serverKilled], interval: .milliseconds(900)))
        }

        @Test(.enabled(if: ChaosPlan.asked == nil)) func `Everything that can go wrong does`() async throws {
            try await play(ChaosPlan.short(seed: 1, seconds: 8, interval: .milliseconds(260)))
        }

        /// In `make chaos` for a third of its time, and cut off for longer than it takes to be suspect.
        @Test(.enabled(if: ChaosPlan.asked?.samples == nil))
        func `Agents in network namespaces that are cut off, deaf, lossy and slow`() async throws {
            if let why = TroubledNetwork.missing {
                print("chaos: skipped: 1: network namespaces: \(why)")
                try Test.cancel("network namespaces: \(why)")
            }
            if let asked = ChaosPlan.asked {
                try await play(
                    .network(seed: asked.seed, seconds: max(30, asked.seconds / 3), interval: .seconds(2), longest: .seconds(40)))
            } else {
                try await play(.network(seed: 2, seconds: 5, interval: .milliseconds(220), longest: .seconds(4), isShort: true))
            }
        }

        /// `make chaos SECONDS=600 SEED=7`, `make soak`.
        @Test(.enabled(if: ChaosPlan.asked != nil))
        func `A long run`() async throws {
            try await play(try #require(ChaosPlan.asked))
        }

        /// In `make chaos` a hundred thousand.
        @Test(.enabled(if: ChaosPlan.asked?.samples == nil))
        func `Thousands of tasks in flight when the server is killed: none is lost, doubled or run twice`() async throws {
            let count = ChaosPlan.asked == nil ? 4000 : 100_000
            try await Stage.play { stage in
                var server = try await stage.startServer()
                for name in ["a", "b", "c"] { _ = try await stage.startNode(name, slots: 8, "--runtimes", "command") }
                let (inputs, log) = ("\(stage.directory)/inputs", "\(stage.directory)/log")
                // All of the same width, so that the log's size counts them.
                let words = (1...count).map { "\(1_000_000 + $0)\n" }
                try words.joined().write(toFile: inputs, atomically: false, encoding: .utf8)
                let job = try await stage.submit("echo {} >> \(log); echo {}", "::::", inputs)
                var inFlight: [Int] = []
                for share in [0.0, 0.2, 0.5, 0.8] {
                    var done = 0
                    try await eventually("\(share) of the tasks have run", within: .seconds(600)) {
                        var status = stat()
                        done = stat(log, &status) == 0 ? Int(status.st_size) / 8 : 0
                        return Double(done) >= share * Double(count)
                    }
                    server.signal(SIGKILL)
                    #expect(try await server.status() == 128 + SIGKILL)
                    inFlight.append(count - done)
                    server = try await stage.startServer(port: stage.port)
                }
                #expect(
                    try await stage.run(
                        ["job", "wait", job], environment: ["ROOST_TOKEN": try await stage.token("client")],
                        within: .seconds(1200)
                    ).status == 0)
                let ran = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
                print("chaos: \(count) tasks, the server killed with \(inFlight) in flight: \(ran.count) runs")
                #expect(ran.count == count)
                #expect(Set(ran).count == count)
                #expect(try await stage.roost("job", "results", job).output == words.joined())
                #expect(try await stage.job(job).number("succeeded") == count)
            }
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
            #expect(run.history.durable.jobs > 0)
            #expect(run.history.maps.jobs > 0)
            #expect(run.history.sessions.jobs > 0 || plan.rSessions == 0)
            #expect(Set(run.injected.keys).isSuperset(of: plan.kinds), "each kind of fault came")
            if plan.kinds == [.serverKilled] {
                let twice = run.history.executions.tasksRunMoreThanOnce
                #expect(twice.isEmpty, "ran more than once: \(twice.prefix(20))")
            }
        }
    }
}
