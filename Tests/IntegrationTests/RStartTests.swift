import Foundation
import Glibc
import RSerialization
import Roost
import RoostModel
import Testing

extension Integration {
    /// Workers of R that do not come to life.
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
    }
}
