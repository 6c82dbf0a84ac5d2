/// The names that a stream under construction has defined: by their bytes, the number of the definition.
///
/// Open addressing over entries that point into the stream itself, so a lookup is a hash and a comparison of memory.
struct NameTable {
    private struct Entry {
        var hash: UInt64
        /// Where the definition stands in the stream.
        var start: Int
        /// The definition's number; −1 marks an empty place.
        var number = -1
        var size: Int
    }

    private var entries: [Entry]
    private var used = 0

    private static let firstCount = 64

    /// Most streams define no names: there is room when the first comes.
    init() { entries = [] }

    /// The number of the definition whose bytes are `name`; nil when there is none.
    @inline(__always) func number(of name: UnsafeRawBufferPointer, hash: UInt64, in stream: [UInt8]) -> Int? {
        guard !entries.isEmpty else { return nil }
        let mask = entries.count - 1
        var place = Int(truncatingIfNeeded: hash) & mask
        while entries[place].number >= 0 {
            let entry = entries[place]
            if entry.hash == hash, entry.size == name.count, unsafe isEqual(entry, name, stream) { return entry.number }
            place = (place + 1) & mask
        }
        return nil
    }

    @inline(__always) private func isEqual(_ entry: Entry, _ name: UnsafeRawBufferPointer, _ stream: [UInt8]) -> Bool {
        unsafe stream.withUnsafeBytes { bytes in
            for index in 0..<entry.size where unsafe bytes[entry.start + index] != name[index] { return false }
            return true
        }
    }

    /// Remembers a definition that stands at `start` in the stream.
    mutating func insert(hash: UInt64, start: Int, size: Int, number: Int) {
        if used * 2 >= entries.count { grow() }
        place(Entry(hash: hash, start: start, number: number, size: size))
        used += 1
    }

    private mutating func place(_ entry: Entry) {
        let mask = entries.count - 1
        var place = Int(truncatingIfNeeded: entry.hash) & mask
        while entries[place].number >= 0 { place = (place + 1) & mask }
        entries[place] = entry
    }

    private mutating func grow() {
        let old = entries
        entries = Array(repeating: Entry(hash: 0, start: 0, size: 0), count: max(Self.firstCount, old.count * 2))
        for entry in old where entry.number >= 0 { place(entry) }
    }

    /// A hash of few bytes, seeded by the process so that nobody can choose names that collide.
    @inline(__always) static func hash(_ bytes: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
        var hash = seed ^ UInt64(truncatingIfNeeded: bytes.count)
        var offset = 0
        while offset + 8 <= bytes.count {
            hash = mixed(hash ^ (unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            offset += 8
        }
        var rest: UInt64 = 0
        while offset < bytes.count {
            rest = rest << 8 | UInt64(unsafe bytes[offset])
            offset += 1
        }
        return mixed(hash ^ rest)
    }

    @inline(__always) private static func mixed(_ value: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return product.high ^ product.low
    }
}
