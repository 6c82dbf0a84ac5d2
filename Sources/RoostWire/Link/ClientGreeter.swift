import NIOCore
import RoostModel

/// The dialing side of a connection until the welcome: sends preface and hello, waits for the answer.
final class ClientGreeter<Outgoing: WireMessage, Incoming: WireMessage>: FrameSink {
    private let credential: TokenCredential?
    private let hello: Hello
    private let open: (Welcome, any Link<Outgoing>) -> any LinkDelegate<Incoming>
    private let answer: EventLoopPromise<Welcome>
    /// Set right after the handler was made; the two hold each other until the connection ends.
    var handler: FrameHandler?
    /// Why the server's certificate was refused; the handshake's own error does not say.
    var refusal: RoostError?
    private var isAnswered = false

    init(
        credential: TokenCredential?, hello: Hello, answer: EventLoopPromise<Welcome>,
        open: @escaping (Welcome, any Link<Outgoing>) -> any LinkDelegate<Incoming>
    ) {
        self.credential = credential
        self.hello = hello
        self.answer = answer
        self.open = open
    }

    func connected() {
        guard let handler else { return }
        handler.setDeadline {
            RoostError(.unreachable, "the server did not answer the hello within \(Limits.connectTimeout.inSeconds) s")
        }
        let preface = Preface(credential: credential)
        handler.append(.preface) { preface.encode(into: &$0.buffer) }
        handler.append(.hello) { hello.encode(into: &$0) }
        handler.flush()
    }

    func frameReceived(_ kind: FrameKind, _ body: inout ByteBuffer) throws(RoostError) {
        switch kind {
        case .welcome:
            guard let handler else { return }
            let welcome = try Welcome.decode(body)
            let link = TLSLink<Outgoing, Incoming>(handler: handler)
            // Whoever is handed the link may close it at once: the welcome came all the same.
            isAnswered = true
            link.open(open(welcome, link))
            self.handler = nil
            handler.flush()
            answer.succeed(welcome)
        case .refusal:
            handler?.close(RoostError.received(&body), telling: false)
        case .preface, .hello, .message, .fragment, .ping, .pong:
            throw RoostError(.protocolViolation, "the server sent a \(kind.name) frame where none is allowed")
        }
    }

    func readEnded() {}

    func writabilityChanged(_ isWritable: Bool) {}

    func closed(_ reason: RoostError) {
        handler = nil
        guard !isAnswered else { return }
        isAnswered = true
        answer.fail(refusal ?? reason)
    }
}
