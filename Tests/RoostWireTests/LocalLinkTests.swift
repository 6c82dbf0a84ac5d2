import NIOCore
import NIOEmbedded
import NIOPosix
import RoostModel
import RoostWire
import Testing

/// The embedded pool's connection: the same promises as the network's, without bytes.
@Suite struct LocalLinkTests {
    private typealias End = LocalEnd<ClientToServer, ServerToClient>

    private func close(_ number: UInt32) -> ClientToServer { .close(job: JobID(rawValue: 1), count: number) }

    @Test func messagesComeInOneBatchInATurnOfTheirOwn() {
        let loop = EmbeddedEventLoop()
        let (clientEnd, serverEnd) = End.pair(loop, loop)
        let (client, server) = (clientEnd.makeLink(), serverEnd.makeLink())
        let (heardByClient, heardByServer) = (LinkRecorder<ServerToClient>(), LinkRecorder<ClientToServer>())
        client.open(heardByClient)
        server.open(heardByServer)

        client.send(close(1))
        client.send(close(2))
        loop.run()
        #expect(heardByServer.batches.isEmpty)
        client.flush()
        client.send(close(3))
        client.flush()
        // Never while the sender is still speaking.
        #expect(heardByServer.batches.isEmpty)
        loop.run()
        #expect(heardByServer.batches == [[close(1), close(2), close(3)]])

        // An answer from within a delivery comes in a later turn.
        heardByServer.onReceive = { _ in
            server.send(.heartbeat)
            server.flush()
            #expect(heardByClient.batches.isEmpty)
        }
        client.send(close(4))
        client.flush()
        loop.run()
        #expect(heardByClient.batches == [[.heartbeat]])
    }

    @Test func whatIsSentBeforeTheOtherSideOpensIsKept() {
        let loop = EmbeddedEventLoop()
        let (clientEnd, serverEnd) = End.pair(loop, loop)
        let client = clientEnd.makeLink()
        client.open(LinkRecorder())
        client.send(close(1))
        client.flush()
        loop.run()
        let heard = LinkRecorder<ClientToServer>()
        serverEnd.makeLink().open(heard)
        loop.run()
        #expect(heard.messages == [close(1)])
    }

    @Test func theEndComesAfterTheLastMessageAndOnce() {
        let loop = EmbeddedEventLoop()
        let (clientEnd, serverEnd) = End.pair(loop, loop)
        let (client, server) = (clientEnd.makeLink(), serverEnd.makeLink())
        let (heardByClient, heardByServer) = (LinkRecorder<ServerToClient>(), LinkRecorder<ClientToServer>())
        client.open(heardByClient)
        server.open(heardByServer)
        client.send(.goodbye)
        client.close(RoostError(.cancelled, "enough"))
        #expect(heardByClient.endings.isEmpty)
        client.close(nil)
        client.send(.heartbeat)
        client.flush()
        loop.run()
        server.close(nil)
        loop.run()
        #expect(heardByServer.messages == [.goodbye])
        #expect(heardByServer.endings == [RoostError(.cancelled, "enough")])
        #expect(heardByClient.endings == [RoostError(.cancelled, "enough")])
    }

    @Test func aSlowReaderSlowsItsWriter() {
        let (clientLoop, serverLoop) = (EmbeddedEventLoop(), EmbeddedEventLoop())
        let (clientEnd, serverEnd) = End.pair(clientLoop, serverLoop)
        let (client, server) = (clientEnd.makeLink(), serverEnd.makeLink())
        let heard = LinkRecorder<ServerToClient>()
        client.open(heard)
        server.open(LinkRecorder())
        while client.isWritable {
            for number in 0..<100 { client.send(close(UInt32(number))) }
            client.flush()
        }
        #expect(heard.writability.isEmpty)
        serverLoop.run()
        clientLoop.run()
        #expect(client.isWritable)
        #expect(heard.writability == [true])
    }

    @Test func endsOnTwoLoopsAgree() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let (clientEnd, serverEnd) = End.pair(group.next(), group.next())
        let count: UInt32 = 20_000
        let (numbers, numbersEnd) = AsyncStream.makeStream(of: UInt32.self)
        serverEnd.eventLoop.execute {
            let heard = LinkRecorder<ClientToServer>()
            heard.onReceive = { messages in
                for case .close(_, let number) in messages { numbersEnd.yield(number) }
                if heard.messages.last == .close(job: JobID(rawValue: 1), count: count - 1) { numbersEnd.finish() }
            }
            serverEnd.makeLink().open(heard)
        }
        clientEnd.eventLoop.execute {
            let client = clientEnd.makeLink()
            client.open(LinkRecorder())
            for number in 0..<count {
                client.send(.close(job: JobID(rawValue: 1), count: number))
                if number % 7 == 0 { client.flush() }
            }
            client.flush()
        }
        var expected: UInt32 = 0
        for await number in numbers {
            #expect(number == expected)
            expected += 1
        }
        #expect(expected == count)
    }
}
