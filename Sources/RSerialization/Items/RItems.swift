/// Many items in one buffer.
///
///     bytes  [ 14 0 1 0.5 | 254 | 16 0 1 9 1 a ]     one allocation for all
///     ends   [          16    20             37 ]     where each ends; it begins where the one before ends
///
/// An *item* is one R object in native little-endian form of version 3, without a stream's header, with a table of references of
/// its own that counts from 1. What ``RCutter`` gives and ``RJoiner`` takes.
public struct RItems: Sendable, Equatable {
    public private(set) var bytes: [UInt8] = []
    public private(set) var ends: [UInt32] = []

    public init() {}

    /// Items over parts that belong together.
    /// - Throws: `malformed` when `ends` decreases or does not end where `bytes` ends.
    public init(bytes: [UInt8], ends: [UInt32]) throws(RSerializationError) {
        var last: UInt32 = 0
        for end in ends {
            guard end >= last else { throw RSerializationError(.malformed, "an item ends before it begins") }
            last = end
        }
        guard Int(last) == bytes.count else { throw RSerializationError(.malformed, "the last item must end where the bytes end") }
        self.bytes = bytes
        self.ends = ends
    }

    public var count: Int { ends.count }
    public var isEmpty: Bool { ends.isEmpty }

    /// Where in `bytes` the item at `position` stands.
    public func range(of position: Int) -> Range<Int> {
        (position == 0 ? 0 : Int(ends[position - 1]))..<Int(ends[position])
    }

    public subscript(position: Int) -> ArraySlice<UInt8> { bytes[range(of: position)] }

    /// Appends one item.
    /// - Throws: `tooLarge` beyond 4 GiB.
    public mutating func append(_ item: some Collection<UInt8>) throws(RSerializationError) {
        bytes.append(contentsOf: item)
        try endItem()
    }

    public mutating func removeAll(keepingCapacity: Bool = false) {
        bytes.removeAll(keepingCapacity: keepingCapacity)
        ends.removeAll(keepingCapacity: keepingCapacity)
    }

    // MARK: For the cutter

    mutating func reserve(items: Int, bytes count: Int) throws(RSerializationError) {
        guard bytes.count + count <= Int(UInt32.max) else { throw Self.tooLarge }
        // Doubling by hand: `reserveCapacity` alone would grow by exactly what is asked, again and again.
        if bytes.count + count > bytes.capacity { bytes.reserveCapacity(max(bytes.count + count, bytes.capacity * 2)) }
        if ends.count + items > ends.capacity { ends.reserveCapacity(max(ends.count + items, ends.capacity * 2)) }
    }

    /// Ends an item behind the bytes that were written last.
    @inline(__always) mutating func endItem() throws(RSerializationError) {
        guard let end = UInt32(exactly: bytes.count) else { throw Self.tooLarge }
        ends.append(end)
    }

    @inline(__always) mutating func write(_ body: (inout [UInt8]) -> Void) { body(&bytes) }
    /// Lends the bytes to a writer that appends to them; ``give(back:)`` them before anything else.
    mutating func lend() -> [UInt8] {
        var lent: [UInt8] = []
        swap(&lent, &bytes)
        return lent
    }
    mutating func give(back lent: consuming [UInt8]) { bytes = lent }

    /// Appends ends that were computed elsewhere; the bytes are there already or follow at once.
    mutating func appendEnds(_ count: Int, _ end: (Int) -> UInt32) {
        for index in 0..<count { ends.append(end(index)) }
    }

    static let tooLarge = RSerializationError(.tooLarge, "one set of items holds 4 GiB at most")
}
