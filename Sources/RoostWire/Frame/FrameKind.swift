/// What a frame is.
///
///     | length, 4 bytes, big-endian | kind, 1 byte | body, length − 1 bytes |
package enum FrameKind: UInt8, Sendable, CaseIterable {
    /// The dialing side's first frame: magic, versions, features, credential.
    case preface = 1
    /// Who the dialing side is.
    case hello = 2
    /// The answer to a good hello.
    case welcome = 3
    /// The last frame of a side that does not go on, with the reason.
    case refusal = 4
    /// A whole message.
    case message = 5
    /// A piece of a message too large for one frame.
    case fragment = 6
    /// Asks for a pong with the same eight bytes.
    case ping = 7
    case pong = 8

    package var name: String { "\(self)" }
}

/// Sizes of frames.
package enum FrameSizes {
    /// Length and kind.
    static let head = 5
    /// Head, and the number of the message.
    static let messageHead = head + 2
    /// Head, stream and flags of a fragment, and the total of a first one.
    static let fragmentHead = head + 5 + 8
    /// The largest hello: it carries a node's inventory, after its token was found good.
    static let helloBytes = 16 << 20
    /// A ping's and a pong's body.
    static let pingBytes = 8
    /// Payloads from this size on are not copied into the outgoing buffer but cut into fragments where they are.
    static let sharedPayloadBytes = 192 << 10
}

/// Which protocol versions and features this program speaks.
package enum WireVersion {
    package static let lowest: UInt8 = 1
    package static let highest: UInt8 = 1
    /// One bit for each optional feature; none yet.
    package static let features: UInt32 = 0

    /// The version both sides use; nil when there is none.
    static func common(lowest: UInt8, highest: UInt8) -> UInt8? {
        let version = min(highest, Self.highest)
        return version >= max(lowest, Self.lowest) ? version : nil
    }
}
