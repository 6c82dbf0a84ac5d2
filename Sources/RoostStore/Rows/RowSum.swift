import NIOCore

/// The checksum that stands in each row: over the table's tag, the row's key, and every other column.
///
/// SQLite's pages carry none. With the key in the sum, a row that a flipped bit moved to another place is found, too.
struct RowSum {
    /// Which table the row is in; a tag is never used again for something else.
    enum Table: UInt64 {
        case meta = 1, jobs, standings, chunks, facts, results, setups, nodes, files, doomed, carried
    }

    private var sum = CRC32C()

    init(_ table: Table) { sum.add(table.rawValue) }

    mutating func add(_ number: Int64) { sum.add(UInt64(bitPattern: number)) }

    /// The length goes before the bytes: ("a", "bc") and ("ab", "c") differ.
    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        sum.add(UInt64(bytes.count))
        sum.add(bytes)
    }

    mutating func add(_ bytes: ByteBuffer) { bytes.withUnsafeReadableBytes { add($0) } }

    mutating func add(_ text: String) {
        var text = text
        text.withUTF8 { add(UnsafeRawBufferPointer($0)) }
    }

    /// As the column `sum` keeps it.
    var value: Int64 { Int64(sum.value) }
}
