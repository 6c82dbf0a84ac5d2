import Foundation
import NIOCore
import RoostModel
import RoostWire
import Testing

/// Our codec is written by hand; docs/roost.proto is the contract, and protoc, when it is installed, the judge.
@Suite struct ContractTests {
    private static let protoc = ["/usr/bin/protoc", "/usr/local/bin/protoc"]
        .first { FileManager.default.isExecutableFile(atPath: $0) }

    /// The message type of each number.
    static func type(of number: MessageNumber) -> String {
        switch number {
        case .submit, .job: "JobSpec"
        case .append: "Append"
        case .close, .acknowledge, .appended, .retract, .forget: "JobAndNumber"
        case .read: "Read"
        case .setup, .nodeSetup: "SetupEntry"
        case .setupHeld, .forgetSession: "SetupHeld"
        case .watch, .watchTasks: "Watch"
        case .query: "Query"
        case .clientHeartbeat, .clientGoodbye, .serverHeartbeat, .drain: "Empty"
        case .submitted: "Submitted"
        case .delivery, .outcomes: "OutcomeBatch"
        case .progress, .ended: "JobProgress"
        case .refused: "Refused"
        case .reply: "Reply"
        case .output, .nodeOutput: "OutputChunk"
        case .condition, .nodeCondition: "TaskCondition"
        case .retracted: "Retracted"
        case .running, .cancel, .drop: "Attempts"
        case .nodeHeartbeat: "NodeStatus"
        case .draining, .nodeGoodbye, .shutDown: "Reason"
        case .grant: "Grant"
        case .killWorker: "Signal"
        case .acknowledgeOutcomes: "Sequences"
        case .heartbeatInterval: "HeartbeatInterval"
        }
    }

    /// protoc reads our bytes, and writes them again exactly as we did.
    @Test(.enabled(if: ContractTests.protoc != nil), arguments: 0..<3)
    func protocReadsAndWritesTheSameBytes(seed: Int) throws {
        var dice = Dice(seed: 500 + UInt64(seed))
        var samples: [(type: String, bytes: [UInt8])] = []
        func add(_ message: some WireMessage) {
            samples.append((Self.type(of: message.number), Array(encoded(message).readableBytesView.dropFirst(2))))
        }
        dice.clientToServer().forEach(add)
        dice.serverToClient().forEach(add)
        dice.nodeToServer().forEach(add)
        dice.serverToNode().forEach(add)
        for hello in dice.hellos() {
            var writer = ProtobufWriter()
            hello.encode(into: &writer)
            samples.append(("Hello", Array(writer.buffer.readableBytesView)))
        }
        samples.append(("CommandResult", dice.commandResult().payload))
        samples.append(("CommandArgument", CommandArgument.direct([[1, 2], [], [255]]).payload))
        samples.append(("CommandCommon", CommandCommon(workingDirectory: "", outputHeadBytes: 7).payload))
        for sample in samples {
            let text = try run("--decode=roost.\(sample.type)", input: sample.bytes)
            #expect(!text.isEmpty || sample.bytes.isEmpty, "\(sample.type)")
            // A field that the contract does not have would be shown by its number alone.
            let shown = String(decoding: text, as: UTF8.self)
            #expect(!shown.split(separator: "\n").contains { $0.drop { $0 == " " }.first?.isNumber == true })
            #expect(try run("--encode=roost.\(sample.type)", input: text) == sample.bytes, "\(sample.type)\n\(shown)")
        }
    }

    private func run(_ mode: String, input: [UInt8]) throws -> [UInt8] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.protoc ?? "")
        process.arguments = ["--proto_path=\(Self.docs)", mode, "roost.proto"]
        let (stdin, stdout, stderr) = (Pipe(), Pipe(), Pipe())
        process.standardInput = stdin
        process.standardOutput = stdout
        process.standardError = stderr
        try process.run()
        try stdin.fileHandleForWriting.write(contentsOf: Data(input))
        try stdin.fileHandleForWriting.close()
        let output = try stdout.fileHandleForReading.readToEnd() ?? Data()
        let complaint = try stderr.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(mode): \(String(decoding: complaint, as: UTF8.self))")
        return Array(output)
    }

    static let docs = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("docs").path

    // MARK: Golden bytes

    /// The table in docs/protocol.md: every row's bytes are what we write for the value of that name, and read back
    /// as that value.
    @Test func goldenBytesAreAsDocumented() throws {
        let text = try String(contentsOfFile: "\(Self.docs)/protocol.md", encoding: .utf8)
        var documented: [String: String] = [:]
        for line in text.split(separator: "\n") where line.hasPrefix("| `golden-") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard cells.count == 3 else { continue }
            documented[cells[0].filter { $0 != "`" }] = cells[2].filter { $0 != "`" && $0 != " " }
        }
        for (name, bytes) in Self.golden {
            let hex = bytes.map { String(format: "%02x", $0) }.joined()
            #expect(documented[name] == hex, "| `\(name)` | … | `\(hex)` |")
        }
        #expect(documented.count == Self.golden.count)
    }

    private static let golden: [(String, [UInt8])] = {
        let job = JobID(rawValue: 0x0102_0304_0506_0708)
        func body(_ message: some WireMessage) -> [UInt8] { Array(encoded(message).readableBytesView) }
        var spec = JobSpec(id: job, name: "demo", runtime: .command, common: [1, 2, 3], retention: .durable)
        spec.policy.timeout = .seconds(1)
        let arguments = PayloadSlice(PayloadArray([[0x61], [0x62, 0x63], []]))
        var batch = OutcomeBatch(job: job, epoch: 2, node: "n1")
        batch.append(task: 5, attempt: 1, code: .succeeded, payload: [0x78])
        batch.append(
            task: 6, attempt: 2, code: OutcomeCode(.failed, .failed), payload: [],
            postMortem: PostMortem(reason: "exit status 3", node: "n1", attempt: 2, exitStatus: 3))
        let run = AttemptRun(job: job, epoch: 2, number: 1, tasks: TaskRange(first: 5, count: 3))
        var hello = ProtobufWriter()
        Hello.client(ClientHello(session: SessionID(rawValue: 9), description: "map@host")).encode(into: &hello)
        return [
            ("golden-hello-client", Array(hello.buffer.readableBytesView)),
            ("golden-submit", body(ClientToServer.submit(spec))),
            ("golden-append", body(ClientToServer.append(AppendTasks(job: job, first: 5, arguments: arguments)))),
            ("golden-close", body(ClientToServer.close(job: job, count: 300))),
            ("golden-read", body(ClientToServer.read(ReadRequest(job: job, order: .inOrder, after: 1, window: 64)))),
            (
                "golden-query-cancel",
                body(ClientToServer.query(id: 1, .cancel(.last, tasks: [TaskRange(first: 2, count: 8)], kill: true)))
            ),
            ("golden-heartbeat", body(ClientToServer.heartbeat)),
            ("golden-delivery", body(ServerToClient.outcomes(OutcomeDelivery(cursor: 7, batch: batch)))),
            ("golden-outcomes", body(NodeToServer.outcomes(sequence: 7, batch))),
            ("golden-grant", body(ServerToNode.grant(GrantRun(attempts: run, arguments: arguments)))),
            ("golden-acknowledge", body(ServerToNode.acknowledge([1, 2, 300]))),
            ("golden-cancel", body(ServerToNode.cancel(attempts: [run], kill: false))),
        ]
    }()
}
