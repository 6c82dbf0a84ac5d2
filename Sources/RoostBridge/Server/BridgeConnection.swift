import DequeModule
import NIOCore

/// One connection from R: bytes to frames, frames to bytes.
///
/// Frames to R are written in pieces as the socket takes them; a gigabyte that R has not asked for yet stays the one array it is.
final class BridgeConnection: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = OutgoingFrame
    typealias OutboundOut = ByteBuffer

    private let id: Int
    private let server: BridgeServer
    private var reader = BridgeFrameReader()
    private var outgoing: Deque<ArraySlice<UInt8>> = []
    private var isClosing = false

    init(id: Int, server: BridgeServer) {
        self.id = id
        self.server = server
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        let (id, server) = (id, server)
        guard server.assumeIsolated({ $0.opened(id, ChannelLink(channel)) }) else { return close(context) }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        isClosing = true
        outgoing.removeAll()
        let (id, server) = (id, server)
        server.assumeIsolated { $0.closed(id) }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close(context) }

    // MARK: From R

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        let (id, server) = (id, server)
        do throws(BridgeFault) {
            while !isClosing, let frame = try reader.next(from: &buffer) {
                switch server.assumeIsolated({ $0.received(id, frame) }) {
                case .goOn: break
                case .trust: reader.isTrusted = true
                case .close: return close(context)
                }
            }
        } catch {
            close(context)
        }
    }

    private func close(_ context: ChannelHandlerContext) {
        isClosing = true
        context.close(promise: nil)
    }

    // MARK: To R

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        for piece in unwrapOutboundIn(data).pieces where !piece.isEmpty { outgoing.append(piece[...]) }
        promise?.succeed()
    }

    func flush(context: ChannelHandlerContext) { pump(context) }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { pump(context) }
        context.fireChannelWritabilityChanged()
    }

    private func pump(_ context: ChannelHandlerContext) {
        while context.channel.isWritable, !outgoing.isEmpty, !isClosing {
            context.write(wrapOutboundOut(gather(context.channel.allocator)), promise: nil)
            context.flush()
        }
    }

    /// What goes out in one call: a small answer whole, so that R wakes once; of a large one, a part.
    private func gather(_ allocator: ByteBufferAllocator) -> ByteBuffer {
        let size = min(BridgeLimits.writeAheadBytes, outgoing.reduce(0) { $0 + $1.count })
        var buffer = allocator.buffer(capacity: size)
        while buffer.readableBytes < size, let first = outgoing.first {
            let piece = first.prefix(size - buffer.readableBytes)
            buffer.writeBytes(piece)
            if piece.count == first.count {
                outgoing.removeFirst()
            } else {
                outgoing[0] = first[piece.endIndex...]
            }
        }
        return buffer
    }
}

/// The channel of a connection, as the server writes to it.
private final class ChannelLink: BridgeLink {
    private let channel: any Channel

    init(_ channel: any Channel) { self.channel = channel }

    var isWritable: Bool { channel.isWritable }

    func send(_ frames: [OutgoingFrame]) {
        for frame in frames { channel.write(frame, promise: nil) }
        channel.flush()
    }

    func close() { channel.close(promise: nil) }
}
