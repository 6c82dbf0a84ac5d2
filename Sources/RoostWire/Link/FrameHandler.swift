package import NIOCore
import NIOTLS
package import RoostModel

/// What a ``FrameHandler`` tells its owner, on the event loop.
package protocol FrameSink: AnyObject {
    /// The bytes may flow: the TCP connection is there, and TLS is done if there is any.
    func connected()
    func frameReceived(_ kind: FrameKind, _ body: inout ByteBuffer) throws(RoostError)
    /// All frames of one read have been handed over.
    func readEnded()
    func writabilityChanged(_ isWritable: Bool)
    /// The last call.
    func closed(_ reason: RoostError)
}

/// The channel handler of a connection: frames in, frames out, one write a flush.
///
///     socket ─ TLS ─ FrameHandler ─▶ sink: first a greeter (preface, hello, welcome), then a TLSLink
///
/// Frames are cut straight from the bytes that were read, without a step between decoder and logic. Outgoing frames
/// gather in one buffer that lives as long as the connection; large messages wait beside it and are cut into
/// fragments while the socket takes them.
package final class FrameHandler: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    var sink: (any FrameSink)?
    var reader: FrameReader
    /// Frames that go out with the next flush.
    var writer = ProtobufWriter()
    /// While set, frames gather but nothing is sent: the owner has to put something before them.
    var isCorked = false
    private var streams = OutgoingStreams()
    private var assembler = FragmentAssembler()
    /// The beginning of a frame whose rest has not come yet.
    private var rest = ByteBuffer()
    private var context: ChannelHandlerContext?
    private var deadline: Scheduled<Void>?
    private var closing: RoostError?
    private var isConnected = false
    private var isContinuing = false
    private var isFinishing = false
    /// What the owner was told last.
    private var wasWritable = true
    /// The last flush has left pieces of large messages behind; and the owner is to hear when they have gone.
    private var isBehind = false
    private var owesWord = false
    private var idleFlushes = 0
    private let waitsForTLS: Bool

    /// Bytes waiting for a peer that does not read, before it is given up.
    static let mostWaitingBytes = Limits.undeliveredBytes
    /// Buffers that have grown beyond this are given back when they are not needed any more.
    private static let keptBytes = 64 << 10
    /// How long a closing connection waits for a peer to take the last bytes.
    private static let farewellTime = TimeAmount.seconds(10)
    /// Fragments in one go, before others on the event loop get a turn.
    private static let fragmentsPerTurn = 8

    package init(phase: FrameReader.Phase, waitsForTLS: Bool, sink: any FrameSink) {
        self.reader = FrameReader(phase: phase)
        self.waitsForTLS = waitsForTLS
        self.sink = sink
    }

    // MARK: What the owner does

    /// The peer's address, for people.
    var peer: String { context?.remoteAddress.map(SocketAddress.words) ?? "a closed connection" }

    /// Whether the socket takes more, and no pieces of large messages wait for it: what is added now does not pile up.
    var isWritable: Bool { context?.channel.isWritable == true && !isBehind }

    /// Adds a frame.
    func append(_ kind: FrameKind, _ body: (inout ProtobufWriter) -> Void) {
        let start = writer.buffer.writerIndex
        writer.buffer.writeInteger(0 as UInt32)
        writer.buffer.writeInteger(kind.rawValue)
        body(&writer)
        writer.buffer.setInteger(UInt32(writer.buffer.writerIndex - start - 4), at: start)
    }

    /// Adds a message, as a frame of its own or, when it is large or has to stay behind a large one, in pieces.
    func append(_ message: some WireMessage) {
        guard closing == nil else { return }
        if message.payloadBytes >= FrameSizes.sharedPayloadBytes
            || (!streams.isEmpty && streams.mustQueue(message.lane))
        {
            appendInPieces(message)
            return
        }
        let start = writer.buffer.writerIndex
        writer.buffer.writeMultipleIntegers(0 as UInt32, FrameKind.message.rawValue, message.number.rawValue)
        message.encode(into: &writer)
        let length = writer.buffer.writerIndex - start - 4
        if length - 1 <= Limits.frameBytes {
            writer.buffer.setInteger(UInt32(length), at: start)
        } else {
            // Larger than its payloads promised: out of the buffer again.
            writer.buffer.moveWriterIndex(to: start)
            appendInPieces(message)
        }
    }

    private func appendInPieces(_ message: some WireMessage) {
        var content = ProtobufWriter()
        content.sharesFrom = Self.keptBytes
        content.buffer.writeInteger(message.number.rawValue)
        message.encode(into: &content)
        streams.append(WireContent(content), lane: message.lane)
    }

    /// Sends what has been added, as one write, and as many pieces of large messages as the socket takes.
    func flush() {
        guard let context, isConnected, !isCorked, !isFinishing else { return }
        flushFrames(context)
        guard !streams.isEmpty, !isContinuing else { return }
        for _ in 0..<Self.fragmentsPerTurn {
            guard !streams.isEmpty, context.channel.isWritable else { break }
            streams.writeFragment(into: &writer.buffer)
            flushFrames(context)
        }
        if streams.isEmpty, closing != nil, !isFinishing { return finish() }
        isBehind = !streams.isEmpty
        if isBehind { owesWord = true }
        if isBehind, context.channel.isWritable {
            isContinuing = true
            context.eventLoop.assumeIsolated().execute { [self] in
                isContinuing = false
                flush()
                noteWritability()
            }
        }
    }

    /// Tells the owner that the socket is full, or that it may add more, if that is news: it may have asked while pieces waited.
    private func noteWritability() {
        let isFull = context?.channel.isWritable != true
        guard isFull ? wasWritable : isWritable && (!wasWritable || owesWord) else { return }
        wasWritable = !isFull
        if !isFull { owesWord = false }
        sink?.writabilityChanged(!isFull)
    }

    private func flushFrames(_ context: ChannelHandlerContext) {
        let count = writer.buffer.readableBytes
        guard count > 0 else { return }
        guard context.channel.isWritable || closing != nil else {
            if count > Self.mostWaitingBytes {
                let limit = Self.mostWaitingBytes >> 20
                fail(RoostError(.limit, "the peer does not read: more than \(limit) MiB wait for it"))
            }
            return
        }
        // Taken out first: while it writes, the channel may become full and writable again, and whoever hears that adds
        // frames and flushes.
        var bytes = writer.buffer
        writer.buffer = ByteBuffer()
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        // TLS has taken the bytes by now, so the buffer is ours alone again and is used once more; a large one is
        // given back after many small writes.
        idleFlushes = count < bytes.capacity / 8 ? idleFlushes + 1 : 0
        guard writer.buffer.readableBytes == 0 else { return }
        if idleFlushes > 16 && bytes.capacity > 4096 || count > 4 << 20 {
            idleFlushes = 0
        } else {
            bytes.clear()
            writer.buffer = bytes
        }
    }

    /// Closes when the time of a connection attempt is over, unless ``clearDeadline()`` comes first.
    func setDeadline(_ error: @escaping () -> RoostError) {
        setDeadline(in: .connectTimeout) { [weak self] in self?.close(error(), telling: true) }
    }

    private func setDeadline(in time: TimeAmount, _ action: @escaping () -> Void) {
        deadline?.cancel()
        guard let context else { return }
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: time, action)
    }

    func clearDeadline() {
        deadline?.cancel()
        deadline = nil
    }

    /// Tells the peer the reason, if `telling`, after what waits already, and closes. Large messages that are not
    /// sent yet are dropped.
    func close(_ reason: RoostError, telling: Bool) {
        guard closing == nil else { return }
        if telling, isConnected { append(.refusal) { reason.encode(into: &$0) } }
        closing = reason
        streams = OutgoingStreams()
        finish()
    }

    /// Sends everything that was added, large messages too, and closes; a peer that does not read is not waited for.
    func closeWhenSent(_ reason: RoostError) {
        guard closing == nil else { return }
        closing = reason
        guard isConnected, !streams.isEmpty else { return finish() }
        setDeadline(in: Self.farewellTime) { [weak self] in self?.finish() }
        flush()
    }

    /// Something went wrong here or there: tells the peer and closes.
    private func fail(_ error: RoostError) { close(error, telling: true) }

    /// Closes the channel once the last bytes have left, or after a while when they do not.
    private func finish() {
        clearDeadline()
        isCorked = false
        isFinishing = true
        guard let context else { return }
        guard isConnected else { return context.close(promise: nil) }
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenComplete { [self] _ in self.context?.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(writer.buffer), promise: sent)
        writer.buffer = ByteBuffer()
        setDeadline(in: Self.farewellTime) { [weak self] in self?.context?.close(mode: .all, promise: nil) }
    }

    // MARK: What the channel does

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        setDeadline {
            RoostError(.unreachable, "no TLS handshake within \(Limits.connectTimeout.inSeconds) s")
        }
        if context.channel.isActive, !waitsForTLS { becomeConnected() }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        end()
        self.context = nil
    }

    package func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        if !waitsForTLS { becomeConnected() }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted? = event as? TLSUserEvent { becomeConnected() }
        context.fireUserInboundEventTriggered(event)
    }

    private func becomeConnected() {
        guard !isConnected, closing == nil else { return }
        isConnected = true
        sink?.connected()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard closing == nil else { return }
        var bytes = unwrapInboundIn(data)
        do throws(RoostError) {
            if rest.readableBytes == 0 {
                try consume(&bytes)
                if bytes.readableBytes > 0 {
                    rest.clear()
                    rest.writeBuffer(&bytes)
                }
            } else {
                rest.writeBuffer(&bytes)
                // Parsing a copy keeps the handler free for whoever is called meanwhile.
                var all = rest
                rest = ByteBuffer()
                try consume(&all)
                all.discardReadBytes()
                rest = all.readableBytes > 0 || all.capacity <= Self.keptBytes ? all : ByteBuffer()
            }
        } catch {
            fail(error)
        }
    }

    private func consume(_ bytes: inout ByteBuffer) throws(RoostError) {
        while closing == nil, var frame = try reader.next(from: &bytes) {
            switch frame.kind {
            case .fragment:
                if var content = try assembler.add(&frame.body) { try sink?.frameReceived(.message, &content) }
            case .ping:
                append(.pong) { $0.buffer.writeBuffer(&frame.body) }
                flush()
            case .preface, .hello, .welcome, .refusal, .message, .pong:
                try sink?.frameReceived(frame.kind, &frame.body)
            }
        }
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        sink?.readEnded()
        context.fireChannelReadComplete()
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { flush() }
        // Sending may have filled the socket again: what counts is how it is now.
        noteWritability()
        context.fireChannelWritabilityChanged()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(Self.words(for: error, isConnected: isConnected), telling: false)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    private func end() {
        clearDeadline()
        let code: RoostError.Code = isConnected ? .lost : .unreachable
        let reason = closing ?? RoostError(code, "the other side closed the connection")
        closing = reason
        guard let last = sink else { return }
        sink = nil
        last.closed(reason)
    }
}

extension TimeAmount {
    static var connectTimeout: TimeAmount { .nanoseconds(Limits.connectTimeout.wholeNanoseconds) }
}
