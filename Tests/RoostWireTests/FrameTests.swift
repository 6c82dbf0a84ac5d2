import NIOCore
import NIOEmbedded
import RoostModel
import RoostWire
import Testing

/// Frames in and out of one connection, without a network.
@Suite struct FrameTests {
    typealias NodeLink = TLSLink<NodeToServer, ServerToNode>
    typealias ServerLink = TLSLink<ServerToNode, NodeToServer>

    private struct End<Outgoing: WireMessage, Incoming: WireMessage> {
        var channel: EmbeddedChannel
        var link: TLSLink<Outgoing, Incoming>
        var recorder: LinkRecorder<Incoming>
    }

    private func makeEnd<Outgoing, Incoming>(
        _: TLSLink<Outgoing, Incoming>.Type
    ) throws -> End<Outgoing, Incoming> {
        let handler = FrameHandler(phase: .open, waitsForTLS: false, sink: FrameRecorder())
        let channel = EmbeddedChannel(handler: handler)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        let link = TLSLink<Outgoing, Incoming>(handler: handler)
        let recorder = LinkRecorder<Incoming>()
        link.open(recorder)
        return End(channel: channel, link: link, recorder: recorder)
    }

    private func written(_ channel: EmbeddedChannel) throws -> [ByteBuffer] {
        var buffers: [ByteBuffer] = []
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { buffers.append(buffer) }
        return buffers
    }

    @Test func manyMessagesAreOneWriteAndOneBatch() throws {
        let node = try makeEnd(NodeLink.self)
        let server = try makeEnd(ServerLink.self)
        var dice = Dice(seed: 1)
        let messages = dice.nodeToServer() + dice.nodeToServer()
        for message in messages { node.link.send(message) }
        #expect(try written(node.channel).isEmpty)
        node.link.flush()
        let writes = try written(node.channel)
        #expect(writes.count == 1)
        for write in writes { try server.channel.writeInbound(write) }
        #expect(server.recorder.batches == [messages])
    }

    @Test func bytesMayComeOneByOne() throws {
        let node = try makeEnd(NodeLink.self)
        let server = try makeEnd(ServerLink.self)
        var dice = Dice(seed: 2)
        let messages = dice.nodeToServer()
        for message in messages { node.link.send(message) }
        node.link.flush()
        for write in try written(node.channel) {
            for byte in write.readableBytesView { try server.channel.writeInbound(ByteBuffer(bytes: [byte])) }
        }
        #expect(server.recorder.messages == messages)
        #expect(server.recorder.batches.allSatisfy { $0.count == 1 })
    }

    @Test func aLargePayloadIsCutAndSmallMessagesOfOtherJobsGoBetween() throws {
        let server = try makeEnd(ServerLink.self)
        let node = try makeEnd(NodeLink.self)
        let (large, other) = (JobID(rawValue: 1), JobID(rawValue: 2))
        var spec = JobSpec(id: large, runtime: .command)
        spec.common = (0..<3 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31) }

        server.channel.isWritable = false
        server.link.send(.job(spec))
        server.link.send(.forget(job: large))
        server.link.send(.heartbeat(interval: .seconds(3)))
        server.link.send(.forget(job: other))
        server.channel.isWritable = true
        server.channel.pipeline.fireChannelWritabilityChanged()
        server.channel.embeddedEventLoop.run()

