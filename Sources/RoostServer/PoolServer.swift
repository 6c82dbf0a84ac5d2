package import Logging
import NIOCore
import NIOPosix
package import RoostModel
import RoostStore
package import RoostWire
import ServiceLifecycle
import Synchronization

/// A server: the engine, its listener, its secrets. Runs as a service until it is told to stop.
package final class PoolServer: Service {
    package let configuration: ServerConfiguration
    package let data: DataDirectory
    private let log: Logger
    private let group: MultiThreadedEventLoopGroup
    private let loop: any EventLoop
    private let engine: NIOLoopBound<Engine>
    private let store: PoolDatabase
    private let tls: ServerTLS?
    private let storeTrouble: StoreTrouble
    private let bound = Mutex<(host: String, port: Int)?>(nil)
    private let stopping: AsyncStream<String>
    private let stop: AsyncStream<String>.Continuation
    /// Told once, when the port is open.
    private let onListening: @Sendable (_ host: String, _ port: Int) throws(RoostError) -> Void

    /// - Parameter onListening: Told once, when the port is open; what it throws ends ``run()``.
    /// - Throws: what is wrong with the data directory.
    package static func make(
        _ configuration: ServerConfiguration, log: Logger,
        onListening: @escaping @Sendable (_ host: String, _ port: Int) throws(RoostError) -> Void = { _, _ in }
    ) async throws(RoostError) -> PoolServer {
        let now = WallTime.now()
        var options = StoreOptions()
        if let text = configuration.storeFaults {
            options = try StoreFaultPlan(parsing: text, directory: configuration.dataDirectory).options
            log.critical("the store will fail, as a test has asked", metadata: ["faults": "\(text)"])
        }
        let data = try DataDirectory(serving: configuration.dataDirectory, at: now)
        let tls: ServerTLS? = configuration.isPlain ? nil : try ServerTLS(authority: data.authority)
        let (stopping, stop) = AsyncStream<String>.makeStream()
        // One loop: the engine's turns and all connections share it, so that no message hops between threads.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let office = Office(data: data, stop: stop)
        let failure = StoreTrouble()
        options.onFailure = { error in
            failure.note(error)
            stop.yield("the store failed")
        }
        let (store, held) = try PoolDatabase.open(directory: configuration.dataDirectory, pool: data.authority.pool, options: options)
        do throws(RoostError) {
            try data.beginEpoch()
        } catch {
            store.close()
            throw error
        }
        for damage in store.damage { log.error("damaged on disk", metadata: ["what": "\(damage)"]) }
        do {
            let engine = try await loop.submit {
                NIOLoopBound(
                    Engine(
                        pool: data.authority.pool, epoch: data.epoch, version: configuration.version, loop: loop,
                        log: log, store: (store, held), keep: configuration.keep,
                        onStoreFailure: { error in
                            failure.note(error)
                            stop.yield("the store failed")
                        }, office: { office.answer($0, $1) }), eventLoop: loop)
            }.get()
            return PoolServer(
                configuration, data, log, group, loop, engine, store, failure, tls, stopping, stop, onListening)
        } catch {
            throw RoostError(.internal, "the server's event loop does not run", cause: "\(error)")
        }
    }

    private init(
        _ configuration: ServerConfiguration, _ data: DataDirectory, _ log: Logger,
        _ group: MultiThreadedEventLoopGroup, _ loop: any EventLoop, _ engine: NIOLoopBound<Engine>,
        _ store: PoolDatabase, _ storeTrouble: StoreTrouble, _ tls: ServerTLS?,
        _ stopping: AsyncStream<String>, _ stop: AsyncStream<String>.Continuation,
        _ onListening: @escaping @Sendable (_ host: String, _ port: Int) throws(RoostError) -> Void
    ) {
        self.configuration = configuration
        self.data = data
        self.log = log
        self.group = group
        self.loop = loop
        self.engine = engine
        self.store = store
        self.storeTrouble = storeTrouble
        self.tls = tls
        self.stopping = stopping
        self.stop = stop
        self.onListening = onListening
    }

    /// Listens; afterwards ``port`` is known.
    package func start() async throws(RoostError) -> WireListener {
        let acceptor = Acceptor(engine: engine, tokens: data.tokens, isPlain: configuration.isPlain)
        let listener = try await WireListener.bind(
            host: configuration.host, port: configuration.port, security: tls.map { .tls($0) } ?? .plain,
            acceptor: acceptor, group: group, log: log)
        bound.withLock { $0 = (listener.host, listener.port) }
        log.info(
            "listening",
            metadata: [
                "host": "\(listener.host)", "port": "\(listener.port)", "epoch": "\(data.epoch)",
                "data": "\(configuration.dataDirectory)",
            ])
        return listener
    }

    /// The port it listens on, once it does.
    package var port: Int? { bound.withLock { $0?.port } }

    /// Ends ``run()`` from inside.
    package func requestStop(_ reason: String) { stop.yield(reason) }

    /// Serves until graceful shutdown, then tells all peers and closes.
    /// - Throws: what ended the store, when that is why it stops.
    package func run() async throws {
        let listener: WireListener
        do throws(RoostError) {
            listener = try await start()
            try onListening(listener.host, listener.port)
        } catch {
            store.close()
            try? await group.shutdownGracefully()
            throw error
        }
        let check = loop.scheduleRepeatedTask(
            initialDelay: .seconds(1), delay: .nanoseconds(configuration.tokenCheck.wholeNanoseconds)
        ) { [self] _ in lookAfterSecrets() }
        var reason = "the server was stopped"
        await withGracefulShutdownHandler {
            for await asked in stopping {
                reason = asked
                break
            }
        } onGracefulShutdown: { [stop] in
            stop.yield("the server was asked to stop")
        }
        check.cancel()
        await listener.close()
        if let trouble = storeTrouble.error {
            log.critical("the store failed; nothing more is accepted", metadata: ["reason": "\(trouble)"])
        }
        let last = RoostError(.lost, reason)
        try? await loop.submit { [engine] in engine.value.stop(last) }.get()
        store.close()
        try? await group.shutdownGracefully()
        log.info("stopped", metadata: ["reason": "\(reason)"])
        if let trouble = storeTrouble.error { throw trouble }
    }

    /// Connections whose tokens were revoked or have expired end; the certificate is renewed in time.
    private func lookAfterSecrets() {
        let now = WallTime.now()
        do throws(RoostError) {
            if try tls?.renewIfNeeded(at: now) == true { log.info("certificate renewed") }
        } catch {
            log.error("certificate not renewed", metadata: ["reason": "\(error)"])
        }
        let tokens = data.tokens
        engine.value.closeConnections { token in
            do throws(RoostError) {
                return try tokens.isGood(token, at: now)
                    ? nil
                    : RoostError(
                        .refused, "the token was revoked or has expired", remedy: "Ask for a new one: roost token create.")
            } catch {
                // An unreadable token file ends nobody's work; new connections are refused and say so.
                return nil
            }
        }
    }
}

