import Foundation
import Glibc
import Testing

extension Integration {
    /// A server that does not take what nodes have for it.
    @Suite struct ResultBacklog {
        /// The bytes of files without a name that the process has open under `directory`.
        private static func storedBytes(_ process: RoostProcess, under directory: String) -> Int {
            let descriptors = "/proc/\(process.pid)/fd"
            return ((try? FileManager.default.contentsOfDirectory(atPath: descriptors)) ?? []).reduce(0) { sum, name in
                let path = "\(descriptors)/\(name)"
                guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path),
                    target.hasPrefix(directory + "/"), target.hasSuffix("(deleted)")
                else { return sum }
                var facts = stat()
                return stat(path, &facts) == 0 ? sum + Int(facts.st_size) : sum
            }
        }

        private static func count(_ prefix: String, in directory: String) -> Int {
            ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).count { $0.hasPrefix(prefix) }
        }

        @Test func `Results that the server does not take wait on the node's disk, and all come once`() async throws {
            try await Stage.play { stage in
                let server = try await stage.startServer()
                let node = try await stage.startNode("a", slots: 40, "--result-memory", "2M")
                let work = """
                    touch \(stage.directory)/began-{}; while ! test -e \(stage.directory)/gate; do sleep 0.1; done
                    head -c 1000000 /dev/zero | tr '\\0' x; echo {}
                    """
                let inputs = (1...40).map { "\($0)" }
                let job = try await stage.submit([work, ":::"] + inputs)
                try await eventually("all run") { Self.count("began-", in: stage.directory) == 40 }
                server.signal(SIGSTOP)
                #expect(FileManager.default.createFile(atPath: "\(stage.directory)/gate", contents: nil))
                // What is in memory, and what the kernel holds of it on the way, is less than the rest.
                let home = "\(stage.directory)/node-a"
                try await eventually("the results are on the disk") { Self.storedBytes(node, under: home) > 30_000_000 }
                server.signal(SIGKILL)
                server.signal(SIGCONT)
                #expect(try await server.status() == 128 + SIGKILL)
                _ = try await stage.startServer(port: stage.port)
                #expect(try await stage.roost("job", "wait", job).status == 0)
                let lines = try await stage.roost("job", "results", job).output.split(separator: "\n")
                #expect(lines.count == 40)
                #expect(Set(lines.map { String($0.drop { $0 == "x" }) }) == Set(inputs))
                #expect(lines.allSatisfy { $0.utf8.count > 1_000_000 })
                let shown = try await stage.job(job)
                #expect(shown.number("succeeded") == 40, "\(shown)")
                try await eventually("the disk is free again") { Self.storedBytes(node, under: home) == 0 }
                #expect(!node.errors.contains("results"), "\(node.errors)")
            }
        }

        /// It was told that the link is full, and never that the link is gone.
        @Test func `What waits with its output for a full link goes on when the link is gone`() async throws {
            try await Stage.play { stage in
                let server = try await stage.startServer()
                _ = try await stage.startNode("a")
                let work = """
                    touch \(stage.directory)/began; while ! test -e \(stage.directory)/gate; do sleep 0.1; done
                    for i in $(seq 100); do head -c 1000000 /dev/zero | tr '\\0' x; echo $i > \(stage.directory)/written; done
                    touch \(stage.directory)/done
                    """
                let mapping = try stage.start(
                    ["map", "--pool", stage.url, "-u", work, ":::", "1"], environment: ["ROOST_TOKEN": try await stage.token("client")])
                try await eventually("it runs") { Self.count("began", in: stage.directory) == 1 }
                server.signal(SIGSTOP)
                #expect(FileManager.default.createFile(atPath: "\(stage.directory)/gate", contents: nil))
                var before: (text: String, since: ContinuousClock.Instant) = ("", .now)
                try await eventually("it waits for the link") {
                    let written = (try? String(contentsOfFile: "\(stage.directory)/written", encoding: .utf8)) ?? ""
                    if written != before.text { before = (written, .now) }
                    return !written.isEmpty && before.since.duration(to: .now) > .seconds(1)
                }
                #expect(Self.count("done", in: stage.directory) == 0)
                server.signal(SIGKILL)
                server.signal(SIGCONT)
                try await eventually("it goes on") { Self.count("done", in: stage.directory) == 1 }
                mapping.signal(SIGKILL)
            }
        }
    }
}
