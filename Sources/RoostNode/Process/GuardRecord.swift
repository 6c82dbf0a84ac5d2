/// What the agent tells its guard: eight bytes, so that every write is whole records and the pipe keeps them apart.
///
/// ```
///   byte 0        1…3      4…7
///   '+' '-' 'b'   0        process group, little-endian
/// ```
struct GuardRecord: Equatable {
    enum Kind: UInt8 {
        case started = 0x2b
        case ended = 0x2d
        /// The agent leaves in good order: clean up, but its end is no news.
        case bye = 0x62
    }

    static let size = 8
    var kind: Kind
    var group: Int32 = 0

    func append(to bytes: inout [UInt8]) {
        bytes.append(kind.rawValue)
        bytes.append(contentsOf: [0, 0, 0])
        withUnsafeBytes(of: group.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// nil for a kind this guard does not know.
    init?(_ bytes: ArraySlice<UInt8>) {
        guard bytes.count == Self.size, let first = bytes.first, let kind = Kind(rawValue: first) else { return nil }
        self.kind = kind
        group = bytes.suffix(4).reversed().reduce(Int32(0)) { $0 << 8 | Int32($1) }
    }

    init(_ kind: Kind, group: Int32 = 0) {
        self.kind = kind
        self.group = group
    }
}
