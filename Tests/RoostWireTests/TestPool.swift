import Logging
import NIOCore
import NIOPosix
import RoostModel
import RoostWire
import Synchronization

/// A server's ear with its own authority and tokens, that takes everybody in and writes down what it hears.
final class TestPool: WireAcceptor {
    let directory: TemporaryDirectory
    let tokens: TokenStore
    let tls: ServerTLS
    let events: AsyncStream<Event>
    private let eventsEnd: AsyncStream<Event>.Continuation
    let log = LogRecorder()

    enum Event: Sendable {
        case client(Arrival<ClientHello>)
        case node(Arrival<NodeHello>)
        case guardReport(Arrival<GuardReport>)
        case fromClient([ClientToServer])
        case fromNode([NodeToServer])
        case closed(RoostError)
    }

    init() throws {
        directory = TemporaryDirectory()
        tokens = try TokenStore(directory: directory.path)
        tls = try ServerTLS(authority: try CertificateAuthority.open(directory: directory.path, at: .now()))
        (events, eventsEnd) = AsyncStream.makeStream()
    }

    func listen(
        _ security: WireListener.Security? = nil, host: String = "127.0.0.1", port: Int = 0
    ) async throws -> WireListener {
        try await WireListener.bind(
            host: host, port: port, security: security ?? .tls(tls), acceptor: self,
            group: MultiThreadedEventLoopGroup.singleton, log: log.logger)
    }

    func token(_ role: Role, lifetime: Duration? = nil, at moment: WallTime = .now()) throws -> PoolToken {
        try tokens.create(role: role, user: "anna", lifetime: lifetime, authority: tls.fingerprint, at: moment)
    }

    func principal(for credential: TokenCredential?) throws(RoostError) -> Principal {
        guard let credential else { return Principal(role: .client, user: "local") }
        return try tokens.principal(for: credential, at: .now())
    }

    func accept(
        client arrival: Arrival<ClientHello>, over link: any Link<ServerToClient>
    ) throws(RoostError) -> (Welcome, any LinkDelegate<ClientToServer>) {
        if arrival.hello.description == "unwanted" { throw RoostError(.refused, "not today") }
        eventsEnd.yield(.client(arrival))
        // Said before the welcome, heard after it.
        link.send(.heartbeat)
        let delegate = EventDelegate<ServerToClient, ClientToServer>(eventsEnd, { .fromClient($0) }, link: link) {
            guard case .query(let id, _) = $0 else { return nil }
            return .reply(id: id, .done(count: 1))
        }
        return (Welcome(pool: tls.pool, epoch: 5), delegate)
    }

    func accept(
        node arrival: Arrival<NodeHello>, over link: any Link<ServerToNode>
    ) throws(RoostError) -> (Welcome, any LinkDelegate<NodeToServer>) {
        eventsEnd.yield(.node(arrival))
        let delegate = EventDelegate<ServerToNode, NodeToServer>(eventsEnd, { .fromNode($0) }, link: link) {
            guard case .outcomes(let sequence, _) = $0 else { return nil }
            return .acknowledge([sequence])
        }
        return (Welcome(pool: tls.pool, epoch: 5), delegate)
    }

    func heard(_ arrival: Arrival<GuardReport>) throws(RoostError) -> Welcome {
        eventsEnd.yield(.guardReport(arrival))
        return Welcome(pool: tls.pool, epoch: 5)
    }
}

/// Turns what a link says into events, and answers some messages.
final class EventDelegate<Outgoing: WireMessage, Incoming: WireMessage>: LinkDelegate {
    private let events: AsyncStream<TestPool.Event>.Continuation
    private let event: ([Incoming]) -> TestPool.Event
    private var link: (any Link<Outgoing>)?
    private let answer: (Incoming) -> Outgoing?

    init(
        _ events: AsyncStream<TestPool.Event>.Continuation, _ event: @escaping ([Incoming]) -> TestPool.Event,
        link: any Link<Outgoing>, answer: @escaping (Incoming) -> Outgoing?
    ) {
        self.events = events
        self.event = event
        self.link = link
        self.answer = answer
    }

    func linkReceived(_ messages: [Incoming]) {
        events.yield(event(messages))
        for message in messages { if let reply = answer(message) { link?.send(reply) } }
        link?.flush()
    }
    func linkWritabilityChanged(_ isWritable: Bool) {}
    func linkClosed(_ reason: RoostError) {
        link = nil
        events.yield(.closed(reason))
    }
}

/// The dialing side of a test: what it hears, as a stream, and what it can do.
struct TestPeer<Outgoing: WireMessage, Incoming: WireMessage>: Sendable {
    let connected: WireDialer.Connected
    let messages: AsyncStream<Incoming>
    let ending: EventLoopFuture<RoostError>
    private let link: NIOLoopBoundBox<(any Link<Outgoing>)?>

    static func connect(_ dialer: WireDialer, hello: Hello, patience: Duration = .zero) async throws -> TestPeer {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let (messages, messagesEnd) = AsyncStream.makeStream(of: Incoming.self)
        let ending = loop.makePromise(of: RoostError.self)
        let box = NIOLoopBoundBox<(any Link<Outgoing>)?>.makeEmptyBox(eventLoop: loop)
        do {
            let connected = try await dialer.connect(hello: hello, on: loop, patience: patience) {
                _, link -> any LinkDelegate<Incoming> in
                box.value = link
                return StreamDelegate(messagesEnd, ending)
            }
            return TestPeer(connected: connected, messages: messages, ending: ending.futureResult, link: box)
        } catch {
            ending.fail(error)
            throw error
        }
    }

    func with(_ body: @escaping @Sendable (any Link<Outgoing>) -> Void) {
        let link = link
        link.eventLoop.execute { link.value.map(body) }
    }
}

/// Turns what a link says into a stream and a future.
private final class StreamDelegate<Incoming: WireMessage>: LinkDelegate {
    private let messages: AsyncStream<Incoming>.Continuation
    private let ending: EventLoopPromise<RoostError>

    init(_ messages: AsyncStream<Incoming>.Continuation, _ ending: EventLoopPromise<RoostError>) {
        self.messages = messages
        self.ending = ending
    }

    func linkReceived(_ received: [Incoming]) { received.forEach { messages.yield($0) } }
    func linkWritabilityChanged(_ isWritable: Bool) {}
    func linkClosed(_ reason: RoostError) {
        messages.finish()
        ending.succeed(reason)
    }
}

/// Keeps log lines: message and reason.
final class LogRecorder: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    var logger: Logger {
        var logger = Logger(label: "test") { _ in Handler(recorder: self) }
        logger.logLevel = .debug
        return logger
    }

    private struct Handler: LogHandler {
        let recorder: LogRecorder
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.debug

        init(recorder: LogRecorder) { self.recorder = recorder }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let reason = event.metadata?["reason"].map { ": \($0)" } ?? ""
            recorder.lines.withLock { $0.append("\(event.message)\(reason)") }
        }
    }
}
