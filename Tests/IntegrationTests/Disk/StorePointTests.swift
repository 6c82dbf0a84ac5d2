import Foundation
import Glibc
import RoostStore
import Testing

extension Integration {
    /// The server dies, or its disk fails, at each of its store's points.
    @Suite struct StorePoints {
        /// As the variable names them.
        static let points = StorePoint.allCases.map(\.rawValue)

        @Test(arguments: points)
        func `kill -9 at a point: what was acknowledged is there, and has one outcome each`(_ point: String) async throws {
            try await Stage.play { stage in
                var story = try await FaultStory(stage)
                for occurrence in Self.occurrences(point) { try await story.play("\(point):\(occurrence):kill") }
                print("store points: \(point): \(story.deaths) deaths of the server in \(story.plays) plays")
                #expect(story.deaths > 0, "the point was never reached")
            }
        }

        @Test(arguments: points)
        func `The disk fails at a point: the server stops, and says so`(_ point: String) async throws {
            try await Stage.play { stage in
                var story = try await FaultStory(stage)
                for occurrence in Self.occurrences(point).prefix(ChaosPlan.asked == nil ? 1 : 100) {
                    try await story.play("\(point):\(occurrence):fail")
                }
                #expect(story.deaths > 0, "the point was never reached")
            }
        }

        /// At which occurrences of the point: some in `make test`, many in `make chaos`.
        private static func occurrences(_ point: String) -> [Int] {
            let isLong = ChaosPlan.asked != nil
            return switch point {
            // Each is another step of what a client does.
            case "beforeTransaction", "beforeCommit", "afterCommit": isLong ? Array(1...6) : [2, 4, 6]
            case "beforePayloadWrite", "beforePayloadSync", "beforePayloadRename", "beforeDirectorySync":
                isLong ? [1, 2, 3] : [1, 2]
            default: isLong ? [1, 2] : [1]
            }
        }

        @Test func `No data directory but a test's takes faults`() async throws {
            try await Stage.play { stage in
                let arguments = ["server", "start", "--listen", "127.0.0.1:0", "--data", stage.data]
                let refused = try await stage.run(arguments, environment: ["ROOST_STORE_FAULT": "afterCommit:1:kill"])
                #expect(refused.status == 77)
                #expect(refused.errors.contains("is no data directory for tests"))
                #expect(!FileManager.default.fileExists(atPath: stage.data))
                try FaultStory.permit(stage)
                let wrong = try await stage.run(arguments, environment: ["ROOST_STORE_FAULT": "sometimes:1:kill"])
                #expect(wrong.status == 64)
                #expect(wrong.errors.contains("beforePayloadSync"))
            }
        }
    }
}

/// A job is submitted, run, read and forgotten, by a server in which something fails.
private struct FaultStory {
    let stage: Stage
    let node: RoostProcess
    private(set) var deaths = 0
    private(set) var plays = 0
    /// Acknowledged, and what its results were.
    private var known: [(job: String, results: String)] = []

