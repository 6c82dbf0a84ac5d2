import NIOCore
import RoostModel

/// Puts messages that came in pieces together again, and bounds what unfinished ones make us hold.
///
///     fragment body: | stream, 4 | flags, 1 | total, 8 (first piece only) | bytes … |
///     flags: 1 = first piece, 2 = more pieces follow
struct FragmentAssembler {
    static let first: UInt8 = 1
    static let more: UInt8 = 2

    private struct Partial {
        var content: ByteBuffer
        var total: Int
    }

    private var partials: [UInt32: Partial] = [:]
    /// What the unfinished messages will be together, as announced.
    private var announcedBytes = 0

    /// How many messages are unfinished.
    var count: Int { partials.count }

    /// Takes one fragment. The whole message's content (number and body) when this was its last piece.
    mutating func add(_ body: inout ByteBuffer) throws(RoostError) -> ByteBuffer? {
        guard let (stream, flags) = body.readMultipleIntegers(endianness: .big, as: (UInt32, UInt8).self) else {
            throw Self.malformed("it has no head")
        }
        guard flags & ~(Self.first | Self.more) == 0 else { throw Self.malformed("its flags are unknown") }
        var partial: Partial
        if flags & Self.first != 0 {
            guard let total = body.readInteger(as: UInt64.self) else { throw Self.malformed("it has no total") }
            partial = try open(stream, total: total)
        } else if let known = partials.removeValue(forKey: stream) {
            partial = known
        } else {
            throw Self.malformed("its stream \(stream) was not begun")
        }
        guard partial.content.readableBytes + body.readableBytes <= partial.total else {
            throw Self.malformed("its stream \(stream) is longer than announced")
        }
        partial.content.writeBuffer(&body)
        if flags & Self.more != 0 {
            partials[stream] = partial
            return nil
        }
        guard partial.content.readableBytes == partial.total else {
            throw Self.malformed("its stream \(stream) is shorter than announced")
        }
        announcedBytes -= partial.total
        return partial.content
    }

    private mutating func open(_ stream: UInt32, total: UInt64) throws(RoostError) -> Partial {
        guard partials[stream] == nil else { throw Self.malformed("its stream \(stream) is open already") }
        guard partials.count < Limits.streamsPerConnection else {
            throw RoostError(
                .limit, "the peer has more than \(Limits.streamsPerConnection) unfinished messages at a time")
        }
        guard total >= 2, total <= UInt64(Limits.messageBytes - announcedBytes) else {
            throw RoostError(
                .limit,
                "the peer announced a message of \(total) bytes; \(Limits.messageBytes) are allowed, all unfinished ones together"
            )
        }
        announcedBytes += Int(total)
        // The announcement is only a word: memory grows with the bytes that really come.
        return Partial(content: ByteBuffer(), total: Int(total))
    }

    private static func malformed(_ cause: String) -> RoostError {
        RoostError(.protocolViolation, "the peer sent a malformed fragment", cause: cause)
    }
}
