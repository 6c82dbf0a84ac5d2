import Logging
import NIOCore
import NIOSSL
import RoostModel

/// Looks at a new connection's first bytes and lets only those that can become a connection of ours go on; then it
/// leaves. A browser or a port scanner costs no TLS state, and learns in words what this port is.
final class FirstBytes: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let wantsTLS: Bool
    private let log: Logger
    private let onPass: (ChannelHandlerContext) throws -> Void
    private var seen = ByteBuffer()
    private var deadline: Scheduled<Void>?
    private var isOver = false

    init(wantsTLS: Bool, log: Logger, onPass: @escaping (ChannelHandlerContext) throws -> Void) {
        self.wantsTLS = wantsTLS
        self.log = log
        self.onPass = onPass
    }

    func handlerAdded(context: ChannelHandlerContext) {
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: .connectTimeout) { [self] in
            refuse(context, "the peer sent nothing within \(Limits.connectTimeout.inSeconds) s")
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        if !isOver { log.debug("connection closed before its first byte", metadata: metadata(context)) }
        isOver = true
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        guard !isOver else { return }
        seen.writeBuffer(&bytes)
        switch Self.kind(of: seen, wantsTLS: wantsTLS) {
        case .undecided: return
        case .ours: pass(context)
        case .http:
            refuse(context, "the peer is an HTTP client", answering: Self.httpAnswer)
        case .tls:
            refuse(context, "the peer speaks TLS, this port is plain TCP")
        case .foreign:
            refuse(context, "the peer speaks neither TLS nor Roost's protocol")
        }
    }

    private func pass(_ context: ChannelHandlerContext) {
        isOver = true
        deadline?.cancel()
        do {
            try onPass(context)
            context.fireChannelRead(wrapInboundOut(seen))
            context.fireChannelReadComplete()
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        } catch {
            log.error("cannot set up a connection", metadata: ["error": "\(error)"])
            context.close(promise: nil)
        }
    }

    private func refuse(_ context: ChannelHandlerContext, _ reason: String, answering text: String? = nil) {
        guard !isOver else { return }
        isOver = true
        deadline?.cancel()
        var facts = metadata(context)
        facts["reason"] = "\(reason)"
        log.info("connection refused", metadata: facts)
        guard let text else { return context.close(promise: nil) }
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: sent)
    }

    private func metadata(_ context: ChannelHandlerContext) -> Logger.Metadata {
        ["peer": "\(context.remoteAddress.map(SocketAddress.words) ?? "unknown")"]
    }

    enum Kind { case undecided, ours, http, tls, foreign }

    /// What a connection that begins with these bytes is.
    static func kind(of bytes: ByteBuffer, wantsTLS: Bool) -> Kind {
        let start = Array(bytes.readableBytesView.prefix(4))
        guard let first = start.first else { return .undecided }
        // A TLS record that begins a handshake; or the length of a preface, which is less than 64 KiB.
        if first == 0x16 { return wantsTLS ? .ours : .tls }
        if first == 0x00, !wantsTLS { return .ours }
        guard start.allSatisfy({ (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) || $0 == 0x20 }) else {
            return .foreign
        }
        if start.count < 4 { return .undecided }
        let methods = ["GET ", "POST", "HEAD", "PUT ", "OPTI", "DELE", "CONN", "PATC", "TRAC", "PRI "]
        return methods.contains(String(decoding: start, as: UTF8.self)) ? .http : .foreign
    }

    private static let httpAnswer: String = {
        let text = "This is the port of a Roost pool, for roost nodes and clients. It does not speak HTTP.\n"
        return "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: \(text.utf8.count)\r\n"
            + "Connection: close\r\n\r\n" + text
    }()
}
