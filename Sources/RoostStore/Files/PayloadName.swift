import Crypto
import NIOCore

/// The name of a payload file: the SHA-256 of what is in it.
struct PayloadName: Hashable, Sendable, CustomStringConvertible {
    /// 32 bytes.
    let bytes: ByteBuffer

    init(of content: ByteBuffer) {
        var hash = SHA256()
        content.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
        bytes = ByteBuffer(bytes: hash.finalize())
    }

    /// The name in a column; nil when it is none.
    init?(_ bytes: ByteBuffer) {
        guard bytes.readableBytes == 32 else { return nil }
        self.bytes = bytes
    }

    /// The name of a file in `payloads/xx/`; nil when it is none.
    init?(fileName: String) {
        let digits = Array(fileName.utf8)
        guard digits.count == 64 else { return nil }
        var bytes = ByteBuffer()
        for position in stride(from: 0, to: 64, by: 2) {
            guard let high = Self.value(digits[position]), let low = Self.value(digits[position + 1]) else { return nil }
            bytes.writeInteger(high << 4 | low)
        }
        self.bytes = bytes
    }

    /// 64 hexadecimal digits.
    var description: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes.readableBytesView {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
