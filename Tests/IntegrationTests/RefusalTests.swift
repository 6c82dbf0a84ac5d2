import Foundation
import Glibc
import NIOCore
import NIOPosix
import Testing

extension Integration {
    /// Who must not get in does not, hears why, and disturbs nobody.
    @Suite struct Refusals {
        @Test func `Tokens that are wrong, expired, revoked or for something else`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                _ = try await stage.startNode("a")
                let gate = "\(stage.directory)/gate"
                let job = try await stage.submit("while ! test -e \(gate); do sleep 0.02; done")

                func list(_ token: String) async throws -> Stage.Outcome {
                    try await stage.run(["node", "list"], environment: ["ROOST_TOKEN": token])
                }
                let good = try await stage.token("client")
                let mistyped = try await list(good.dropLast(6) + "222222")
                #expect(mistyped.status == 64)
                #expect(mistyped.errors.contains("mistyped"))
                let noToken = try await list("hello")
                #expect(noToken.status == 64)
                #expect(noToken.errors.contains("not a Roost token"))

                let none = try await stage.run(["node", "list"])
                #expect(none.status == 77)
                #expect(none.errors.contains("a token is needed"))

                let brief = try await stage.newToken("client", "--ttl", "1s")
                try await eventually("it expires") { try await list(brief).status == 77 }
                #expect(try await list(brief).errors.contains("expired"))

                let node = try await list(try await stage.token("node"))
                #expect(node.status == 77)
                #expect(node.errors.contains("role is node"))
                let client = try await stage.run(
                    ["node", "start", "--state", "\(stage.directory)/x"], environment: ["ROOST_TOKEN": good])
                #expect(client.status == 77)
                #expect(client.errors.contains("role is client"))
                #expect(client.errors.contains("roost token create --role node"))

                let observer = ["ROOST_TOKEN": try await stage.token("observer")]
                #expect(try await stage.run(["node", "list"], environment: observer).status == 0)
                let submitted = try await stage.run(["job", "submit", "true"], environment: observer)
                #expect(submitted.status == 77)
                let drained = try await stage.run(["node", "drain", "a"], environment: ["ROOST_TOKEN": good])
                #expect(drained.status == 77)
                #expect(drained.errors.contains("administrator"))
                let made = try await stage.run(
                    ["token", "create", "--role", "admin", "--pool", stage.url], environment: ["ROOST_TOKEN": good])
                #expect(made.status == 77)

