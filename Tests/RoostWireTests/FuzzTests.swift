import NIOCore
import NIOEmbedded
import RoostModel
import RoostWire
import Testing

/// Whatever bytes come, decoders answer with a message or an error: they never trap and never hold more than they
/// were sent. Seeds are fixed; the numbers of rounds bound the time.
@Suite struct FuzzTests {
    @Test(arguments: 0..<8)
    func changedMessagesAreMessagesOrErrors(seed: Int) throws {
        var dice = Dice(seed: 1000 + UInt64(seed))
        var decoded = 0
        var rounds = 0
        while rounds < 15_000 {
            let samples =
                dice.clientToServer().map(encoded) + dice.serverToClient().map(encoded)
                + dice.nodeToServer().map(encoded) + dice.serverToNode().map(encoded)
            for sample in samples {
                var bytes = sample
                for _ in 0..<dice.roll(1...4) { change(&bytes, &dice) }
                rounds += 1
                if isDecoded(bytes) { decoded += 1 }
            }
        }
        // Both ways were really taken.
        #expect(decoded > 100 && decoded < rounds - 100)
    }

    @Test(arguments: 0..<4)
    func randomBytesAreErrorsOrMessages(seed: Int) {
        var dice = Dice(seed: 2000 + UInt64(seed))
        let numbers = MessageNumber.allCases.map(\.rawValue)
        for _ in 0..<10_000 {
            var bytes = ByteBuffer()
            bytes.writeInteger(numbers[dice.roll(0...numbers.count - 1)])
            bytes.writeBytes(dice.bytes(60))
            _ = isDecoded(bytes)
        }
    }

    @Test(arguments: 0..<4)
    func randomBytesOnAConnectionCloseIt(seed: Int) throws {
        var dice = Dice(seed: 3000 + UInt64(seed))
        for _ in 0..<300 {
            let sink = FrameRecorder()
            let channel = EmbeddedChannel(
                handler: FrameHandler(
                    phase: [.preface, .welcome, .open][dice.roll(0...2)], waitsForTLS: false, sink: sink))
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            var frame = ByteBuffer()
            frame.writeInteger(UInt32(dice.roll(0...40)))
            frame.writeInteger(UInt8(dice.roll(0...9)))
            frame.writeBytes(dice.bytes(80))
            _ = try? channel.writeInbound(frame)
            _ = try? channel.finish(acceptAlreadyClosed: true)
            #expect(sink.endings.count == 1)
        }
    }

    private func change(_ bytes: inout ByteBuffer, _ dice: inout Dice) {
        let count = bytes.readableBytes
        let index = count > 2 ? dice.roll(2...count - 1) : 0
        switch dice.roll(0...4) {
        case 0: bytes.setInteger(UInt8(truncatingIfNeeded: dice.next()), at: index)
        case 1:
            let byte: UInt8 = bytes.getInteger(at: index) ?? 0
            bytes.setInteger(byte ^ (1 << UInt8(dice.roll(0...7))), at: index)
        case 2: bytes.moveWriterIndex(to: index)
        case 3: bytes.writeBytes(dice.bytes(12))
        default:
            // Puts a piece in the middle.
            var changed = bytes.getSlice(at: 0, length: index) ?? ByteBuffer()
            changed.writeBytes(dice.bytes(6))
            changed.writeBytes(bytes.getBytes(at: index, length: count - index) ?? [])
            bytes = changed
        }
    }

    private func isDecoded(_ bytes: ByteBuffer) -> Bool {
        func decodes<Message: WireMessage>(_: Message.Type) -> Bool {
            var body = bytes
            return (try? WireCodec.decode(Message.self, from: &body)) != nil
        }
        return decodes(ClientToServer.self) || decodes(ServerToClient.self) || decodes(NodeToServer.self)
            || decodes(ServerToNode.self)
    }
}
