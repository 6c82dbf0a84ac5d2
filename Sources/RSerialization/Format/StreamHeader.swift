/// What stands before the one item of a stream.
///
///     "X\n" or "B\n" | version | writer's R | oldest reader | version 3: length, name of the native encoding
public struct RStreamHeader: Sendable, Hashable {
    /// The order of bytes in the words that follow.
    public enum ByteOrder: Sendable, Hashable { case bigEndian, littleEndian }

    /// XDR is big-endian; the native form of today's machines is little-endian.
    public var byteOrder: ByteOrder
    /// 2 or 3.
    public var version: Int
    /// The version of R that wrote the stream, as 0x00MMmmpp.
    public var writer: UInt32
    /// The encoding of strings that are not marked; version 2 does not say.
    public var nativeEncoding: String?

    public init(
        byteOrder: ByteOrder = .littleEndian, version: Int = 3, writer: UInt32 = 0x0004_0202, nativeEncoding: String? = "UTF-8"
    ) {
        self.byteOrder = byteOrder
        self.version = version
        self.writer = writer
        self.nativeEncoding = version >= 3 ? nativeEncoding ?? "UTF-8" : nil
    }

    /// The oldest R that reads this version.
    var oldestReader: UInt32 { version >= 3 ? 0x0003_0500 : 0x0002_0300 }

    /// Appends the header to `output`.
    func write(to output: inout [UInt8]) {
        output.append(byteOrder == .bigEndian ? 0x58 : 0x42)
        output.append(0x0A)
        func word(_ value: UInt32) {
            for byte in 0..<4 {
                output.append(UInt8(truncatingIfNeeded: value >> UInt32(byteOrder == .bigEndian ? 24 - 8 * byte : 8 * byte)))
            }
        }
        word(UInt32(version))
        word(writer)
        word(oldestReader)
        if version >= 3 {
            let name = Array((nativeEncoding ?? "UTF-8").utf8)
            word(UInt32(truncatingIfNeeded: name.count))
            output.append(contentsOf: name)
        }
    }

    /// Reads the header at the start of `bytes`; nil when there are too few of them to tell.
    /// - Returns: the header, and how many bytes it takes.
    /// - Throws: `notAStream` or `unsupportedVersion`.
    public static func read(_ bytes: some RandomAccessCollection<UInt8>) throws(RSerializationError) -> (header: RStreamHeader, size: Int)?
    {
        func byte(_ offset: Int) -> UInt32 { UInt32(bytes[bytes.index(bytes.startIndex, offsetBy: offset)]) }
        let count = bytes.count
        if count > 0 {
            switch byte(0) {
            case 0x58, 0x42: break
            case 0x41: throw RSerializationError(.unsupportedVersion, "the ASCII form of R's serialization is not supported", at: 0)
            default:
                throw RSerializationError(.notAStream, "this is no serialized R object: it must begin with \"X\\n\" or \"B\\n\"", at: 0)
            }
        }
        if count > 1, byte(1) != 0x0A {
            throw RSerializationError(.notAStream, "this is no serialized R object: it must begin with \"X\\n\" or \"B\\n\"", at: 1)
        }
        guard count >= 14 else { return nil }
        // A native stream of a big-endian machine shows in its version.
        let order: ByteOrder = byte(0) == 0x58 || (byte(2) == 0 && byte(5) != 0) ? .bigEndian : .littleEndian
        func word(_ offset: Int) -> UInt32 {
            let (a, b, c, d) = (byte(offset), byte(offset + 1), byte(offset + 2), byte(offset + 3))
            return order == .bigEndian ? a << 24 | b << 16 | c << 8 | d : d << 24 | c << 16 | b << 8 | a
        }
        let version = word(2)
        guard version == 2 || version == 3 else {
            throw RSerializationError(.unsupportedVersion, "version \(version) of R's serialization is not supported, 2 and 3 are", at: 2)
        }
        var header = RStreamHeader(byteOrder: order, version: Int(version), writer: word(6), nativeEncoding: nil)
        guard version == 3 else { return (header, 14) }
        guard count >= 18 else { return nil }
        let length = Int(word(14))
        guard length <= Self.longestEncodingName else {
            throw RSerializationError(.malformed, "the name of the native encoding is said to have \(length) bytes", at: 14)
        }
        guard count >= 18 + length else { return nil }
        let start = bytes.index(bytes.startIndex, offsetBy: 18)
        header.nativeEncoding = String(decoding: bytes[start..<bytes.index(start, offsetBy: length)], as: UTF8.self)
        return (header, 18 + length)
    }

    /// R refuses longer ones.
    static let longestEncodingName = 64
    /// No header has more bytes.
    static let longest = 18 + longestEncodingName
}
