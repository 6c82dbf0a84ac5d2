import Foundation
import Glibc
import RSerialization
import Roost
import RoostModel
import Testing

extension Integration {
    /// Workers of R that do not come to life, and what is left of others.
    @Suite struct RStart {
        @Test func `A task whose worker is killed while it starts is tried again`() async throws {
            try await Stage.play { stage in
                // The first two that start are struck, the spare among them.
                let (program, struck) = ("\(stage.directory)/R", "\(stage.directory)/struck")
                try """
                #!/bin/sh
                [ "$1" = --version ] && exec R --version
                if [ "$(cat '\(struck)' 2>/dev/null)" != xx ]; then printf x >>'\(struck)'; kill -9 $$; fi
                exec R "$@"
                """.write(toFile: program, atomically: false, encoding: .utf8)
                chmod(program, 0o755)
                _ = try await stage.startServer()
                _ = try await stage.startNode("a", slots: 1, "--r", program)
                let pool = try await stage.connect()
                let common = try RScript.stream(
                    "list(fun = function(x) x + 1, args = list(), globals = list(), packages = character(), options = list())")
                let job = try await pool.open(runtime: .r, common: common)
                try await job.append([0] + RItem.doubles([41]))
                try await job.closeTasks()
                var kinds: [OutcomeKind] = []
                for try await outcome in job.results { kinds.append(outcome.kind) }
                #expect(kinds == [.succeeded])
                #expect(try String(contentsOfFile: struck, encoding: .utf8) == "xx")
                await pool.close()
            }
        }

        @Test func `Temporary files of R go with its worker and its node, however those end`() async throws {
            try await Stage.play { stage in
                let directory = "\(stage.directory)/temporary"
                try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
                func left() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: directory) }
                let environment = ["TMPDIR": directory]
                _ = try await stage.startServer()
                var node = try await stage.startNode("a", slots: 1, environment: environment)
                let pool = try await stage.connect()
                let common = try RScript.stream(
                    """
                    list(fun = function(x) {
                      dir.create(tempfile()); cat("x", file = tempfile())
                      if (x == 1) tools::pskill(Sys.getpid(), 9)
                      if (x == 2) Sys.sleep(600)
                      length(dir(tempdir()))
                    }, args = list(), globals = list(), packages = character(), options = list())
                    """)
                let job = try await pool.open(runtime: .r, common: common)
                for x in [0.0, 1] { try await job.append([0] + RItem.doubles([x])) }
                try await job.closeTasks()
                var kinds: [OutcomeKind] = []
                for try await outcome in job.results { kinds.append(outcome.kind) }
                #expect(kinds.sorted { $0.rawValue < $1.rawValue } == [.succeeded, .held])
                node.signal(SIGTERM)
                #expect(try await node.status() == 0)
                #expect(try left() == [])

                node = try await stage.startNode("a", slots: 1, environment: environment)
                let endless = try await pool.open(runtime: .r, common: common)
                try await endless.append([0] + RItem.doubles([2]))
                try await endless.flush()
                try await eventually("the task has begun") {
                    try left().contains { try !FileManager.default.contentsOfDirectory(atPath: "\(directory)/\($0)").isEmpty }
                }
                node.signal(SIGKILL)
                _ = try await node.status()
                try await eventually("the guard has ended the worker") { try await stage.nodes().isEmpty }
                #expect(try left() != [])
                _ = try await stage.startNode("a", slots: 1, "--runtimes", "command", environment: environment)
                #expect(try left() == [])
                await pool.close()
            }
        }
    }
}
