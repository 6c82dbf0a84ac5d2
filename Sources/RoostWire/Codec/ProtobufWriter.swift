package import NIOCore
import RoostModel

/// Writes protocol-buffers wire format at the end of a buffer.
///
/// Fields with their default value are left out, as proto3 has it. One writer with one buffer serves a connection
/// for its whole life: nothing is allocated for a message, unless the buffer has to grow.
///
/// A large payload need not be copied at all: above `sharesFrom` bytes, ``blob(_:_:)`` remembers the array and where
/// it belongs, and ``WireContent`` cuts the fragments straight from it.
package struct ProtobufWriter {
    package var buffer: ByteBuffer
    /// Payloads of at least this size are remembered, not copied.
    var sharesFrom = Int.max
    /// Remembered payloads, each with the index in `buffer` it stands before.
    var shared: [SharedBlob] = []

    /// A payload that stands before the byte `index` of the buffer.
    struct SharedBlob {
        var index: Int
        var bytes: ArraySlice<UInt8>
    }

    package init(buffer: ByteBuffer = ByteBuffer()) { self.buffer = buffer }

    // MARK: Bare values

    mutating func rawVarint(_ value: UInt64) {
        if value < 0x80 {
            buffer.writeInteger(UInt8(truncatingIfNeeded: value))
            return
        }
        var rest = value
        while rest >= 0x80 {
            buffer.writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        buffer.writeInteger(UInt8(truncatingIfNeeded: rest))
    }

    private mutating func tag(_ field: Int, _ type: WireType) { rawVarint(UInt64(field) << 3 | UInt64(type.rawValue)) }

    // MARK: Fields

    mutating func varint(_ field: Int, _ value: some UnsignedInteger) {
        guard value != 0 else { return }
        tag(field, .varint)
        rawVarint(UInt64(value))
    }

    /// A `sint64`: small numbers of either sign are short.
    mutating func signed(_ field: Int, _ value: some SignedInteger) {
        guard value != 0 else { return }
        let wide = Int64(value)
        tag(field, .varint)
        rawVarint(UInt64(bitPattern: wide << 1 ^ wide >> 63))
    }

    /// A number that is there even when it is 0, and not there when it is nil: an `optional` field.
    mutating func optional(_ field: Int, _ value: (some UnsignedInteger)?) {
        guard let value else { return }
        tag(field, .varint)
        rawVarint(UInt64(value))
    }

    /// An `optional sint64`.
    mutating func optionalSigned(_ field: Int, _ value: (some SignedInteger)?) {
        guard let value else { return }
        if value == 0 {
            tag(field, .varint)
            rawVarint(0)
        } else {
            signed(field, value)
        }
    }

    mutating func bool(_ field: Int, _ value: Bool) { varint(field, value ? 1 as UInt8 : 0) }

    mutating func fixed64(_ field: Int, _ value: UInt64) {
        guard value != 0 else { return }
        tag(field, .fixed64)
        buffer.writeInteger(value, endianness: .little)
    }

    /// A `fixed64` that is there even when it is 0.
    mutating func presentFixed64(_ field: Int, _ value: UInt64) {
        tag(field, .fixed64)
        buffer.writeInteger(value, endianness: .little)
    }

    mutating func double(_ field: Int, _ value: Double) { fixed64(field, value.bitPattern) }

    mutating func string(_ field: Int, _ value: String) {
        guard !value.isEmpty else { return }
        stringElement(field, value)
    }

    /// A string that is there even when it is empty: an element of a repeated field.
    mutating func stringElement(_ field: Int, _ value: String) {
        tag(field, .lengthDelimited)
        rawVarint(UInt64(value.utf8.count))
        buffer.writeString(value)
    }

    mutating func bytes(_ field: Int, _ value: [UInt8]) {
        guard !value.isEmpty else { return }
        bytesElement(field, value)
    }

    /// Bytes that are there even when there are none: an element of a repeated field.
    mutating func bytesElement(_ field: Int, _ value: [UInt8]) {
        tag(field, .lengthDelimited)
        rawVarint(UInt64(value.count))
        buffer.writeBytes(value)
    }

    /// A payload: copied when small, remembered when large. Never inside a nested message.
    mutating func blob(_ field: Int, _ value: ArraySlice<UInt8>) {
        guard !value.isEmpty else { return }
        tag(field, .lengthDelimited)
        rawVarint(UInt64(value.count))
        if value.count >= sharesFrom {
            shared.append(SharedBlob(index: buffer.writerIndex, bytes: value))
        } else {
            buffer.writeBytes(value)
        }
    }

    /// Unsigned numbers one after the other in one field.
    mutating func packed<Element: UnsignedInteger & FixedWidthInteger>(_ field: Int, _ values: some Collection<Element>) {
        guard !values.isEmpty else { return }
        var size = 0
        for value in values { size += Self.size(of: UInt64(value)) }
        tag(field, .lengthDelimited)
        rawVarint(UInt64(size))
        buffer.reserveCapacity(minimumWritableBytes: size)
        for value in values { rawVarint(UInt64(value)) }
    }

    /// The lengths of payloads, packed.
    mutating func lengths(_ field: Int, of payloads: PayloadSlice) {
        guard !payloads.isEmpty else { return }
        let ends = payloads.base.ends
        let first = payloads.base.start(of: payloads.positions.lowerBound)
        var size = 0
        var start = first
        for position in payloads.positions {
            let end = Int(ends[position])
            size += Self.size(of: UInt64(end - start))
            start = end
        }
        tag(field, .lengthDelimited)
        rawVarint(UInt64(size))
        buffer.writeWithOutputRawSpan(minimumWritableBytes: size) { output in
            var start = first
            for position in payloads.positions {
                let end = Int(ends[position])
                var length = end - start
                while length >= 0x80 {
                    output.append(UInt8(truncatingIfNeeded: length) | 0x80)
                    length >>= 7
                }
                output.append(UInt8(truncatingIfNeeded: length))
                start = end
            }
        }
    }

    /// A message in a message. One byte is set aside for its length; only when that does not do, the content moves.
    mutating func nested(_ field: Int, _ content: (inout ProtobufWriter) -> Void) {
        tag(field, .lengthDelimited)
        let start = buffer.writerIndex
        buffer.writeInteger(0 as UInt8)
        content(&self)
        let length = buffer.writerIndex - start - 1
        if length < 0x80 {
            buffer.setInteger(UInt8(length), at: start)
            return
        }
        let size = Self.size(of: UInt64(length))
        buffer.writeRepeatingByte(0, count: size - 1)
        buffer.moveBytes(at: start + 1, to: start + size, length: length)
        buffer.moveWriterIndex(to: start)
        rawVarint(UInt64(length))
        buffer.moveWriterIndex(forwardBy: length)
    }

    private static func size(of value: UInt64) -> Int { value < 0x80 ? 1 : (70 - value.leadingZeroBitCount) / 7 }
}

extension ByteBuffer {
    /// Moves bytes that were written just before to a place further right, in place.
    fileprivate mutating func moveBytes(at index: Int, to target: Int, length: Int) {
        do { try copyBytes(at: index, to: target, length: length) } catch {
            preconditionFailure("both places were written just before: \(error)")
        }
    }
}

/// How a field's value is delimited.
package enum WireType: UInt8, Sendable {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case fixed32 = 5
}
