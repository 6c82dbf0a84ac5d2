package import NIOCore
import RoostModel

/// Reads protocol-buffers wire format from bytes a peer sent, trusting none of them.
///
/// Every length is checked against the bytes that are there before anything is allocated, so a message can make us
/// hold a small multiple of its own size at most.
package struct ProtobufReader {
    private var buffer: ByteBuffer
    private let depth: Int

    /// How deep messages may be nested; ours need four.
    private static let mostDepth = 16
    /// Strings for people that are longer than this are refused.
    package static let textBytes = 64 << 10

    package init(_ buffer: ByteBuffer) { self.init(buffer, depth: 0) }

    private init(_ buffer: ByteBuffer, depth: Int) {
        self.buffer = buffer
        self.depth = depth
    }

    /// The head of a field: what its value is to be read as.
    struct Field {
        var number: Int
        var type: WireType
    }

    /// The next field; nil at the end.
    mutating func next() throws(WireFault) -> Field? {
        guard buffer.readableBytes > 0 else { return nil }
        let key = try rawVarint()
        guard key <= UInt64(UInt32.max), key >> 3 > 0 else { throw .badValue(field: 0) }
        let number = Int(key >> 3)
        guard let type = WireType(rawValue: UInt8(key & 7)) else { throw .wrongType(field: number) }
        return Field(number: number, type: type)
    }

    /// Passes over a field that this version does not know.
    mutating func skip(_ field: Field) throws(WireFault) {
        switch field.type {
        case .varint: _ = try rawVarint()
        case .fixed64: try skipBytes(8)
        case .fixed32: try skipBytes(4)
        case .lengthDelimited: try skipBytes(try length(field, most: .max))
        }
    }

    // MARK: Numbers

    mutating func varint(_ field: Field) throws(WireFault) -> UInt64 {
        guard field.type == .varint else { throw .wrongType(field: field.number) }
        return try rawVarint()
    }

    mutating func unsigned<Value: FixedWidthInteger & UnsignedInteger>(
        _ field: Field, as: Value.Type = Value.self
    ) throws(WireFault) -> Value {
        guard let value = Value(exactly: try varint(field)) else { throw .badValue(field: field.number) }
        return value
    }

    mutating func signed<Value: FixedWidthInteger & SignedInteger>(
        _ field: Field, as: Value.Type = Value.self
    ) throws(WireFault) -> Value {
        let raw = try varint(field)
        guard let value = Value(exactly: Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)) else {
            throw .badValue(field: field.number)
        }
        return value
    }

    mutating func bool(_ field: Field) throws(WireFault) -> Bool { try varint(field) != 0 }

    mutating func fixed64(_ field: Field) throws(WireFault) -> UInt64 {
        guard field.type == .fixed64 else { throw .wrongType(field: field.number) }
        guard let value = buffer.readInteger(endianness: .little, as: UInt64.self) else { throw .truncated }
        return value
    }

    mutating func double(_ field: Field) throws(WireFault) -> Double { Double(bitPattern: try fixed64(field)) }

    /// A number that names a case; an unknown one is refused.
    mutating func choice<Choice: RawRepresentable<UInt8>>(
        _ field: Field, as: Choice.Type = Choice.self
    ) throws(WireFault) -> Choice {
        guard let value = Choice(rawValue: try unsigned(field)) else { throw .badValue(field: field.number) }
        return value
    }

    // MARK: Bytes

    mutating func bytes(_ field: Field, most: Int = Limits.payloadBytes) throws(WireFault) -> [UInt8] {
        let count = try length(field, most: most)
        guard let bytes = buffer.readBytes(length: count) else { throw .truncated }
        return bytes
    }

    mutating func string(_ field: Field, most: Int = textBytes) throws(WireFault) -> String {
        let count = try length(field, most: most)
        guard let string = buffer.readString(length: count) else { throw .truncated }
        return string
    }

    /// A message in this one.
    mutating func nested<Value>(
        _ field: Field, _ read: (inout ProtobufReader) throws(WireFault) -> Value
    ) throws(WireFault) -> Value {
        guard depth < Self.mostDepth else { throw .tooDeep }
        let count = try length(field, most: .max)
        guard let slice = buffer.readSlice(length: count) else { throw .truncated }
        var inner = ProtobufReader(slice, depth: depth + 1)
        return try read(&inner)
    }

    // MARK: Arrays

    /// Numbers packed into one field, or a single one of them.
    mutating func packed<Element: FixedWidthInteger & UnsignedInteger>(
        _ field: Field, into values: inout [Element]
    ) throws(WireFault) {
        if field.type == .varint {
            values.append(try unsigned(field))
            return
        }
        let size = try length(field, most: .max)
        // Each number takes a byte or more, so `size` bounds what is allocated.
        values.reserveCapacity(values.count + size)
        let last = buffer.readableBytes - size
        while buffer.readableBytes > last {
            guard let value = Element(exactly: try rawVarint()) else { throw .badValue(field: field.number) }
            values.append(value)
        }
        guard buffer.readableBytes == last else { throw .truncated }
    }

    /// Packed lengths, added up to where each payload ends.
    mutating func ends(_ field: Field, into ends: inout [UInt32]) throws(WireFault) {
        let size = try length(field, most: .max)
        ends.reserveCapacity(ends.count + size)
        try Self.addUp(buffer.readableBytesUInt8Span, count: size, field, into: &ends)
        buffer.moveReaderIndex(forwardBy: size)
    }

    private static func addUp(
        _ bytes: Span<UInt8>, count: Int, _ field: Field, into ends: inout [UInt32]
    ) throws(WireFault) {
        var end = UInt64(ends.last ?? 0)
        var index = 0
        while index < count {
            var length: UInt64 = 0
            var shift: UInt64 = 0
            while true {
                guard index < count, shift < 35 else { throw .badValue(field: field.number) }
                let byte = bytes[index]
                index += 1
                length |= UInt64(byte & 0x7F) << shift
                if byte < 0x80 { break }
                shift += 7
            }
            end += length
            guard end <= UInt64(UInt32.max) else { throw .tooLong(field: field.number) }
            ends.append(UInt32(truncatingIfNeeded: end))
        }
    }

    // MARK: Bare values

    private mutating func rawVarint() throws(WireFault) -> UInt64 {
        guard let first = buffer.readInteger(as: UInt8.self) else { throw .truncated }
        if first < 0x80 { return UInt64(first) }
        var value = UInt64(first & 0x7F)
        var shift: UInt64 = 7
        while let byte = buffer.readInteger(as: UInt8.self) {
            if shift == 63 && byte > 1 { throw .oversizeNumber }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
            if shift > 63 { throw .oversizeNumber }
        }
        throw .truncated
    }

    private mutating func length(_ field: Field, most: Int) throws(WireFault) -> Int {
        guard field.type == .lengthDelimited else { throw .wrongType(field: field.number) }
        let length = try rawVarint()
        guard length <= UInt64(buffer.readableBytes) else { throw .truncated }
        guard length <= UInt64(most) else { throw .tooLong(field: field.number) }
        return Int(length)
    }

    private mutating func skipBytes(_ count: Int) throws(WireFault) {
        guard buffer.readableBytes >= count else { throw .truncated }
        buffer.moveReaderIndex(forwardBy: count)
    }
}
