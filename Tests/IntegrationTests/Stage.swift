import Foundation
import Glibc
import Roost
import Testing

/// All integration tests, one after the other: each starts several processes.
@Suite(.serialized, .timeLimit(.minutes(ChaosPlan.asked == nil ? 10 : 24 * 60))) struct Integration {}

/// A pool of real processes in a temporary directory. Everything it started is gone when its test has ended.
final class Stage {
    let directory: String
    private var processes: [RoostProcess] = []
    private var count = 0
    private(set) var address = ""
    private(set) var tokens: [String: String] = [:]

    var url: String { "roost://\(address)" }
    var data: String { "\(directory)/data" }

    /// What a command came to.
    struct Outcome {
        var status: Int32
        var output: String
        var errors: String

        /// Standard output as JSON.
        func json() throws -> Any { try JSONSerialization.jsonObject(with: Data(output.utf8)) }

        func objects() throws -> [[String: Any]] { try #require(json() as? [[String: Any]]) }
    }

    init() throws {
        directory = NSTemporaryDirectory() + "roost-test-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    /// Runs a test on a stage of its own.
    static func play(_ test: (Stage) async throws -> Void) async throws {
        let stage = try Stage()
        do {
            try await test(stage)
        } catch {
            for process in stage.processes {
                print("— \(process.arguments.joined(separator: " ")) (\(process.pid))\n\(process.errors)")
            }
            stage.end()
            throw error
        }
        stage.end()
    }

    private func end() {
        for process in processes.reversed() { process.end() }
        endGuards()
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// A guard goes on telling a server that is gone, until the lease says the same; here nobody will ever hear it.
    private func endGuards() {
        let mark = Data("HOME=\(directory)\0".utf8)
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let pid = pid_t(name), pid != getpid(),
                let environment = FileManager.default.contents(atPath: "/proc/\(name)/environ"),
                environment.range(of: mark) != nil
            else { continue }
            kill(pid, SIGKILL)
        }
    }

    // MARK: Processes

    func environment(_ more: [String: String] = [:]) -> [String: String] {
        var environment = [
            "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "HOME": directory,
            "XDG_CONFIG_HOME": "\(directory)/config", "XDG_DATA_HOME": "\(directory)/share",
            "XDG_STATE_HOME": "\(directory)/state", "TMPDIR": NSTemporaryDirectory(), "LC_ALL": "C",
        ]
        if !address.isEmpty { environment["ROOST_POOL"] = url }
        environment.merge(more) { _, new in new }
        return environment
    }

    /// - Parameters:
    ///   - program: Another one than `roost`, found in the PATH.
    ///   - prefix: What starts the program and becomes it, `nsenter` and its arguments, say.
    func start(
        _ arguments: [String], environment: [String: String] = [:], program: String? = nil, within prefix: [String] = [],
        input: Pipe? = nil
    ) throws -> RoostProcess {
        count += 1
        let process = try RoostProcess(
            arguments, program: program, within: prefix, input: input, environment: self.environment(environment),
            directory: directory, name: "process-\(count)")
        processes.append(process)
        return process
    }

    /// Forgets a process that has ended, and what it printed.
    func discard(_ process: RoostProcess) {
        processes.removeAll { $0 === process }
        process.removeFiles()
    }

    /// Runs a command to its end.
    func run(
        _ arguments: [String], environment: [String: String] = [:], within limit: Duration = .seconds(60)
    ) async throws -> Outcome {
        let process = try start(arguments, environment: environment)
        let status = try await process.status(within: limit)
        return Outcome(status: status, output: process.output, errors: process.errors)
    }

    /// Runs a command as a client (or whose token is named), and expects success.
    @discardableResult
    func roost(_ arguments: String..., as role: String = "client") async throws -> Outcome {
        let outcome = try await run(arguments, environment: ["ROOST_TOKEN": try await token(role)])
        #expect(outcome.status == 0, "\(arguments): \(outcome.errors)")
        return outcome
    }

    // MARK: The pool

    func startServer(
        host: String = "127.0.0.1", port: Int = 0, environment: [String: String] = [:], within prefix: [String] = []
    ) async throws -> RoostProcess {
        let ready = "\(directory)/ready-\(count)"
        let server = try start(
            ["server", "start", "--listen", "\(host):\(port)", "--data", data, "--ready-file", ready],
            environment: environment, within: prefix)
        try await eventually("the server listens") {
            if !server.isRunning { throw Trouble(description: "the server ended: \(server.errors)") }
            return FileManager.default.fileExists(atPath: ready)
        }
        address = try String(contentsOfFile: ready, encoding: .utf8).trimmingCharacters(in: .newlines)
        return server
    }

    var port: Int { Int(address.split(separator: ":").last ?? "") ?? 0 }

    /// A token of this role, made once.
    func token(_ role: String) async throws -> String {
        if let token = tokens[role] { return token }
        let token = try await newToken(role)
        tokens[role] = token
        return token
    }

    func newToken(_ role: String, _ more: String...) async throws -> String {
        let made = try await run(["token", "create", "--role", role, "--data", data] + more)
        #expect(made.status == 0, "\(made.errors)")
        return made.output.trimmingCharacters(in: .newlines)
    }

    func startNode(
        _ name: String, slots: Int = 2, _ more: String..., token: String? = nil, environment: [String: String] = [:]
    ) async throws -> RoostProcess {
        let ready = "\(directory)/node-ready-\(name)-\(count)"
        let secret: String
        if let token { secret = token } else { secret = try await self.token("node") }
        let node = try start(
            [
                "node", "start", "--name", name, "--slots", "\(slots)", "--state", "\(directory)/node-\(name)",
                "--ready-file", ready,
            ] + more, environment: environment.merging(["ROOST_TOKEN": secret]) { $1 })
        try await eventually("node \(name) joins") {
            if !node.isRunning { throw Trouble(description: "node \(name) ended: \(node.errors)") }
            return FileManager.default.fileExists(atPath: ready)
        }
        return node
    }

    // MARK: Looking

    /// The names of the nodes in this state.
    func nodes(_ state: String = "connected") async throws -> [String] {
        try await roost("node", "list", "--output", "json").objects()
            .filter { $0["state"] as? String == state }.compactMap { $0["name"] as? String }.sorted()
    }

    /// A job as `roost job show` tells it.
    func job(_ number: String) async throws -> [String: Any] {
        try #require(try await roost("job", "show", number, "--output", "json").objects().first)
    }

    func submit(_ words: String...) async throws -> String { try await submit(words) }

    func submit(_ words: [String]) async throws -> String {
        let token = try await token("client")
        let outcome = try await run(["job", "submit"] + words, environment: ["ROOST_TOKEN": token])
        #expect(outcome.status == 0, "\(outcome.errors)")
        return outcome.output.trimmingCharacters(in: .newlines)
    }

    func connect() async throws -> Pool { try await Pool.connect(url, token: try await token("client")) }
}

extension [String: Any] {
    func number(_ key: String) -> Int { self[key] as? Int ?? -1 }
    func text(_ key: String) -> String { self[key] as? String ?? "" }
}
