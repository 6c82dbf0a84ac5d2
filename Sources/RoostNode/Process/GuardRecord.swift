/// What the agent tells its guard: eight bytes, so that every write is whole records and the pipe keeps them apart.
///
/// ```
///   byte 0        1…3                      4…7
///   '+' '-'       0                        process group
///   's'           lease, tenths of a s     process group; 0: it has no lease any more
///   'p'           0                        when the server last proved its contact: CLOCK_BOOTTIME in tenths of a s
///   'b'           0                        0
/// ```
/// All numbers are little-endian.
struct GuardRecord: Equatable {
    enum Kind: UInt8 {
        case started = 0x2b
        case ended = 0x2d
        /// What the group runs may not outlive its lease without contact: a strict job's task.
        case leased = 0x73
        case proven = 0x70
        /// The agent leaves in good order: clean up, but its end is no news.
        case bye = 0x62
    }

    static let size = 8
    var kind: Kind
    /// The process group, or the moment.
    var group: Int32 = 0
    /// In tenths of a second.
    var lease: UInt32 = 0
    static let mostLease: UInt32 = 0xff_ffff

    func append(to bytes: inout [UInt8]) {
        bytes.append(kind.rawValue)
        withUnsafeBytes(of: lease.littleEndian) { bytes.append(contentsOf: $0.prefix(3)) }
        withUnsafeBytes(of: group.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// nil for a kind this guard does not know.
    init?(_ bytes: ArraySlice<UInt8>) {
        guard bytes.count == Self.size, let first = bytes.first, let kind = Kind(rawValue: first) else { return nil }
        self.kind = kind
        group = bytes.suffix(4).reversed().reduce(Int32(0)) { $0 << 8 | Int32($1) }
        lease = bytes.dropFirst().prefix(3).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    }

    init(_ kind: Kind, group: Int32 = 0, lease: UInt32 = 0) {
        self.kind = kind
        self.group = group
        self.lease = min(lease, Self.mostLease)
    }
}
