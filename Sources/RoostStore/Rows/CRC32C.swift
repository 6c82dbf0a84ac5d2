/// The Castagnoli checksum (polynomial 0x1EDC6F41, as iSCSI and ext4 use it): finds every flip of up to three bits in
/// rows of our size, and every burst of up to 32.
///
/// Eight tables, eight bytes at a time ("slicing by 8", Kounavis and Berry 2005): more than a gigabyte a second, which
/// is many times what a disk gives.
package struct CRC32C {
    private var state: UInt32 = 0xFFFF_FFFF

    package init() {}

    package var value: UInt32 { ~state }

    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        state = Self.tables.withUnsafeBufferPointer { Self.advance(state, over: bytes, $0) }
    }

    mutating func add(_ number: UInt64) {
        withUnsafeBytes(of: number.littleEndian) { add($0) }
    }

    private static func advance(
        _ start: UInt32, over bytes: UnsafeRawBufferPointer, _ tables: UnsafeBufferPointer<UInt32>
    ) -> UInt32 {
        var state = start
        var offset = 0
        while offset + 8 <= bytes.count {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) ^ UInt64(state)
            var next: UInt32 = 0
            for place in 0..<8 {
                next ^= tables[(7 - place) << 8 | Int(truncatingIfNeeded: word >> UInt64(8 * place) & 255)]
            }
            state = next
            offset += 8
        }
        while offset < bytes.count {
            state = tables[Int((state ^ UInt32(bytes[offset])) & 255)] ^ state >> 8
            offset += 1
        }
        return state
    }

    /// `tables[k << 8 | byte]`: what `byte`, followed by k zero bytes, does to the state.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 << 8)
        for byte in 0..<256 {
            var state = UInt32(byte)
            for _ in 0..<8 { state = state & 1 == 1 ? state >> 1 ^ 0x82F6_3B78 : state >> 1 }
            tables[byte] = state
        }
        for place in 1..<8 {
            for byte in 0..<256 {
                let before = tables[(place - 1) << 8 | byte]
                tables[place << 8 | byte] = tables[Int(before & 255)] ^ before >> 8
            }
        }
        return tables
    }()
}
