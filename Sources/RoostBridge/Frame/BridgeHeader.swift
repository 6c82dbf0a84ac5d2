/// What stands before every frame: four doubles, little-endian, which any R reads and writes with one call.
///
///     seq | reply | control (bytes) | blob (bytes)        then the control, then the blob
package struct BridgeHeader: Hashable, Sendable {
    /// Numbers the frames of a direction from 1 within the session; 0 is the greeting's.
    package var sequence: UInt64
    /// Of a frame from R: the highest number it has received whole. Of one to R: the request that is answered, 0 for none.
    package var reply: UInt64
    package var controlBytes: Int
    package var blobBytes: Int

    package static let byteCount = 32

    package init(sequence: UInt64, reply: UInt64, controlBytes: Int, blobBytes: Int) {
        self.sequence = sequence
        self.reply = reply
        self.controlBytes = controlBytes
        self.blobBytes = blobBytes
    }

    /// Nil when the bytes are no header: numbers that are not whole, or negative, or beyond what doubles count.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        func number(_ index: Int) -> UInt64? {
            let value = bytes.withUnsafeBytes {
                Double(bitPattern: UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self)))
            }
            return value >= 0 && value <= 0x1p53 ? UInt64(exactly: value) : nil
        }
        guard let sequence = number(0), let reply = number(1), let control = number(2), let blob = number(3) else { return nil }
        self.init(sequence: sequence, reply: reply, controlBytes: Int(control), blobBytes: Int(blob))
    }

    package var bytes: [UInt8] {
        LittleEndian.bytes([Double(sequence), Double(reply), Double(controlBytes), Double(blobBytes)])
    }
}
