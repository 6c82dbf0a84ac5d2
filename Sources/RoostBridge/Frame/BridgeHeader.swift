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
        let numbers = (0..<4).map { number -> UInt64? in
            let bits = (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[8 * number + $1]) << UInt64(8 * $1) }
            let value = Double(bitPattern: bits)
            return value >= 0 && value <= 0x1p53 ? UInt64(exactly: value) : nil
        }
        guard let sequence = numbers[0], let reply = numbers[1], let control = numbers[2], let blob = numbers[3] else { return nil }
        self.init(sequence: sequence, reply: reply, controlBytes: Int(control), blobBytes: Int(blob))
    }

    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        for number in [Double(sequence), Double(reply), Double(controlBytes), Double(blobBytes)] {
            withUnsafeBytes(of: number.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
        }
        return bytes
    }
}
