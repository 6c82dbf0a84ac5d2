import NIOCore
import RoostModel
import RoostWire
import Testing

/// What one side sends is what the other side gets, for every message there is.
@Suite struct CodecTests {
    @Test(arguments: 0..<50)
    func everyMessageComesBackAsItWas(seed: Int) throws {
        var dice = Dice(seed: UInt64(seed))
        try dice.clientToServer().forEach(check)
        try dice.serverToClient().forEach(check)
        try dice.nodeToServer().forEach(check)
        try dice.serverToNode().forEach(check)
    }

    private func check<Message: WireMessage & Equatable>(_ message: Message) throws {
        let bytes = encoded(message)
        var body = bytes
        #expect(try WireCodec.decode(Message.self, from: &body) == message)
        // Every shorter form of it is an error or another message, never a trap.
        for length in 0..<min(bytes.readableBytes, 300) {
            var cut = bytes.getSlice(at: 0, length: length) ?? ByteBuffer()
            _ = try? WireCodec.decode(Message.self, from: &cut)
        }
    }

    @Test(arguments: 0..<20)
    func commandPayloadsComeBackAsTheyWere(seed: Int) throws {
        var dice = Dice(seed: UInt64(seed))
        let common = CommandCommon(
            inheritsEnvironment: dice.flag(),
            environment: dice.many(3) { .init(name: $0.text(), value: $0.text()) },
            workingDirectory: dice.maybe { $0.text() }, outputHeadBytes: dice.roll(0...1000), outputTailBytes: 0)
        #expect(try CommandCommon(payload: common.payload) == common)
        for argument in [
            CommandArgument.shell(dice.bytes(50)), .shell([]), .direct(dice.many(4) { $0.bytes(9) }), .direct([]),
        ] {
            #expect(try CommandArgument(payload: argument.payload) == argument)
        }
        let result = dice.commandResult()
        #expect(try CommandResult(payload: result.payload) == result)
    }

    @Test func aResultThatClaimsLessThanItHoldsIsRefused() throws {
        var result = CommandResult(exitStatus: 0)
        result.stdout = CapturedOutput(head: [1, 2, 3], totalBytes: 2)
        let payload = result.payload
        #expect(throws: RoostError.self) { try CommandResult(payload: payload) }
    }

    @Test func unknownFieldsAreSkipped() throws {
        let message = ClientToServer.close(job: JobID(rawValue: 7), count: 3)
        var body = encoded(message)
        // Field 100 as a number, 101 as bytes, 102 and 103 fixed: from a later version.
        body.writeBytes([0xA0, 0x06, 0x05, 0xAA, 0x06, 0x02, 1, 2, 0xB5, 0x06, 1, 2, 3, 4])
        body.writeBytes([0xB9, 0x06, 1, 2, 3, 4, 5, 6, 7, 8])
        #expect(try WireCodec.decode(ClientToServer.self, from: &body) == message)
    }

    @Test func unknownMessagesAreRefusedByNumberAndMisdirectedOnesByName() throws {
        var unknown = ByteBuffer(bytes: [0x12, 0x34])
        let first = #expect(throws: RoostError.self) { try WireCodec.decode(ClientToServer.self, from: &unknown) }
        #expect(first?.message.contains("4660") == true)
        var misdirected = encoded(ServerToNode.drain)
        let second = #expect(throws: RoostError.self) { try WireCodec.decode(ClientToServer.self, from: &misdirected) }
        #expect(second?.message.contains("'drain'") == true)
    }

    @Test func arraysThatDoNotFitTogetherAreRefused() throws {
        var dice = Dice(seed: 3)
        var batch = dice.batch()
        while batch.count < 2 { batch = dice.batch() }
        batch.tasks.removeLast()
        var body = encoded(NodeToServer.outcomes(sequence: 1, batch))
        let error = #expect(throws: RoostError.self) { try WireCodec.decode(NodeToServer.self, from: &body) }
        #expect(error?.cause.contains("differ in length") == true)

        var attempts = dice.attempts()
        attempts.tasks.count = 3
        var grant = encoded(ServerToNode.grant(GrantRun(attempts: attempts, arguments: dice.slice(2))))
        #expect(throws: RoostError.self) { try WireCodec.decode(ServerToNode.self, from: &grant) }
    }

    @Test func namesAndAmountsAreLimited() throws {
        // What is for people is cut, never in the middle of a character; what means something is refused.
        var spec = JobSpec(id: JobID(rawValue: 1), runtime: .command)
        spec.name = String(repeating: "ä", count: 127) + "a€€"
        var body = encoded(ClientToServer.submit(spec))
        guard case .submit(let cut) = try WireCodec.decode(ClientToServer.self, from: &body) else {
            Issue.record("another message")
            return
        }
        #expect(cut.name == String(repeating: "ä", count: 127) + "a")

        spec.labels = [Label(key: "k", value: String(repeating: "v", count: Limits.nameBytes + 1))]
        body = encoded(ClientToServer.submit(spec))
        let error = #expect(throws: RoostError.self) { try WireCodec.decode(ClientToServer.self, from: &body) }
        #expect(error?.cause == "field 2 is longer than allowed")

        spec.labels = []
        spec.request = Resources(milliCPUs: -1)
        body = encoded(ClientToServer.submit(spec))
        #expect(throws: RoostError.self) { try WireCodec.decode(ClientToServer.self, from: &body) }
    }

    @Test func aCancelThatNamesNoJobIsNotTheLastJob() throws {
        // Query 6 (cancel), empty: no selector.
        var body = ByteBuffer(bytes: [0, 7, 0x32, 0])
        #expect(throws: RoostError.self) { try WireCodec.decode(ClientToServer.self, from: &body) }
    }
}

/// A message frame's body: number and fields.
func encoded(_ message: some WireMessage) -> ByteBuffer {
    var writer = ProtobufWriter()
    writer.buffer.writeInteger(message.number.rawValue)
    message.encode(into: &writer)
    return writer.buffer
}