/// Why the store ended, if it did.
private final class StoreTrouble: Sendable {
    private let noted = Mutex<RoostError?>(nil)

    func note(_ error: RoostError) { noted.withLock { $0 = $0 ?? error } }
    var error: RoostError? { noted.withLock { $0 } }
}

/// Lets peers in by their tokens.
private struct Acceptor: WireAcceptor {
    let engine: NIOLoopBound<Engine>
    let tokens: TokenStore
    let isPlain: Bool

    func principal(for credential: TokenCredential?) throws(RoostError) -> Principal {
        if let credential { return try tokens.principal(for: credential, at: .now()) }
        guard isPlain else { throw RoostError(.refused, "a token is needed") }
        // Plain TCP, on loopback, on request: whoever is on this machine may do everything.
        return Principal(role: .admin, user: "local")
    }

    func accept(
        client arrival: Arrival<ClientHello>, over link: any Link<ServerToClient>
    ) throws(RoostError) -> (Welcome, any LinkDelegate<ClientToServer>) {
        guard arrival.principal.role != .node else { throw wrongRole(arrival.principal, wanted: "client") }
        return engine.value.accept(
            client: arrival.hello, as: arrival.principal, token: arrival.token, peer: arrival.peer, over: link)
    }

    func accept(
        node arrival: Arrival<NodeHello>, over link: any Link<ServerToNode>
    ) throws(RoostError) -> (Welcome, any LinkDelegate<NodeToServer>) {
        try checkNode(arrival.principal)
        return engine.value.accept(node: arrival.hello, token: arrival.token, peer: arrival.peer, over: link)
    }

    func heard(_ arrival: Arrival<GuardReport>) throws(RoostError) -> Welcome {
        try checkNode(arrival.principal)
        return engine.value.heard(arrival.hello)
    }

    private func checkNode(_ principal: Principal) throws(RoostError) {
        guard principal.role == .node || principal.role == .admin else { throw wrongRole(principal, wanted: "node") }
    }

    private func wrongRole(_ principal: Principal, wanted: String) -> RoostError {
        RoostError(
            .refused, "this token is for a \(principal.role.name), a \(wanted)'s is needed",
            remedy: "Make one on the server's host: roost token create --role \(wanted)")
    }
}

/// Answers what concerns the server itself: tokens, stopping.
private struct Office: Sendable {
    let data: DataDirectory
    let stop: AsyncStream<String>.Continuation

    func answer(_ query: Query, _ principal: Principal) -> Reply? {
        switch query {
        case .createToken, .listTokens, .revokeToken, .stopServer:
            guard principal.role == .admin else {
                return .failed(
                    RoostError(.refused, "only an administrator may do this", remedy: "Use a token of role admin."))
            }
        case .pool, .jobs, .job, .explain, .cancel, .retry, .forget, .drainNode, .killNode, .killWorker:
            return nil
        }
        do throws(RoostError) {
            switch query {
            case .createToken(let role, let user, let lifetime, let weight):
                let token = try data.tokens.create(
                    role: role, user: user, lifetime: lifetime, weight: weight,
                    authority: data.authority.fingerprint, at: .now())
                return .token(token.text)
            case .listTokens:
                return .tokens(try data.tokens.list().map(\.snapshot))
            case .revokeToken(let name):
                return .done(count: UInt32(try data.tokens.revoke(name, at: .now())))
            case .stopServer:
                stop.yield("an administrator asked for it")
                return .done(count: 1)
            case .pool, .jobs, .job, .explain, .cancel, .retry, .forget, .drainNode, .killNode, .killWorker:
                return nil
            }
        } catch {
            return .failed(error)
        }
    }
}