    static func permit(_ stage: Stage) throws {
        try FileManager.default.createDirectory(
            atPath: stage.data, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try #require(FileManager.default.createFile(atPath: "\(stage.data)/this-data-may-be-lost", contents: nil))
    }

    init(_ stage: Stage) async throws {
        self.stage = stage
        try Self.permit(stage)
        let server = try await stage.startServer()
        node = try await stage.startNode("a", slots: 4)
        _ = try await stage.token("client")
        // Something to be forgotten.
        let job = try await stage.submit(
            "i=0; while test $i -lt 6000; do echo '" + String(repeating: "y", count: 60) + "'; i=$((i + 1)); done")
        #expect(try await stage.roost("job", "wait", job).status == 0)
        known.append((job, String(repeating: String(repeating: "y", count: 60) + "\n", count: 6000)))
        let small = try await stage.submit("echo 1")
        #expect(try await stage.roost("job", "wait", small).status == 0)
        known.append((small, "1\n"))
        try await Self.stop(server)
    }

    private static func stop(_ server: RoostProcess) async throws {
        server.signal(SIGTERM)
        _ = try await server.status()
    }

    /// Plays it once with this fault; the server is started again, without it, when it has died.
    mutating func play(_ fault: String) async throws {
        plays += 1
        let armed = try await stage.startServer(port: stage.port, environment: ["ROOST_STORE_FAULT": fault])
        var server = armed
        var hasDied = false
        // Whatever a client does goes on over the server's death.
        func look() async throws {
            guard !armed.isRunning && !hasDied else { return }
            hasDied = true
            server = try await stage.startServer(port: stage.port)
        }
        let client = ["ROOST_TOKEN": try await stage.token("client")]
        func command(_ words: [String]) async throws -> RoostProcess {
            let process = try stage.start(words, environment: client)
            try await eventually("\(fault): \(words.prefix(2).joined(separator: " "))") {
                try await look()
                return !process.isRunning
            }
            return process
        }

        // Data and results large enough for files of their own.
        let large = (1...3).flatMap { ["--env", "DATA\($0)=\(plays).\($0)" + String(repeating: "x", count: 100_000)] }
        let log = "\(stage.directory)/log-\(plays)"
        let script = "echo {} >> \(log); echo {}; test {} -gt 2 || printf '%s-{}-\(plays)\\n' $DATA1 $DATA2 $DATA3"
        let submitted = try await command(["job", "submit"] + large + [script, ":::"] + (1...8).map(String.init))
        try #require(submitted.ended == 0, "\(fault): \(submitted.errors)")
        let job = submitted.output.trimmingCharacters(in: .newlines)
        var wait = try await command(["job", "wait", job])
        while wait.ended != 0 {
            try #require(hasDied || !armed.isRunning, "\(fault): \(wait.errors)")
            wait = try await command(["job", "wait", job, "--limit", "60s"])
        }
        while known.count > 1 {
            let oldest = known.removeFirst()
            var forgot = try await command(["job", "forget", oldest.job])
            while forgot.ended != 0 && !forgot.errors.contains("no such job") {
                try #require(hasDied || !armed.isRunning, "\(fault): \(forgot.errors)")
                forgot = try await command(["job", "forget", oldest.job])
            }
        }
        // The store does this behind the forgetting.
        let after = try await command(["job", "submit", "echo {}", ":::", "1", "2", "3", "4"])
        try #require(after.ended == 0, "\(fault): \(after.errors)")
        let small = after.output.trimmingCharacters(in: .newlines)
        try await eventually("\(fault): the second job ends") {
            try await command(["job", "wait", small, "--limit", "60s"]).ended == 0
        }
        if !hasDied {
            try await Self.stop(armed)
            if armed.ended == 0 {
                server = try await stage.startServer(port: stage.port)
            } else {
                hasDied = true
            }
        }
        if hasDied {
            deaths += 1
            if fault.hasSuffix("fail") {
                #expect(armed.ended == 255, "\(fault): \(armed.errors)")
                #expect(armed.errors.contains("as ROOST_STORE_FAULT asked"), "\(armed.errors)")
            } else {
                #expect(armed.ended == 128 + SIGKILL, "\(fault): \(armed.errors)")
            }
            if !server.isRunning || server === armed { server = try await stage.startServer(port: stage.port) }
        }

        // All that was acknowledged is there, has one outcome each, and gives the same when it is read again.
        let read = try await stage.roost("job", "results", job)
        #expect(Self.expected(plays) == read.output, "\(fault): \(read.output.count) bytes")
        known += [(small, "1\n2\n3\n4\n"), (job, read.output)]
        for (job, results) in known {
            #expect(try await stage.roost("job", "results", job).output == results, "\(fault): job \(job)")
            let shown = try await stage.job(job)
            #expect(shown.text("state") == "done")
            #expect(shown.number("succeeded") == shown.number("tasks"))
        }
        let listed = try await stage.roost("job", "list", "--output", "json").objects().map { "\($0.number("job"))" }
        #expect(Set(listed) == Set(known.map(\.job)), "\(fault): forgotten jobs stay forgotten, and none came from nowhere")
        // The node lived through it all: nothing ran twice.
        let ran = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        #expect(ran.split(separator: "\n").compactMap { Int($0) }.sorted() == Array(1...8), "\(fault)")
        let checked = try await stage.run(["server", "check", "--data", stage.data])
        #expect(checked.status == 0, "\(fault): \(checked.output)\(checked.errors)")
        try await Self.stop(server)
        #expect(server.ended == 0)
    }

    private static func expected(_ play: Int) -> String {
        (1...8).map { task in
            var text = "\(task)\n"
            if task <= 2 {
                for part in 1...3 { text += "\(play).\(part)" + String(repeating: "x", count: 100_000) + "-\(task)-\(play)\n" }
            }
            return text
        }.joined()
    }
}
