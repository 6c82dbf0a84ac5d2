import Foundation
import Glibc
import Roost
import RoostModel
import Testing

extension Integration {
    /// Things die, and no task is lost.
    @Suite struct Accidents {
        @Test func `What a stopped agent runs of a strict job is over when it starts elsewhere`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                let a = try await stage.startNode("a")
                let mark = "mark-\(UUID().uuidString)"
                let (gate, log) = ("\(stage.directory)/gate", "\(stage.directory)/log")
                let job = try await stage.submit(
                    "--strict", "--lease", "5s", "--env", "ROOST_TEST=\(mark)",
                    "echo begin >> \(log); while ! test -e \(gate); do sleep 0.05; done; echo {}", ":::", "1")
                try await eventually("it runs") { FileManager.default.fileExists(atPath: log) }
                // It will not see to anything: its guard does.
                a.signal(SIGSTOP)
                try await eventually("it is over", within: .seconds(60)) { Marked.processes(mark).isEmpty }
                #expect(a.isRunning)
                #expect(FileManager.default.createFile(atPath: gate, contents: nil))
                _ = try await stage.startNode("b")
                #expect(try await stage.roost("job", "wait", job, "--limit", "120s").status == 0)
                #expect(try await stage.roost("job", "results", job).output == "1\n")
                #expect(try String(contentsOfFile: log, encoding: .utf8) == "begin\nbegin\n")
                // What it hears when it goes on is nothing new.
                a.signal(SIGCONT)
                try await eventually("it is back") { try await stage.nodes().sorted() == ["a", "b"] }
                #expect(try await stage.job(job).number("succeeded") == 1)
            }
        }

        @Test func `kill -9 of an agent leaves no command behind and its tasks move at once`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                let a = try await stage.startNode("a")
                let mark = "mark-\(UUID().uuidString)"
                let gate = "\(stage.directory)/gate"
                // What runs on the first node never ends by itself; elsewhere the gate is open by then.
                let job = try await stage.submit(
                    "--env", "ROOST_TEST=\(mark)",
                    "echo {} >> \(stage.directory)/begun; while ! test -e \(gate); do sleep 0.05; done; echo {}", ":::",
                    "1", "2", "3", "4", "5", "6")
                try await eventually("two tasks run") {
                    ((try? String(contentsOfFile: "\(stage.directory)/begun", encoding: .utf8)) ?? "").split(separator: "\n").count == 2
                }
                #expect(!Marked.processes(mark).isEmpty)
                a.signal(SIGKILL)
                #expect(try await a.status() == 128 + SIGKILL)
                try await eventually("nothing of it is left") { Marked.processes(mark).isEmpty }
                try await eventually("the guard has reported and gone") {
                    let nodes = try await stage.nodes()
                    return nodes.isEmpty && Marked.processes("\(stage.url)\u{0}").filter { Self.isGuard($0) }.isEmpty
                }
                #expect(FileManager.default.createFile(atPath: gate, contents: nil))
                _ = try await stage.startNode("b")
                // The lease is five minutes; the guard's word is what makes this quick.
                #expect(try await stage.roost("job", "wait", job, "--limit", "60s").status == 0)
                #expect(try await stage.roost("job", "results", job).output == "1\n2\n3\n4\n5\n6\n")
                #expect(try await stage.job(job).number("lost") == 2)
            }
        }

        private static func isGuard(_ pid: Int32) -> Bool {
            FileManager.default.contents(atPath: "/proc/\(pid)/cmdline")?.range(of: Data("\u{0}guard\u{0}".utf8)) != nil
        }

        @Test func `SIGTERM drains a node: what runs is finished, what waits moves`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                let a = try await stage.startNode("a", slots: 1)
                let gate = "\(stage.directory)/gate"
                let begun = "\(stage.directory)/begun"
                let job = try await stage.submit(
                    "touch \(begun); while ! test -e \(gate); do sleep 0.02; done; echo {}", ":::", "1", "2", "3")
                try await eventually("a task runs") { FileManager.default.fileExists(atPath: begun) }
                a.signal(SIGTERM)
                try await eventually("it drains") { try await stage.nodes("draining") == ["a"] }
                _ = try await stage.startNode("b", slots: 1)
                #expect(FileManager.default.createFile(atPath: gate, contents: nil))
                #expect(try await a.status() == 0)
                #expect(try await stage.roost("job", "wait", job).status == 0)
                let shown = try await stage.job(job)
                #expect(shown.number("attempts") >= 3)
                #expect(shown.number("lost") == 0)
                #expect(try await stage.roost("job", "show", job, "0").output.contains("on a"))
            }
        }

        @Test func `A second SIGTERM stops a node at once`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                let a = try await stage.startNode("a")
                let mark = "mark-\(UUID().uuidString)"
                _ = try await stage.submit("--env", "ROOST_TEST=\(mark)", "sleep", "1000")
                try await eventually("it runs") { !Marked.processes(mark).isEmpty }
                a.signal(SIGTERM)
                try await eventually("it drains") { a.errors.contains("draining") }
                a.signal(SIGTERM)
                #expect(try await a.status() == 0)
                try await eventually("nothing is left") { Marked.processes(mark).isEmpty }
            }
        }

        @Test func `A server that is killed and started again: clients and nodes go on`() async throws {
            try await Stage.play { stage in
                let server = try await stage.startServer()
                _ = try await stage.startNode("a")
                let gate = "\(stage.directory)/gate"
                let log = "\(stage.directory)/log"
                let pool = try await stage.connect()
                let job = try await pool.submit(
                    commands: (0..<20).map { index in
                        .shell("echo \(index) >> \(log); while ! test -e \(gate); do sleep 0.02; done; echo \(index)")
                    })
                try await eventually("two run") { Self.lines(log).count == 2 }
                server.signal(SIGKILL)
                #expect(try await server.status() == 128 + SIGKILL)
                let port = stage.port
                _ = try await stage.startServer(port: port)
                try await eventually("the node is back") { try await stage.nodes() == ["a"] }
                #expect(FileManager.default.createFile(atPath: gate, contents: nil))
                var seen: [Int: String] = [:]
                for try await outcome in job.results {
                    #expect(seen[outcome.task] == nil, "task \(outcome.task) came twice")
                    seen[outcome.task] = outcome.command.map { String(decoding: $0.stdout.head, as: UTF8.self) }
                }
                await pool.close()
                #expect(seen == Dictionary(uniqueKeysWithValues: (0..<20).map { ($0, "\($0)\n") }))
                #expect(Set(Self.lines(log)).count == 20)
            }
        }

        @Test func `A hundred tasks across a node that stops and goes on`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                let a = try await stage.startNode("a")
                _ = try await stage.startNode("b")
                let log = "\(stage.directory)/log"
                let inputs = (1...100).map { "\($0)" }
                let token = ["ROOST_TOKEN": try await stage.token("client")]
                let submitted = try await stage.run(
                    ["job", "submit", "echo {} >> \(log); sleep 0.05; echo {}", ":::"] + inputs, environment: token)
                let job = submitted.output.trimmingCharacters(in: .newlines)
                try await eventually("some have run") { Self.lines(log).count >= 10 }
                a.signal(SIGSTOP)
                try await eventually("the other goes on") { Self.lines(log).count >= 60 }
                a.signal(SIGCONT)
                #expect(try await stage.roost("job", "wait", job).status == 0)
                #expect(try await stage.roost("job", "results", job).output == inputs.map { "\($0)\n" }.joined())
                #expect(Self.lines(log).count == 100, "a pause is no reason to run anything twice")
            }
        }

        private static func lines(_ file: String) -> [Substring] {
            ((try? String(contentsOfFile: file, encoding: .utf8)) ?? "").split(separator: "\n")
        }
    }
}
