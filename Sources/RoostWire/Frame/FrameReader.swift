import NIOCore
import RoostModel

/// Cuts frames from the bytes of a connection. The length is checked before its bytes are waited for.
package struct FrameReader {
    /// What the peer may send now.
    package enum Phase: Sendable {
        /// The server knows nothing of the peer.
        case preface
        /// The peer's token is good.
        case hello
        /// The client waits for the answer.
        case welcome
        case open
    }

    var phase: Phase

    struct Frame {
        var kind: FrameKind
        var body: ByteBuffer
    }

    /// The next whole frame of `buffer`; nil when more bytes are needed.
    func next(from buffer: inout ByteBuffer) throws(RoostError) -> Frame? {
        guard
            let (length, rawKind) = buffer.peekMultipleIntegers(endianness: .big, as: (UInt32, UInt8).self)
        else { return nil }
        guard let kind = FrameKind(rawValue: rawKind) else {
            throw RoostError(
                .protocolViolation, "the peer sent a frame of kind \(rawKind), which this version does not know",
                remedy: "use the same version of roost on both sides")
        }
        guard isExpected(kind) else {
            throw RoostError(.protocolViolation, "the peer sent a \(kind.name) frame where none is allowed")
        }
        let most = most(of: kind)
        guard length >= 1, Int(length) - 1 <= most else {
            throw RoostError(
                length < 1 ? .protocolViolation : .limit,
                "the peer announced a \(kind.name) frame of \(Int(length) - 1) bytes, the limit is \(most)")
        }
        guard buffer.readableBytes >= 4 + Int(length) else { return nil }
        buffer.moveReaderIndex(forwardBy: FrameSizes.head)
        guard let body = buffer.readSlice(length: Int(length) - 1) else { return nil }
        return Frame(kind: kind, body: body)
    }

    private func isExpected(_ kind: FrameKind) -> Bool {
        switch (phase, kind) {
        case (.preface, .preface), (.hello, .hello), (.welcome, .welcome), (.welcome, .refusal): true
        case (.open, .message), (.open, .fragment), (.open, .ping), (.open, .pong), (.open, .refusal): true
        default: false
        }
    }

    private func most(of kind: FrameKind) -> Int {
        switch kind {
        case .preface, .welcome, .refusal: Limits.unauthenticatedBytes
        case .hello: FrameSizes.helloBytes
        case .message, .fragment: Limits.frameBytes
        case .ping, .pong: FrameSizes.pingBytes
        }
    }
}