        let writes = try written(server.channel)
        #expect(writes.count > 12)
        #expect(writes.allSatisfy { $0.readableBytes <= Limits.frameBytes + 5 })
        for write in writes { try node.channel.writeInbound(write) }
        // What is about the large job stays behind it; the others need not wait.
        #expect(
            node.recorder.messages == [
                .heartbeat(interval: .seconds(3)), .forget(job: other), .job(spec), .forget(job: large),
            ])
    }

    /// Who has the answer to a question about a job has every outcome that was sent before it, however large.
    @Test func anAnswerAboutOneJobStaysBehindItsOutcomes() throws {
        let server = try makeEnd(TLSLink<ServerToClient, ClientToServer>.self)
        let client = try makeEnd(TLSLink<ClientToServer, ServerToClient>.self)
        let (large, other) = (JobID(rawValue: 1), JobID(rawValue: 2))
        var batch = OutcomeBatch(job: large, epoch: 1)
        batch.append(task: 0, attempt: 1, code: .succeeded, payload: [UInt8](repeating: 7, count: 3 << 20)[...])
        func answer(_ id: UInt64, about jobs: JobID...) -> ServerToClient {
            .reply(
                id: id,
                .jobs(
                    jobs.map {
                        JobSnapshot(
                            id: $0, number: 1, name: "", user: "ann", runtime: .command, retention: .durable, priority: 0,
                            progress: JobProgress(job: $0), isCancelled: false, ageSeconds: 0, meanTaskSeconds: nil)
                    }))
        }
        let outcomes = ServerToClient.outcomes(OutcomeDelivery(cursor: 1, batch: batch))

        server.channel.isWritable = false
        for message in [outcomes, answer(1, about: large), answer(2, about: large, other), answer(3, about: other)] {
            server.link.send(message)
        }
        server.link.send(.heartbeat)
        server.channel.isWritable = true
        server.channel.pipeline.fireChannelWritabilityChanged()
        server.channel.embeddedEventLoop.run()
        for write in try written(server.channel) { try client.channel.writeInbound(write) }
        #expect(
            client.recorder.messages == [
                answer(2, about: large, other), answer(3, about: other), .heartbeat, outcomes, answer(1, about: large),
            ])
    }

    @Test func whatMustComeLastComesAfterEverything() throws {
        let node = try makeEnd(NodeLink.self)
        let server = try makeEnd(ServerLink.self)
        var batches: [NodeToServer] = []
        for job in 1...3 {
            var batch = OutcomeBatch(job: JobID(rawValue: UInt64(job)), epoch: 1)
            batch.append(task: 0, attempt: 1, code: .succeeded, payload: [UInt8](repeating: 7, count: 700_000)[...])
            batches.append(.outcomes(sequence: UInt64(job), batch))
        }
        for batch in batches { node.link.send(batch) }
        node.link.send(.goodbye(reason: "done"))
        node.link.send(.heartbeat(NodeStatus()))
        node.link.close(nil)
        node.channel.embeddedEventLoop.run()
        for write in try written(node.channel) { try server.channel.writeInbound(write) }
        let messages = server.recorder.messages
        #expect(messages.first == .heartbeat(NodeStatus()))
        #expect(Set(messages.dropFirst().prefix(3).map(\.lane)) == Set(batches.map(\.lane)))
        #expect(messages.last == .goodbye(reason: "done"))
        #expect(messages.count == 5)
        #expect(node.recorder.endings.count == 1)
    }

    @Test func anAnnouncedSizeIsCheckedBeforeItsBytesAreWaitedFor() throws {
        let server = try makeEnd(ServerLink.self)
        var head = ByteBuffer()
        head.writeMultipleIntegers(UInt32(Limits.frameBytes + 2), FrameKind.message.rawValue)
        try server.channel.writeInbound(head)
        server.channel.embeddedEventLoop.run()
        #expect(server.recorder.endings.map(\.code) == [.limit])
        #expect(server.recorder.endings.first?.message.contains("\(Limits.frameBytes)") == true)
    }

    @Test func unknownKindsAreRefusedByNumberAndThePeerHearsIt() throws {
        let server = try makeEnd(ServerLink.self)
        let node = try makeEnd(NodeLink.self)
        try server.channel.writeInbound(ByteBuffer(bytes: [0, 0, 0, 2, 99, 0]))
        server.channel.embeddedEventLoop.run()
        #expect(server.recorder.endings.first?.message.contains("99") == true)
        for write in try written(server.channel) { try node.channel.writeInbound(write) }
        node.channel.embeddedEventLoop.run()
        #expect(node.recorder.endings == server.recorder.endings)
    }

    @Test func unfinishedMessagesAreBoundedInNumberAndBytes() throws {
        func fragment(stream: UInt32, flags: UInt8, total: UInt64?, bytes: Int) -> ByteBuffer {
            var body = ByteBuffer()
            body.writeMultipleIntegers(FrameKind.fragment.rawValue, stream, flags)
            if let total { body.writeInteger(total) }
            body.writeRepeatingByte(0, count: bytes)
            var frame = ByteBuffer(integer: UInt32(body.readableBytes))
            frame.writeBuffer(&body)
            return frame
        }
        let many = try makeEnd(ServerLink.self)
        for stream in 0..<UInt32(Limits.streamsPerConnection) {
            try many.channel.writeInbound(fragment(stream: stream, flags: 3, total: 100, bytes: 10))
        }
        #expect(many.recorder.endings.isEmpty)
        try many.channel.writeInbound(fragment(stream: 1000, flags: 3, total: 100, bytes: 10))
        many.channel.embeddedEventLoop.run()
        #expect(many.recorder.endings.map(\.code) == [.limit])

        let large = try makeEnd(ServerLink.self)
        try large.channel.writeInbound(fragment(stream: 1, flags: 3, total: UInt64(Limits.messageBytes), bytes: 1))
        #expect(large.recorder.endings.isEmpty)
        try large.channel.writeInbound(fragment(stream: 2, flags: 3, total: 2, bytes: 1))
        large.channel.embeddedEventLoop.run()
        #expect(large.recorder.endings.map(\.code) == [.limit])

        let long = try makeEnd(ServerLink.self)
        try long.channel.writeInbound(fragment(stream: 1, flags: 3, total: 5, bytes: 6))
        long.channel.embeddedEventLoop.run()
        #expect(long.recorder.endings.map(\.code) == [.protocolViolation])
    }

    @Test func aPingIsAnsweredAtOnce() throws {
        let server = try makeEnd(ServerLink.self)
        let node = try makeEnd(NodeLink.self)
        var heard: [UInt64] = []
        node.link.onPong = { heard.append($0) }
        node.link.ping(42)
        for write in try written(node.channel) { try server.channel.writeInbound(write) }
        for write in try written(server.channel) { try node.channel.writeInbound(write) }
        #expect(heard == [42])
    }

    @Test func aPeerThatDoesNotReadIsNotWaitedForWithoutEnd() throws {
        var chunk = OutputChunk(
            job: JobID(rawValue: 1), task: 0, attempt: 1, stream: .stdout, offset: 0,
            bytes: [UInt8](repeating: 0, count: 150_000))
        let node = try makeEnd(NodeLink.self)
        node.channel.isWritable = false
        for count in 0..<3000 where node.recorder.endings.isEmpty {
            chunk.offset = UInt64(count)
            node.link.send(.output(chunk))
            node.link.flush()
            node.channel.embeddedEventLoop.run()
        }
        #expect(node.recorder.endings.map(\.code) == [.limit])
    }

    @Test func theOwnerHearsWhetherThePeerKeepsUpAndOnlyWhenThatIsNews() throws {
        let node = try makeEnd(NodeLink.self)
        #expect(node.link.isWritable)
        node.channel.isWritable = false
        node.channel.pipeline.fireChannelWritabilityChanged()
        node.channel.pipeline.fireChannelWritabilityChanged()
        node.link.send(.heartbeat(NodeStatus()))
        node.link.flush()
        #expect(try written(node.channel).isEmpty)
        node.channel.isWritable = true
        node.channel.pipeline.fireChannelWritabilityChanged()
        #expect(node.recorder.writability == [false, true])
        #expect(try written(node.channel).count == 1)
    }

    /// Whoever reads results from a disk while the peer keeps up read all of them at once: pieces of the first waited for their
    /// turn, and the socket had room.
    @Test func aLinkIsFullWhilePiecesOfALargeMessageWait() throws {
        let node = try makeEnd(NodeLink.self)
        var batch = OutcomeBatch(job: JobID(rawValue: 1), epoch: 1)
        batch.append(task: 0, attempt: 1, code: .succeeded, payload: [UInt8](repeating: 7, count: 6 << 20)[...])
        node.link.send(.outcomes(sequence: 1, batch))
        #expect(node.link.isWritable)
        node.link.flush()
        #expect(!node.link.isWritable)
        node.channel.embeddedEventLoop.run()
        #expect(node.link.isWritable)
        #expect(node.recorder.writability == [true], "who asked meanwhile has waited for this")
        node.link.send(.heartbeat(NodeStatus()))
        node.link.flush()
        node.channel.embeddedEventLoop.run()
        #expect(node.recorder.writability == [true])
    }

    @Test func theEndIsToldOnceAndLast() throws {
        let server = try makeEnd(ServerLink.self)
        let node = try makeEnd(NodeLink.self)
        node.link.send(.heartbeat(NodeStatus()))
        node.link.close(RoostError(.refused, "enough"))
        node.link.close(nil)
        node.link.send(.heartbeat(NodeStatus()))
        node.channel.embeddedEventLoop.run()
        for write in try written(node.channel) { try server.channel.writeInbound(write) }
        server.channel.embeddedEventLoop.run()
        #expect(server.recorder.messages == [.heartbeat(NodeStatus())])
        #expect(server.recorder.endings == [RoostError(.refused, "enough")])
        #expect(node.recorder.endings == [RoostError(.refused, "enough")])
    }
}
