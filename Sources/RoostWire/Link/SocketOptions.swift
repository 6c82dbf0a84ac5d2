import Glibc
import NIOCore
import RoostModel

/// What all our sockets are set to.
enum SocketOptions {
    /// Small messages leave at once; a peer that is gone is noticed by the kernel too.
    static let all: [(ChannelOptions.Types.SocketOption, ChannelOptions.Types.SocketOption.Value)] = [
        (.init(level: .tcp, name: .tcp_nodelay), 1),
        (.init(level: .socket, name: .so_keepalive), 1),
        (.init(level: .tcp, name: .init(rawValue: TCP_KEEPIDLE)), 15),
        (.init(level: .tcp, name: .init(rawValue: TCP_KEEPINTVL)), 5),
        (.init(level: .tcp, name: .init(rawValue: TCP_KEEPCNT)), 4),
        // Sent bytes that nobody acknowledges for this long end the connection, in milliseconds.
        (.init(level: .tcp, name: .init(rawValue: TCP_USER_TIMEOUT)), 30_000),
    ]

    /// Receive buffers begin at 1 KiB and grow, on busy connections, to 256 KiB.
    static let receiveAllocator = AdaptiveRecvByteBufferAllocator(minimum: 512, initial: 1024, maximum: 256 << 10)
    static let readsPerTurn: UInt = 4
    /// How many bytes may wait in the socket's queue before the owner is asked to hold back.
    static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 128 << 10, high: 512 << 10)

    /// Sets the options that the system has; none is worth a failed connection.
    static func apply(to channel: any Channel) {
        guard let options = channel.syncOptions else { return }
        for (option, value) in all { try? options.setOption(option, value: value) }
        try? options.setOption(.recvAllocator, value: receiveAllocator)
        try? options.setOption(.maxMessagesPerRead, value: readsPerTurn)
        try? options.setOption(.writeBufferWaterMark, value: waterMark)
    }
}
