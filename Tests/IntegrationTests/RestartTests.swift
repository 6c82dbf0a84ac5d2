import Foundation
import Glibc
import Roost
import RoostModel
import Testing

extension Integration {
    /// Durable jobs over a server that is killed and started again, seen from the command line.
    @Suite struct Restarts {
        /// A job whose tasks print, and then wait for the gate; the first two need no gate.
        private static func line(_ stage: Stage) -> String {
            "test {} -le 2 || while ! test -e \(stage.directory)/gate; do sleep 0.02; done; echo out {}; echo err {} >&2; test {} != 4"
        }

        private static let inputs = ["1", "2", "3", "4", "5", "6"]

        private static func open(_ stage: Stage) {
            #expect(FileManager.default.createFile(atPath: "\(stage.directory)/gate", contents: nil))
        }

        private static func restart(_ server: RoostProcess, _ stage: Stage) async throws {
            server.signal(SIGKILL)
            #expect(try await server.status() == 128 + SIGKILL)
            _ = try await stage.startServer(port: stage.port)
        }

        @Test func `attach, wait and results go on over a restart`() async throws {
            try await Stage.play { stage in
                let server = try await stage.startServer()
                _ = try await stage.startNode("a")
                let job = try await stage.submit([Self.line(stage), ":::"] + Self.inputs)
                let token = ["ROOST_TOKEN": try await stage.token("client")]
                let attached = try stage.start(["job", "attach", job], environment: token)
                let ordered = try stage.start(["job", "attach", "-k", job], environment: token)
                let waiting = try stage.start(["job", "wait", job], environment: token)
                let following = try stage.start(["job", "results", "--follow", job], environment: token)
                try await eventually("what has ended is shown") {
                    Set(attached.output.split(separator: "\n")) == ["out 1", "out 2"] && ordered.output == "out 1\nout 2\n"
                        && following.output == "out 1\nout 2\n"
                }
                try await Self.restart(server, stage)
                try await eventually("the node is back") { try await stage.nodes() == ["a"] }
                for process in [attached, ordered, waiting, following] { #expect(process.isRunning, "\(process.errors)") }
                Self.open(stage)
                let outputs = Self.inputs.map { "out \($0)" }
                #expect(try await waiting.status() == 1)
                #expect(try await attached.status() == 1)
                #expect(try await ordered.status() == 1)
                #expect(try await following.status() == 0)
                #expect(attached.output.split(separator: "\n").map(String.init).sorted() == outputs)
                #expect(ordered.output == outputs.map { "\($0)\n" }.joined())
                #expect(following.output == ordered.output)
                #expect(ordered.errors.contains("err 4"))
                // Whoever comes later sees the same; with the job's id, too.
                let shown = try await stage.job(job)
                #expect(shown["durable"] as? Bool == true)
                let later = try await stage.run(["job", "attach", "-k", shown.text("id")], environment: token)
                #expect(later.status == 1)
                #expect(later.output == ordered.output)
            }
        }

        @Test func `Ctrl-C leaves the job alone, and nobody else may attach`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                _ = try await stage.startNode("a")
                let job = try await stage.submit([Self.line(stage), ":::"] + Self.inputs)
                let token = ["ROOST_TOKEN": try await stage.token("client")]
                let attached = try stage.start(["job", "attach", job], environment: token)
                try await eventually("it shows something") { attached.output.contains("out 1") }
                attached.signal(SIGINT)
                #expect(try await attached.status() == 130)
                #expect(attached.errors.contains("job \(job) goes on"))
                let stranger = try await stage.newToken("client", "--name", "stranger")
                let refused = try await stage.run(["job", "attach", job], environment: ["ROOST_TOKEN": stranger])
                #expect(refused.status == 77, "\(refused.errors)")
                #expect(refused.output.isEmpty)
                Self.open(stage)
                #expect(try await stage.run(["job", "wait", job], environment: token).status == 1)
                #expect(try await stage.job(job).number("cancelled") == 0)
            }
        }

        @Test func `map --detach says where the job is, and the server has it`() async throws {
            try await Stage.play { stage in
                let server = try await stage.startServer()
                let token = ["ROOST_TOKEN": try await stage.token("client")]
                let detached = try await stage.run(
                    ["map", "--pool", stage.url, "--detach", "echo {}", ":::", "a", "b"], environment: token)
                #expect(detached.status == 0, "\(detached.errors)")
                let job = detached.output.trimmingCharacters(in: .newlines)
                #expect(UInt32(job) != nil)
                #expect(detached.errors.contains("is durable, on the server's disk"))
                try await Self.restart(server, stage)
                #expect(detached.errors.contains(try await stage.job(job).text("id")))
                #expect(try await stage.roost("job", "list").output.contains("durable"))
                #expect(try await stage.roost("job", "show", job).output.contains("durable: on the server's disk"))
                _ = try await stage.startNode("a")
                #expect(try await stage.roost("job", "attach", "-k", job).output == "a\nb\n")
            }
        }

        @Test func `Ctrl-C while a job is submitted cancels what has arrived of it`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                let token = ["ROOST_TOKEN": try await stage.token("client")]
                // Inputs from a pipe that stays open.
                let inputs = "\(stage.directory)/inputs"
                #expect(mkfifo(inputs, 0o600) == 0)
                let submitting = try stage.start(["job", "submit", "echo {}", "::::", inputs], environment: token)
                let pipe = Glibc.open(inputs, O_WRONLY)
                defer { Glibc.close(pipe) }
                let lines = [UInt8](String(repeating: "some input\n", count: 100_000).utf8)
                #expect(write(pipe, lines, lines.count) == lines.count)
                try await eventually("the server has some of it") {
                    try await stage.roost("job", "list", "--output", "json").objects().first?.number("tasks") ?? 0 > 0
                }
                submitting.signal(SIGINT)
                #expect(try await submitting.status() == 130, "\(submitting.errors)")
                #expect(submitting.output.isEmpty)
                #expect(submitting.errors.contains("what has arrived of the job is cancelled"))
                let job = try await stage.job("last")
                #expect(job.number("cancelled") == job.number("tasks"))
                #expect(job["closed"] as? Bool == true)
            }
        }

        @Test func `A durable job of a Swift program is on the disk when submit returns`() async throws {
            try await Stage.play { stage in
                let server = try await stage.startServer()
                var options = JobOptions()
                options.retention = .durable
                let pool = try await stage.connect()
                let commands = (0..<5000).map { Command.shell("echo \($0)") }
                let job = try await pool.submit(commands: commands, options: options)
                // At once: nothing but what submit has waited for is there.
                server.signal(SIGKILL)
                #expect(try await server.status() == 128 + SIGKILL)
                _ = try await stage.startServer(port: stage.port)
                let shown = try #require(
                    try await stage.roost("job", "list", "--output", "json").objects().first { $0.number("tasks") == 5000 })
                #expect(shown["closed"] as? Bool == true)
                try await job.cancel()
                await pool.close()
            }
        }
    }
}
