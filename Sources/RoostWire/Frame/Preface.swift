import NIOCore
import RoostModel

/// The dialing side's first frame.
///
///     | "ROOST" | lowest version, 1 | highest version, 1 | features, 4 | token id, 5 | secret, 32 |
///
/// Over plain TCP on loopback there may be no token: then the last two are left out.
struct Preface {
    var lowest = WireVersion.lowest
    var highest = WireVersion.highest
    var features = WireVersion.features
    var credential: TokenCredential?

    private static let magic = Array("ROOST".utf8)

    func encode(into buffer: inout ByteBuffer) {
        buffer.writeBytes(Self.magic)
        buffer.writeMultipleIntegers(lowest, highest, features)
        if let credential {
            buffer.writeBytes(credential.id.bytes)
            buffer.writeBytes(credential.secret)
        }
    }

    init(credential: TokenCredential?) { self.credential = credential }

    init(decoding body: inout ByteBuffer) throws(RoostError) {
        guard body.readBytes(length: Self.magic.count) == Self.magic,
            let (lowest, highest, features) = body.readMultipleIntegers(as: (UInt8, UInt8, UInt32).self)
        else { throw RoostError(.protocolViolation, "the peer does not speak Roost's protocol") }
        self.lowest = lowest
        self.highest = highest
        self.features = features
        // Later versions may say more: what follows the secret is theirs.
        if let id = body.readBytes(length: TokenCredential.idBytes),
            let secret = body.readBytes(length: TokenCredential.secretBytes)
        {
            credential = TokenCredential(id: id, secret: secret)
        }
    }

    /// The version to go on with.
    func commonVersion() throws(RoostError) -> UInt8 {
        guard let version = WireVersion.common(lowest: lowest, highest: highest) else {
            throw RoostError(
                .refused,
                "the peer speaks protocol versions \(lowest) to \(highest), the server \(WireVersion.lowest) to \(WireVersion.highest)",
                remedy: "use the server's version of roost there")
        }
        return version
    }
}
