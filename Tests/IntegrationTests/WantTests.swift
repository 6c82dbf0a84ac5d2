import Foundation
import Glibc
import Testing

extension Integration {
    /// Work that nothing can run does not wait without a word.
    @Suite struct Wants {
        @Test func `map and job wait say why nothing runs, and go on when a node that fits joins`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                let token = ["ROOST_TOKEN": try await stage.token("client")]
                let map = try stage.start(["map", "--pool", stage.url, "--label", "zone=b", "echo {}", ":::", "1"], environment: token)
                let job = try await stage.submit("--label", "zone=b", "echo 2")
                let wait = try stage.start(["job", "wait", job], environment: token)
                try await eventually("both say that there is no node") {
                    [map, wait].allSatisfy { $0.errors.contains("no node is in the pool") }
                }
                let unfit = try await stage.startNode("far", "--label", "zone=a")
                let other = try stage.start(["job", "wait", job], environment: token)
                try await eventually("it says what the node lacks") { other.errors.contains("far lacks label zone=b") }
                _ = try await stage.startNode("near", "--label", "zone=b")
                for process in [map, wait, other] { #expect(try await process.status() == 0, "\(process.errors)") }
                #expect(map.output == "1\n")
                for process in [map, wait] { #expect(process.errors.split(separator: "\n").filter { $0.contains("waits: ") }.count == 1) }
                _ = unfit
            }
        }
    }
}
