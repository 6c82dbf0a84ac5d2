import Logging
import NIOCore
import RoostModel

/// The server's side of a connection until the welcome: preface, token, hello.
///
///     awaiting preface ──token good──▶ awaiting hello ──accepted──▶ (a TLSLink takes over)
///            └──────────── refused or too late ────────────┴──▶ closed
final class ServerGreeter: FrameSink {
    private let acceptor: any WireAcceptor
    private let log: Logger
    private var state = State.awaitingPreface
    /// The address, kept for when the channel does not know it any more.
    private var peer = "unknown"
    /// A guard has said what it came to say: its going is no news.
    private var hasReported = false
    /// Set right after the handler was made; the two hold each other until the connection ends.
    var handler: FrameHandler?

    private enum State {
        case awaitingPreface
        case awaitingHello(Principal, TokenID?, version: UInt8)
        case over
    }

    init(acceptor: any WireAcceptor, log: Logger) {
        self.acceptor = acceptor
        self.log = log
    }

    func connected() {
        peer = handler?.peer ?? peer
        handler?.setDeadline {
            RoostError(.unreachable, "no hello within \(Limits.connectTimeout.inSeconds) s after the TLS handshake")
        }
    }

    func frameReceived(_ kind: FrameKind, _ body: inout ByteBuffer) throws(RoostError) {
        switch (state, kind) {
        case (.awaitingPreface, .preface):
            let preface = try Preface(decoding: &body)
            let version = try preface.commonVersion()
            let principal = try acceptor.principal(for: preface.credential)
            state = .awaitingHello(principal, preface.credential?.id, version: version)
            handler?.reader.phase = .hello
        case (.awaitingHello(let principal, let token, let version), .hello):
            state = .over
            try greet(try Hello.decode(body), principal: principal, token: token, version: version)
        default:
            throw RoostError(.protocolViolation, "the peer sent a \(kind.name) frame where none is allowed")
        }
    }

    private func greet(_ hello: Hello, principal: Principal, token: TokenID?, version: UInt8) throws(RoostError) {
        guard let handler else { return }
        // Whatever the owner sends before we know its answer goes behind the welcome.
        handler.isCorked = true
        defer { handler.isCorked = false }
        switch hello {
        case .client(let client):
            try check(principal, is: [.client, .observer, .admin], toConnectAs: "a client")
            let link = TLSLink<ServerToClient, ClientToServer>(handler: handler)
            let arrival = Arrival(principal: principal, token: token, hello: client, peer: handler.peer)
            let (welcome, delegate) = try acceptor.accept(client: arrival, over: link)
            open(link, delegate, welcome, version)
        case .node(let node):
            try check(principal, is: [.node, .admin], toConnectAs: "a node")
            let link = TLSLink<ServerToNode, NodeToServer>(handler: handler)
            let arrival = Arrival(principal: principal, token: token, hello: node, peer: handler.peer)
            let (welcome, delegate) = try acceptor.accept(node: arrival, over: link)
            open(link, delegate, welcome, version)
        case .guardReport(let report):
            try check(principal, is: [.node, .admin], toConnectAs: "a node's guard")
            let arrival = Arrival(principal: principal, token: token, hello: report, peer: handler.peer)
            let welcome = try acceptor.heard(arrival)
            handler.append(.welcome) { welcome.encode(version: version, into: &$0) }
            handler.isCorked = false
            handler.flush()
            hasReported = true
            handler.closeWhenSent(RoostError(.lost, "the guard has reported"))
        }
    }

    private func open<Outgoing, Incoming>(
        _ link: TLSLink<Outgoing, Incoming>, _ delegate: any LinkDelegate<Incoming>, _ welcome: Welcome,
        _ version: UInt8
    ) {
        guard let handler else { return }
        var early = handler.writer.buffer
        handler.writer.buffer = ByteBuffer()
        handler.append(.welcome) { welcome.encode(version: version, into: &$0) }
        handler.writer.buffer.writeBuffer(&early)
        link.open(delegate)
        self.handler = nil
        handler.isCorked = false
        handler.flush()
    }

    private func check(_ principal: Principal, is roles: [Role], toConnectAs what: String) throws(RoostError) {
        guard !roles.contains(principal.role) else { return }
        let wanted = roles.map(\.name).joined(separator: ", ")
        throw RoostError(
            .refused, "the token's role is \(principal.role.name); to connect as \(what) it must be \(wanted)",
            remedy: "make one on the server's host: roost token create --role \(roles[0].name)")
    }

    func readEnded() {}

    func writabilityChanged(_ isWritable: Bool) {}

    func closed(_ reason: RoostError) {
        if !hasReported {
            var facts: Logger.Metadata = ["peer": "\(peer)", "reason": "\(reason.message)"]
            if !reason.cause.isEmpty { facts["cause"] = "\(reason.cause)" }
            log.info("connection refused", metadata: facts)
        }
        handler = nil
        state = .over
    }
}
