import Glibc
package import NIOCore
import NIOPosix
import NIOSSL
package import RoostModel

/// Connects to a server: resolves the name, tries each address, TLS, hello, welcome. Each step has a time limit,
/// and an error names host, address, port, cause and remedy.
package struct WireDialer: Sendable {
    /// How the connection is protected, and who we say we are.
    package enum Security: Sendable {
        case token(PoolToken)
        /// Only to loopback, only when somebody asked for it.
        case plain(TokenCredential?)
    }

    package var host: String
    package var port: Int
    package var security: Security

    package init(host: String, port: Int, security: Security) {
        self.host = host
        self.port = port
        self.security = security
    }

    /// What a welcomed connection tells.
    package struct Connected: Sendable {
        package var welcome: Welcome
        /// The address that answered.
        package var address: String
    }

    /// Connects. When the server has said welcome, `open` is called on `loop` with the link and answers who hears
    /// it; what it sends there goes out at once.
    ///
    /// - Parameter patience: How long to go on trying while the server looks as if it were just being started again:
    ///   its host refuses the connection, or it is cut before the welcome. Everything else is thrown at once: a name that does
    ///   not exist will not exist in five seconds either.
    package func connect<Outgoing: WireMessage, Incoming: WireMessage>(
        hello: Hello, on loop: any EventLoop, at now: WallTime = .now(), patience: Duration = .zero,
        open: @escaping @Sendable (Welcome, any Link<Outgoing>) -> any LinkDelegate<Incoming>
    ) async throws(RoostError) -> Connected {
        let end = Clock.now() + patience
        var pause = Duration.milliseconds(50)
        while true {
            do throws(DialFailure) {
                return try await connectOnce(hello: hello, on: loop, at: now, open: open)
            } catch {
                guard error.isPassing, Clock.now() + pause < end else { throw error.error }
            }
            do { try await Task.sleep(for: pause) } catch { throw RoostError(.cancelled, "connecting was cancelled") }
            pause = min(pause * 2, .milliseconds(500))
        }
    }

    /// Why one attempt at all addresses failed.
    private struct DialFailure: Error {
        var error: RoostError
        /// Whether a server that is started again right now looks like this.
        var isPassing: Bool
    }

    private func connectOnce<Outgoing: WireMessage, Incoming: WireMessage>(
        hello: Hello, on loop: any EventLoop, at now: WallTime,
        open: @escaping @Sendable (Welcome, any Link<Outgoing>) -> any LinkDelegate<Incoming>
    ) async throws(DialFailure) -> Connected {
        let addresses: [SocketAddress]
        do throws(RoostError) {
            addresses = try await Resolver.addresses(host: host, port: port, on: loop)
        } catch {
            throw DialFailure(error: error, isPassing: false)
        }
        var attempts: [String] = []
        var refusals = 0
        for address in addresses {
            do throws(DialFailure) {
                let channel = try await dial(address, on: loop)
                let welcome = try await greet(channel, hello: hello, at: now, open: open)
                return Connected(welcome: welcome, address: SocketAddress.words(address))
            } catch {
                // A server that answered has spoken for all its addresses.
                guard error.error.code == .unreachable else {
                    throw DialFailure(error: named(error.error, address), isPassing: error.isPassing)
                }
                refusals += error.isPassing ? 1 : 0
                attempts.append("\(SocketAddress.words(address)): \(error.error.words)")
            }
        }
        let error = RoostError(
            .unreachable, "cannot reach the pool at \(host):\(port)",
            remedy:
                "is the server running there (roost server status)? check host, port and firewalls; see roost doctor",
            cause: attempts.joined(separator: "; "))
        throw DialFailure(error: error, isPassing: refusals > 0)
    }

    private func dial(_ address: SocketAddress, on loop: any EventLoop) async throws(DialFailure) -> any Channel {
        if case .plain = security, !address.isLoopback {
            let error = RoostError(
                .usage, "plain TCP is allowed to loopback only, and \(host) is \(SocketAddress.words(address))",
                remedy: "use TLS")
            throw DialFailure(error: error, isPassing: false)
        }
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(.connectTimeout)
            // Nothing is read before the handlers are there.
            .channelOption(.autoRead, value: false)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { SocketOptions.apply(to: channel) }
            }
        do {
            return try await bootstrap.connect(to: address).get()
        } catch let error as IOError {
            throw DialFailure(
                error: RoostError(.unreachable, systemErrorText(error.errnoCode)), isPassing: error.errnoCode == ECONNREFUSED)
        } catch ChannelError.connectTimeout {
            let error = RoostError(.unreachable, "no answer within \(Limits.connectTimeout.inSeconds) s")
            throw DialFailure(error: error, isPassing: false)
        } catch {
            throw DialFailure(error: RoostError(.unreachable, "cannot connect", cause: "\(error)"), isPassing: false)
        }
    }

    private func greet<Outgoing: WireMessage, Incoming: WireMessage>(
        _ channel: any Channel, hello: Hello, at now: WallTime,
        open: @escaping @Sendable (Welcome, any Link<Outgoing>) -> any LinkDelegate<Incoming>
    ) async throws(DialFailure) -> Welcome {
        let answer = channel.eventLoop.makePromise(of: Welcome.self)
        let security = security
        channel.eventLoop.execute {
            do {
                try Self.addHandlers(to: channel, security: security, hello: hello, answer: answer, at: now, open: open)
            } catch {
                answer.fail(error)
                channel.close(promise: nil)
            }
        }
        do {
            return try await answer.futureResult.get()
        } catch let error as RoostError {
            // Cut without a word: not a refusal, and not what a client and a server of different kinds say to each other.
            throw DialFailure(error: error, isPassing: error.code == .lost || error.code == .unreachable)
        } catch {
            throw DialFailure(error: RoostError(.unreachable, "cannot connect", cause: "\(error)"), isPassing: true)
        }
    }

    private static func addHandlers<Outgoing: WireMessage, Incoming: WireMessage>(
        to channel: any Channel, security: Security, hello: Hello, answer: EventLoopPromise<Welcome>, at now: WallTime,
        open: @escaping @Sendable (Welcome, any Link<Outgoing>) -> any LinkDelegate<Incoming>
    ) throws {
        let credential: TokenCredential?
        let authority: CertificateFingerprint?
        switch security {
        case .token(let token): (credential, authority) = (token.credential, token.authority)
        case .plain(let shown): (credential, authority) = (shown, nil)
        }
        let greeter = ClientGreeter<Outgoing, Incoming>(
            credential: credential, hello: hello, answer: answer, open: open)
        let handler = FrameHandler(phase: .welcome, waitsForTLS: authority != nil, sink: greeter)
        greeter.handler = handler
        if let authority {
            let tls = try ClientTLS.makeHandler(authority: authority, now: now) { [weak greeter] in
                greeter?.refusal = $0
            }
            try channel.pipeline.syncOperations.addHandlers([tls, handler])
        } else {
            try channel.pipeline.syncOperations.addHandler(handler)
        }
        try channel.syncOptions?.setOption(.autoRead, value: true)
    }

    private func named(_ error: RoostError, _ address: SocketAddress) -> RoostError {
        var named = error
        let place = "\(host):\(port)"
        let resolved = SocketAddress.words(address)
        let target = place == resolved ? place : "\(place) (\(resolved))"
        named.message = "\(target): \(error.message)"
        return named
    }
}

extension RoostError {
    /// Message and cause in one line.
    fileprivate var words: String { cause.isEmpty ? message : "\(message) (\(cause))" }
}
