import Foundation
import Testing

extension Integration {
    /// What people read first.
    @Suite struct Help {
        @Test func `Doctor names the first thing that is wrong`() async throws {
            try await Stage.play { stage in
                let nothing = try await stage.run(["doctor"])
                #expect(nothing.status == 64)
                #expect(nothing.output.contains("no pool is named"))

                _ = try await stage.startServer()
                let token = ["ROOST_TOKEN": try await stage.token("client")]
                let lonely = try await stage.run(["doctor"], environment: token)
                #expect(lonely.status == 0)
                #expect(lonely.output.contains("no node is in the pool"))
                _ = try await stage.startNode("a")
                let well = try await stage.run(["doctor"], environment: token)
                #expect(well.output.hasSuffix("All is well.\n"))
                #expect(
                    try await stage.run(["doctor", stage.url], environment: ["ROOST_TOKEN": try await stage.token("node")]).status == 0)
                #expect(try await stage.nodes() == ["a"], "a node's token was tried, and no node joined")

                let name = try await stage.run(["doctor", "roost://no-such-host.invalid"], environment: token)
                #expect(name.status == 69)
                #expect(name.output.contains("FAILED  name"))
                let free = try RawPort.unused()
                let port = try await stage.run(["doctor", "roost://127.0.0.1:\(free)"], environment: token)
                #expect(port.status == 69)
                #expect(port.output.contains("FAILED  connection"))
                let bad = try await stage.run(["doctor"], environment: ["ROOST_TOKEN": "roost_123"])
                #expect(bad.status == 64)
                #expect(bad.output.contains("FAILED  token"))
                let url = try await stage.run(["doctor", "http://here"], environment: token)
                #expect(url.status == 64)
            }
        }

        @Test func `The first start makes a pool that this account finds without flags`() async throws {
            try await Stage.play { stage in
                let port = try RawPort.unused()
                let server = try stage.start(["server", "start", "--listen", "127.0.0.1:\(port)"])
                try await eventually("it says what to do next") { server.errors.contains("roost node start --pool") }
                let node = try stage.start(["node", "start", "--slots", "1"])
                try await eventually("the node joins without a flag") {
                    let listed = try await stage.run(["node", "list", "--output", "json"])
                    return try listed.status == 0 && listed.objects().count == 1
                }
                let second = try stage.start(["node", "start", "--slots", "1"])
                try await eventually("a second one beside it") {
                    try await stage.run(["node", "list", "--output", "json"]).objects().count == 2
                }
                #expect(try await stage.run(["node", "drain", "all"]).status == 0, "the administrator's token is at hand")
                #expect(try await node.status() == 0)
                #expect(try await second.status() == 0)
                #expect(try await stage.run(["server", "stop"]).status == 0)
                #expect(try await server.status() == 0)
                for file in ["url", "token", "admin-token", "node-token"] {
                    let path = "\(stage.directory)/config/roost/\(file)"
                    let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
                    #expect(mode == 0o600)
                }
                let gone = try await stage.run(["job", "list"])
                #expect(gone.status == 69)
                #expect(gone.errors.contains("cannot reach the pool at 127.0.0.1:\(port)"))
            }
        }

        @Test func `Every command explains itself`() async throws {
            try await Stage.play { stage in
                let verbs = [
                    [], ["server"], ["server", "start"], ["server", "status"], ["server", "stop"], ["token"],
                    ["token", "create"], ["token", "list"], ["token", "revoke"], ["node"], ["node", "start"],
                    ["node", "list"], ["node", "show"], ["node", "drain"], ["node", "kill"], ["job"], ["job", "submit"],
                    ["job", "list"], ["job", "show"], ["job", "wait"], ["job", "results"], ["job", "logs"],
                    ["job", "cancel"], ["job", "retry"], ["job", "release"], ["job", "explain"], ["job", "forget"],
                    ["doctor"],
                ]
                for verb in verbs {
                    let help = try await stage.run(verb + ["--help"])
                    #expect(help.status == 0)
                    #expect(help.output.contains("USAGE: roost"), "\(verb)")
                }
                #expect(try await stage.run(["--version"]).output.contains("."))
                #expect(try await stage.run(["--generate-completion-script", "bash"]).output.contains("roost"))
            }
        }

        @Test(arguments: [
            ["nonsense"], ["job"], ["job", "wait"], ["job", "wait", "x"], ["server", "start", "--bogus"],
            ["token", "create"], ["token", "create", "--role", "king"], ["node", "start", "--slots", "many"],
            ["server", "start", "--listen", "here:there"], ["job", "submit"], ["job", "submit", "--retries", "x", "true"],
            ["node", "start", "--memory", "lots", "--pool", "roost://localhost"],
        ])
        func `Wrong usage ends with 64 and says what is wrong`(_ arguments: [String]) async throws {
            try await Stage.play { stage in
                let outcome = try await stage.run(arguments)
                #expect(outcome.status == 64 || arguments == ["job"])
                #expect(!(outcome.errors + outcome.output).isEmpty)
            }
        }
    }
}
