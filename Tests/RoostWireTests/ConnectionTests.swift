import Glibc
import NIOCore
import NIOEmbedded
import NIOPosix
import RoostModel
import RoostWire
import Testing

/// Whole connections on loopback: the right token gets in, everything else gets a clear no, and disturbs nobody.
@Suite(.timeLimit(.minutes(2))) struct ConnectionTests {
    private typealias ClientPeer = TestPeer<ClientToServer, ServerToClient>
    private typealias NodePeer = TestPeer<NodeToServer, ServerToNode>

    private let pool: TestPool
    private static let client = Hello.client(ClientHello(session: SessionID(rawValue: 9), description: "test"))
    private static let node = Hello.node(
        NodeHello(node: NodeID(rawValue: 4), incarnation: Incarnation(rawValue: 1), name: "n1", offer: .cpus(2)))

    init() throws { pool = try TestPool() }

    private func dialer(_ listener: WireListener, _ token: PoolToken, host: String = "127.0.0.1") -> WireDialer {
        WireDialer(host: host, port: listener.port, security: .token(token))
    }

    private func failure(_ body: () async throws -> Void) async -> RoostError? {
        await #expect(throws: RoostError.self) { try await body() }
    }

    @Test func aGoodTokenIsWelcomedAndMessagesFlowBothWays() async throws {
        let listener = try await pool.listen()
        let peer = try await ClientPeer.connect(dialer(listener, pool.token(.client)), hello: Self.client)
        #expect(peer.connected.welcome.pool == pool.tls.pool)
        #expect(peer.connected.welcome.epoch == 5)
        #expect(peer.connected.address == "127.0.0.1:\(listener.port)")

        var events = pool.events.makeAsyncIterator()
        guard case .client(let arrival) = await events.next() else {
            Issue.record("no arrival")
            return
        }
        #expect(arrival.principal == Principal(role: .client, user: "anna"))
        #expect(arrival.hello.session == SessionID(rawValue: 9))

        peer.with {
            $0.send(.query(id: 7, .pool))
            $0.flush()
        }
        var messages = peer.messages.makeAsyncIterator()
        #expect(await messages.next() == .heartbeat)
        #expect(await messages.next() == .reply(id: 7, .done(count: 1)))
        peer.with { $0.close(nil) }
        guard case .fromClient = await events.next(), case .closed = await events.next() else {
            Issue.record("no end")
            return
        }
        await listener.close()
    }

    @Test func aLargePayloadArrivesWholeOverTLS() async throws {
        let listener = try await pool.listen()
        let peer = try await NodePeer.connect(dialer(listener, pool.token(.node)), hello: Self.node)
        var batch = OutcomeBatch(job: JobID(rawValue: 1), epoch: 1)
        let bytes = (0..<20 << 20).map { UInt8(truncatingIfNeeded: $0 &* 167 >> 3) }
        batch.append(task: 0, attempt: 1, code: .succeeded, payload: bytes[...])
        let sent = batch
        peer.with {
            $0.send(.outcomes(sequence: 1, sent))
            $0.send(.heartbeat(NodeStatus(queued: 1)))
            $0.flush()
        }
        var received: [NodeToServer] = []
        for await event in pool.events {
            if case .fromNode(let messages) = event { received += messages }
            if received.count == 2 { break }
        }
        #expect(received == [.heartbeat(NodeStatus(queued: 1)), .outcomes(sequence: 1, batch)])
        var messages = peer.messages.makeAsyncIterator()
        #expect(await messages.next() == .acknowledge([1]))
        peer.with { $0.close(nil) }
        await listener.close()
    }

    /// More than the socket takes at once: it is full, and has room again, while all of it is still being written.
    @Test func manyMessagesOfOneFlushArriveOnceEach() async throws {
        let listener = try await pool.listen()
        let peer = try await ClientPeer.connect(dialer(listener, pool.token(.client)), hello: Self.client)
        let count: UInt64 = 200_000
        peer.with {
            for number in 1...count { $0.send(.acknowledge(job: JobID(rawValue: 1), cursor: number)) }
            $0.flush()
        }
        var next: UInt64 = 1
        for await event in pool.events where next <= count {
            guard case .fromClient(let messages) = event else { continue }
            for message in messages {
                guard message == .acknowledge(job: JobID(rawValue: 1), cursor: next) else {
                    Issue.record("\(message) comes where number \(next) should")
                    next = count
                    break
                }
                next += 1
            }
            if next > count { break }
        }
        // Nothing is behind the last one but what is sent now.
        peer.with {
            $0.send(.heartbeat)
            $0.flush()
        }
        for await event in pool.events {
            guard case .fromClient(let messages) = event else { continue }
            #expect(messages == [.heartbeat])
            break
        }
        peer.with { $0.close(nil) }
        await listener.close()
    }

    @Test func aServerOfAnotherPoolIsRefusedByTheClient() async throws {
        let listener = try await pool.listen()
        let other = try TestPool()
        let error = await failure {
            _ = try await ClientPeer.connect(dialer(listener, other.token(.client)), hello: Self.client)
        }
        #expect(error?.message.contains("another pool") == true)
        #expect(error?.message.contains(pool.tls.fingerprint.description) == true)
        #expect(error?.code == .refused)
        await listener.close()
    }

    @Test func expiredRevokedUnknownAndWrongRoleTokensAreRefusedInWords() async throws {
        let listener = try await pool.listen()
        let long = WallTime.now() - .seconds(1000)
        let expired = try pool.token(.client, lifetime: .seconds(10), at: long)
        let revoked = try pool.token(.client)
        try pool.tokens.revoke(revoked.credential.id.description, at: .now())
        var unknown = try TestPool().token(.client)
        unknown.authority = pool.tls.fingerprint
        let cases: [(PoolToken, Hello, String)] = [
            (expired, Self.client, "expired on"), (revoked, Self.client, "was revoked"),
            (unknown, Self.client, "does not know"), (try pool.token(.client), Self.node, "role is client"),
            (try pool.token(.node), Self.client, "role is node"),
            (
                try pool.token(.observer),
                .guardReport(GuardReport(node: NodeID(rawValue: 1), incarnation: Incarnation(rawValue: 1))),
                "must be node"
            ),
            (
                try pool.token(.client),
                .client(ClientHello(session: SessionID(rawValue: 1), description: "unwanted")), "not today"
            ),
        ]
        for (token, hello, words) in cases {
            let error = await failure { _ = try await ClientPeer.connect(dialer(listener, token), hello: hello) }
            #expect(error?.code == .refused)
            #expect(error?.message.contains(words) == true)
            #expect(error?.message.contains("127.0.0.1:\(listener.port)") == true)
        }
        await listener.close()
    }

    @Test func aGuardReportsAndLeaves() async throws {
        let listener = try await pool.listen()
        let report = GuardReport(node: NodeID(rawValue: 4), incarnation: Incarnation(rawValue: 1))
        let peer = try await NodePeer.connect(dialer(listener, pool.token(.node)), hello: .guardReport(report))
        var events = pool.events.makeAsyncIterator()
        guard case .guardReport(let arrival) = await events.next() else {
            Issue.record("no report")
            return
        }
        #expect(arrival.hello == report)
        _ = try await peer.ending.get()
        await listener.close()
    }

    @Test func aHostNameWithSeveralAddressesIsTriedThrough() async throws {
        let listener = try await pool.listen()
        let peer = try await ClientPeer.connect(
            dialer(listener, pool.token(.client), host: "localhost"), hello: Self.client)
        #expect(peer.connected.address == "127.0.0.1:\(listener.port)")
        peer.with { $0.close(nil) }
        await listener.close()
    }

    @Test func nobodyThereIsSaidWithHostAddressPortCauseAndRemedy() async throws {
        let listener = try await pool.listen()
        // Nobody listens at a client's end; and while that is open no other test can, as at a port that was closed.
        let client = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: listener.port).get()
        let port = try #require(client.localAddress?.port)
        let token = try pool.token(.client)
        let error = await failure {
            _ = try await ClientPeer.connect(
                WireDialer(host: "localhost", port: port, security: .token(token)), hello: Self.client)
        }
        #expect(error?.code == .unreachable)
        #expect(error?.message.contains("localhost:\(port)") == true)
        #expect(error?.cause.contains("127.0.0.1:\(port): Connection refused") == true, "\(error?.cause ?? "")")
        #expect(error?.remedy.isEmpty == false)
        try await client.close()
        await listener.close()
    }

    @Test func aServerThatIsStartedAgainIsWaitedFor() async throws {
        let host = "127.0.0.1"
        // The old one takes the connection in, and dies before it has said anything; then nobody listens; then the new one.
        let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)
        let dying = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                arrived.yield()
                return channel.close()
            }
            .bind(host: host, port: 0).get()
        let port = try #require(dying.localAddress?.port)
        let dialer = WireDialer(host: host, port: port, security: .token(try pool.token(.client)))
        async let connecting = ClientPeer.connect(dialer, hello: Self.client, patience: .seconds(60))
        for await _ in arrivals { break }
        try await dying.close()
        let listener = try await listenAgain(at: port)
        let peer = try await connecting
        #expect(peer.connected.welcome.pool == pool.tls.pool)
        peer.with { $0.close(nil) }
        await listener.close()
    }

    /// A process that some other test starts just now has the old socket until it is another program.
    private func listenAgain(at port: Int) async throws -> WireListener {
        for _ in 0..<1000 {
            do { return try await pool.listen(port: port) } catch { try await Task.sleep(for: .milliseconds(10)) }
        }
        return try await pool.listen(port: port)
    }

    @Test func aNameThatDoesNotExistIsSaidSo() async throws {
        let token = try pool.token(.client)
        let error = await failure {
            // However patient: a name does not come into being.
            let dialer = WireDialer(host: "no-such-host.invalid", port: 7117, security: .token(token))
            _ = try await ClientPeer.connect(dialer, hello: Self.client, patience: .seconds(3600))
        }
        #expect(error?.code == .unreachable)
        #expect(error?.message.contains("no-such-host.invalid") == true)
    }

    @Test func aPortInUseIsSaidSo() async throws {
        let listener = try await pool.listen()
        let error = await failure {
            _ = try await WireListener.bind(
                host: "127.0.0.1", port: listener.port, security: .tls(pool.tls), acceptor: pool,
                group: MultiThreadedEventLoopGroup.singleton, log: pool.log.logger)
        }
        #expect(error?.cause.contains("Address already in use") == true)
        await listener.close()
    }

    @Test func plainTCPIsForLoopbackOnly() async throws {
        let open = await failure { _ = try await pool.listen(.plain, host: "0.0.0.0") }
        #expect(open?.code == .usage)
        let listener = try await pool.listen(.plain)
        let plain = WireDialer(host: "127.0.0.1", port: listener.port, security: .plain(nil))
        let peer = try await ClientPeer.connect(plain, hello: Self.client)
        #expect(peer.connected.welcome.pool == pool.tls.pool)
        peer.with { $0.close(nil) }
        _ = try await peer.ending.get()
        // TLS on a plain port, and the other way round.
        let token = try pool.token(.client)
        let tls = await failure {
            _ = try await ClientPeer.connect(dialer(listener, token), hello: Self.client)
        }
        #expect(tls?.code == .unreachable)
        #expect(pool.log.all.contains { $0.contains("this port is plain TCP") })
        await listener.close()
    }

    @Test func anHTTPClientIsToldWhatThisPortIs() async throws {
        let listener = try await pool.listen()
        let answer = try await exchange(listener.port, Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8))
        let text = String(decoding: answer, as: UTF8.self)
        #expect(text.hasPrefix("HTTP/1.1 400 "))
        #expect(text.contains("Roost pool"))
        #expect(pool.log.all.contains { $0.contains("HTTP client") })
        await listener.close()
    }

    @Test(arguments: 0..<5)
    func randomBytesAreClosedAndDisturbNobody(seed: Int) async throws {
        let listener = try await pool.listen()
        let peer = try await ClientPeer.connect(dialer(listener, pool.token(.client)), hello: Self.client)
        var dice = Dice(seed: UInt64(seed))
        var noise = dice.bytes(500) + [1]
        // Every second one looks like TLS at first.
        if seed % 2 == 1 { noise = [0x16, 0x03, 0x01, 0x00, 0xFF] + noise + [UInt8](repeating: 0, count: 300) }
        if seed == 4 { noise = [0x16, 0x03, 0x01, 0x00, 0x20] + [UInt8](repeating: 0xFF, count: 600) }
        _ = try await exchange(listener.port, noise)
        peer.with {
            $0.send(.query(id: 1, .jobs))
            $0.flush()
        }
        var messages = peer.messages.makeAsyncIterator()
        _ = await messages.next()
        #expect(await messages.next() == .reply(id: 1, .done(count: 1)))
        #expect(pool.log.all.contains { $0.hasPrefix("connection refused") })
        peer.with { $0.close(nil) }
        await listener.close()
    }

    @Test(arguments: [[], [0x16, 0x03, 0x01], Array("GE".utf8)])
    func whoStaysSilentIsClosedInTime(first: [UInt8]) throws {
        let channel = EmbeddedChannel()
        try WireListener.prepare(channel, security: .tls(pool.tls), acceptor: pool, log: pool.log.logger)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        if !first.isEmpty { try channel.writeInbound(ByteBuffer(bytes: first)) }
        channel.embeddedEventLoop.advanceTime(by: .seconds(9))
        #expect(channel.isActive)
        channel.embeddedEventLoop.advanceTime(by: .seconds(12))
        #expect(!channel.isActive)
        #expect(pool.log.all.contains { $0.hasPrefix("connection refused") })
    }

    @Test func whoSaysNoHelloIsClosedInTimeAndHearsWhy() throws {
        let channel = EmbeddedChannel()
        try WireListener.prepare(channel, security: .plain, acceptor: pool, log: pool.log.logger)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        // The beginning of a preface, and no more.
        try channel.writeInbound(ByteBuffer(bytes: [0, 0, 0, 50, 1]))
        channel.embeddedEventLoop.advanceTime(by: .seconds(21))
        #expect(!channel.isActive)
        let refusal = try #require(try channel.readOutbound(as: ByteBuffer.self))
        #expect(String(buffer: refusal).contains("no hello within"))
    }

    @Test func aPrefaceThatAnnouncesTooMuchIsRefusedBeforeItsBytesCome() throws {
        let channel = EmbeddedChannel()
        try WireListener.prepare(channel, security: .plain, acceptor: pool, log: pool.log.logger)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        try channel.writeInbound(ByteBuffer(bytes: [0, 0x10, 0, 0, 1]))
        channel.embeddedEventLoop.run()
        #expect(!channel.isActive)
        #expect(pool.log.all.contains { $0.contains("limit is \(Limits.unauthenticatedBytes)") })
    }

    @Test func versionsThatHaveNothingInCommonAreRefused() throws {
        let channel = EmbeddedChannel()
        try WireListener.prepare(channel, security: .plain, acceptor: pool, log: pool.log.logger)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        let preface = Array("ROOST".utf8) + [WireVersion.highest + 1, WireVersion.highest + 4, 0, 0, 0, 0]
        try channel.writeInbound(ByteBuffer(bytes: [0, 0, 0, UInt8(preface.count + 1), 1] + preface))
        channel.embeddedEventLoop.run()
        #expect(!channel.isActive)
        let refusal = try #require(try channel.readOutbound(as: ByteBuffer.self))
        #expect(String(buffer: refusal).contains("protocol versions 2 to 5"))
    }

    /// Sends bytes over plain TCP and reads until the other side closes.
    private func exchange(_ port: Int, _ bytes: [UInt8]) async throws -> [UInt8] {
        let (chunks, end) = AsyncStream.makeStream(of: [UInt8].self)
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Listener(end))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        try? await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
        var all: [UInt8] = []
        for await chunk in chunks { all += chunk }
        return all
    }

    private final class Listener: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let end: AsyncStream<[UInt8]>.Continuation
        init(_ end: AsyncStream<[UInt8]>.Continuation) { self.end = end }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            end.yield(Array(unwrapInboundIn(data).readableBytesView))
        }
        func channelInactive(context: ChannelHandlerContext) { end.finish() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