                #expect(FileManager.default.createFile(atPath: gate, contents: nil))
                #expect(try await stage.roost("job", "wait", job).status == 0)
                #expect(try await stage.nodes() == ["a"])
            }
        }

        @Test func `Users see each other's jobs and leave them alone`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                _ = try await stage.startNode("a")
                let job = try await stage.submit("echo mine; exit 1")
                let mine = ["ROOST_TOKEN": try await stage.token("client")]
                #expect(try await stage.run(["job", "wait", job], environment: mine).status == 1)
                let other = ["ROOST_TOKEN": try await stage.newToken("client", "--name", "somebody")]
                #expect(try await stage.run(["job", "list"], environment: other).output.contains("failed"))
                for verb in ["cancel", "results", "logs", "forget", "retry"] {
                    let outcome = try await stage.run(["job", verb, job], environment: other)
                    #expect(outcome.status == 77, "\(verb): \(outcome.errors)\(outcome.output)")
                    #expect(outcome.errors.contains("belongs to"))
                    #expect(!outcome.output.contains("mine"))
                }
                let shown = try await stage.run(["job", "show", job], environment: other)
                #expect(shown.output.contains("1 failed"))
                #expect(!shown.output.contains("exit status"), "evidence is the owner's")
                try await stage.roost("job", "retry", job, as: "admin")
                let unfit = try await stage.submit("--label", "zone=nowhere", "true")
                let results = try await stage.run(["job", "results", unfit], environment: other)
                #expect(results.status == 77, "a job without outcomes: \(results.errors)")
            }
        }

        @Test func `Revoking a token ends its connections`() async throws {
            try await Stage.play { stage in
                _ = try await stage.startServer()
                let token = try await stage.newToken("node", "--name", "lab")
                let node = try await stage.startNode("a", token: token)
                let admin = try await stage.token("admin")
                let listed = try await stage.run(
                    ["token", "list", "--pool", stage.url, "--output", "json"], environment: ["ROOST_TOKEN": admin])
                let id = try #require(try listed.objects().first { $0.text("user") == "lab" }).text("id")
                let revoked = try await stage.run(
                    ["token", "revoke", id, "--pool", stage.url], environment: ["ROOST_TOKEN": admin])
                #expect(revoked.status == 0)
                #expect(revoked.errors.contains("revoked 1 token"))
                #expect(try await node.status() == 77)
                #expect(node.errors.contains("revoked"))
                let again = try await stage.run(["token", "revoke", "nobody-here", "--data", stage.data])
                #expect(again.status == 255)
                #expect(again.errors.contains("no token has the id"))
            }
        }

        @Test func `A server of another pool`() async throws {
            try await Stage.play { other in
                _ = try await other.startServer()
                let foreign = try await other.token("client")
                try await Stage.play { stage in
                    _ = try await stage.startServer()
                    let outcome = try await stage.run(["server", "status"], environment: ["ROOST_TOKEN": foreign])
                    #expect(outcome.status == 77)
                    #expect(outcome.errors.contains("belongs to another pool"))
                    let doctor = try await stage.run(["doctor"], environment: ["ROOST_TOKEN": foreign])
                    #expect(doctor.status == 77)
                    #expect(doctor.output.contains("FAILED  welcome"))
                }
            }
        }

        @Test func `Browsers and noise on the port`() async throws {
            try await Stage.play { stage in
                let server = try await stage.startServer()
                _ = try await stage.startNode("a")
                let http = try RawConnection.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n", port: stage.port)
                #expect(http.hasPrefix("HTTP/1.1 400"))
                #expect(http.contains("does not speak HTTP"))
                var dice = SystemRandomNumberGenerator()
                for length in [1, 3, 64, 4096] {
                    var bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &dice) }
                    // A lone handshake byte would be waited for, politely.
                    if bytes[0] == 0x16 { bytes[0] = 0x17 }
                    _ = try RawConnection.exchange(bytes, port: stage.port)
                }
                // A record that begins like TLS and goes on like nothing.
                _ = try RawConnection.exchange([0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5, 6, 7], port: stage.port)
                #expect(server.isRunning)
                #expect(try await stage.nodes() == ["a"])
                let job = try await stage.submit("true")
                #expect(try await stage.roost("job", "wait", job).status == 0)
            }
        }

        @Test func `A port in use, a directory in use`() async throws {
            try await Stage.play { stage in
                let server = try await stage.startServer()
                let port = try await stage.run(
                    ["server", "start", "--listen", stage.address, "--data", "\(stage.directory)/other"])
                #expect(port.status == 255)
                #expect(port.errors.contains("cannot listen on 127.0.0.1:\(stage.port)"))
                #expect(port.errors.contains("in use"))
                let data = try await stage.run(["server", "start", "--listen", "127.0.0.1:0", "--data", stage.data])
                #expect(data.status == 255)
                #expect(data.errors.contains("process \(server.pid)) is using \(stage.data) already"))
                _ = try await stage.startNode("a")
                let node = try await stage.run(
                    ["node", "start", "--state", "\(stage.directory)/node-a"],
                    environment: ["ROOST_TOKEN": try await stage.token("node")])
                #expect(node.status == 255)
                #expect(node.errors.contains("in use by another agent"))
                #expect(try await stage.nodes() == ["a"])
            }
        }

        @Test func `Plain TCP is for this machine only`() async throws {
            try await Stage.play { stage in
                let outcome = try await stage.run(
                    ["server", "start", "--plain", "--listen", "0.0.0.0:0", "--data", stage.data])
                #expect(outcome.status == 64)
                #expect(outcome.errors.contains("loopback only"))
            }
        }
    }
}

/// A TCP connection that says something and hears what comes until the other side closes.
enum RawConnection {
    static func exchange(_ text: String, port: Int) throws -> String {
        String(decoding: try exchange(Array(text.utf8), port: port), as: UTF8.self)
    }

    static func exchange(_ bytes: [UInt8], port: Int) throws -> [UInt8] {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var limit = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(connected == 0)
        try #require(send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count)
        // What is said is all there is.
        shutdown(descriptor, Int32(SHUT_WR))
        var heard: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return heard }
            heard += buffer[..<count]
        }
    }
}
