package import NIOCore
package import RoostModel

/// One end of a connection over the network, after hello and welcome.
///
/// Messages are encoded into the connection's outgoing buffer at once; what one read brought is decoded and handed
/// over as one batch.
package final class TLSLink<Outgoing: WireMessage, Incoming: WireMessage>: Link {
    package let peer: String
    private var handler: FrameHandler?
    private var delegate: (any LinkDelegate<Incoming>)?
    private var batch: [Incoming] = []
    /// Called with what the peer sent back for each ``ping(_:)``.
    package var onPong: ((UInt64) -> Void)?

    package init(handler: FrameHandler) {
        self.handler = handler
        peer = handler.peer
    }

    /// Takes over the connection from the greeter.
    package func open(_ delegate: any LinkDelegate<Incoming>) {
        self.delegate = delegate
        handler?.clearDeadline()
        handler?.reader.phase = .open
        handler?.sink = self
    }

    package func send(_ message: Outgoing) { handler?.append(message) }

    package func flush() { handler?.flush() }

    package var isWritable: Bool { handler?.isWritable ?? false }

    package func close(_ reason: RoostError?) {
        if let reason {
            handler?.close(reason, telling: true)
        } else {
            handler?.closeWhenSent(RoostError(.lost, "the connection was closed"))
        }
    }

    /// Asks for a pong with the same number: how long a round trip takes.
    package func ping(_ number: UInt64) {
        handler?.append(.ping) { $0.buffer.writeInteger(number) }
        handler?.flush()
    }
}

extension TLSLink: FrameSink {
    package func connected() {}

    package func frameReceived(_ kind: FrameKind, _ body: inout ByteBuffer) throws(RoostError) {
        switch kind {
        case .message:
            batch.append(try WireCodec.decode(Incoming.self, from: &body))
        case .refusal:
            handler?.close(RoostError.received(&body), telling: false)
        case .pong:
            if let number = body.readInteger(as: UInt64.self) { onPong?(number) }
        case .preface, .hello, .welcome, .fragment, .ping:
            throw RoostError(.protocolViolation, "the peer sent a \(kind.name) frame where none is allowed")
        }
    }

    package func readEnded() {
        guard !batch.isEmpty else { return }
        let messages = batch
        batch = []
        delegate?.linkReceived(messages)
    }

    package func writabilityChanged(_ isWritable: Bool) { delegate?.linkWritabilityChanged(isWritable) }

    package func closed(_ reason: RoostError) {
        readEnded()
        let last = delegate
        delegate = nil
        handler = nil
        onPong = nil
        last?.linkClosed(reason)
    }
}

/// The body of a message frame: the message's number and its fields.
package enum WireCodec {
    package static func decode<Message: WireMessage>(
        _: Message.Type, from body: inout ByteBuffer
    ) throws(RoostError) -> Message {
        guard let raw = body.readInteger(as: UInt16.self) else { throw WireFault.truncated.error(in: "message") }
        guard let number = MessageNumber(rawValue: raw) else {
            throw RoostError(
                .protocolViolation, "the peer sent message number \(raw), which this version does not know",
                remedy: "use the same version of roost on both sides")
        }
        var reader = ProtobufReader(body)
        do throws(WireFault) {
            if let message = try Message.decode(number, from: &reader) { return message }
        } catch {
            throw error.error(in: "message '\(number.name)'")
        }
        throw RoostError(.protocolViolation, "the peer sent the message '\(number.name)', which is not for this side")
    }
}
