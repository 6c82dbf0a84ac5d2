package import Logging
package import NIOCore
import NIOPosix
import NIOSSL
package import RoostModel
import Synchronization

/// The server's ear: accepts connections, takes them through TLS, token and hello, and hands them over.
package final class WireListener: Sendable {
    /// How connections are protected.
    package enum Security: Sendable {
        case tls(ServerTLS)
        /// Only on loopback, only when somebody asked for it.
        case plain
    }

    private let channel: any Channel
    /// Where it really listens: the port is known even when 0 was asked for.
    package let host: String
    package let port: Int

    private init(channel: any Channel, host: String, port: Int) {
        self.channel = channel
        self.host = host
        self.port = port
    }

    /// Starts to listen. Connections live on the loops of `group`; the acceptor is called there.
    package static func bind(
        host: String, port: Int, security: Security, acceptor: any WireAcceptor, group: any EventLoopGroup, log: Logger
    ) async throws(RoostError) -> WireListener {
        let addresses = try await Resolver.addresses(host: host, port: port, on: group.any(), isPassive: true)
        if case .plain = security, let open = addresses.first(where: { !$0.isLoopback }) {
            throw RoostError(
                .usage, "plain TCP is allowed on loopback only, and \(host) is \(SocketAddress.words(open))",
                remedy: "listen on 127.0.0.1, or use TLS")
        }
        let connections = Counter()
        var failure = "no address"
        for address in addresses {
            let bootstrap = ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 1024)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try accept(channel, security: security, acceptor: acceptor, connections: connections, log: log)
                    }
                }
            do {
                let channel = try await bootstrap.bind(to: address).get()
                let local = channel.localAddress ?? address
                return WireListener(
                    channel: channel, host: local.ipAddress ?? host, port: local.port ?? port)
            } catch let error as IOError {
                failure = "\(SocketAddress.words(address)): \(systemErrorText(error.errnoCode))"
            } catch {
                failure = "\(SocketAddress.words(address)): \(error)"
            }
        }
        throw RoostError(
            .io, "cannot listen on \(host):\(port)", remedy: "is another server running there? choose another port",
            cause: failure)
    }

    /// Listens no more; connections stay.
    package func close() async {
        try? await channel.close().get()
    }

    private static func accept(
        _ channel: any Channel, security: Security, acceptor: any WireAcceptor, connections: Counter, log: Logger
    ) throws {
        guard connections.value.add(1, ordering: .relaxed).newValue <= Limits.connections else {
            connections.value.subtract(1, ordering: .relaxed)
            log.warning("connection refused", metadata: ["reason": "\(Limits.connections) connections are open"])
            throw RoostError(.limit, "\(Limits.connections) connections are open")
        }
        channel.closeFuture.whenComplete { _ in connections.value.subtract(1, ordering: .relaxed) }
        SocketOptions.apply(to: channel)
        try prepare(channel, security: security, acceptor: acceptor, log: log)
    }

    /// Makes a channel the server's side of a connection.
    package static func prepare(
        _ channel: any Channel, security: Security, acceptor: any WireAcceptor, log: Logger
    ) throws {
        let wantsTLS =
            switch security {
            case .tls: true
            case .plain: false
            }
        let gate = FirstBytes(wantsTLS: wantsTLS, log: log) { context in
            let greeter = ServerGreeter(acceptor: acceptor, log: log)
            let handler = FrameHandler(phase: .preface, waitsForTLS: wantsTLS, sink: greeter)
            greeter.handler = handler
            if case .tls(let tls) = security {
                let server = NIOSSLServerHandler(context: tls.context)
                try context.pipeline.syncOperations.addHandlers([server, handler])
            } else {
                try context.pipeline.syncOperations.addHandler(handler)
            }
        }
        try channel.pipeline.syncOperations.addHandler(gate)
    }

    /// How many connections are open.
    private final class Counter: Sendable {
        let value = Atomic(0)
    }
}
