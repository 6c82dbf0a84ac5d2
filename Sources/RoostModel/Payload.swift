/// Many byte strings in one buffer: the arguments or the results of a chunk of tasks.
///
///     bytes  [ a a a | b b | | c c c c ]        one allocation for all
///     ends   [     3     5  5        9 ]        where each ends; it begins where the one before ends
///
/// A million small payloads cost two allocations a chunk, and handing a run of them to a peer is one copy.
public struct PayloadArray: Sendable, Equatable {
    public private(set) var bytes: [UInt8]
    public private(set) var ends: [UInt32]

    public init() { bytes = []; ends = [] }

    /// An array over parts that belong together, as a decoder finds them.
    /// - Precondition: `ends` never decreases and its last element is `bytes.count`.
    public init(bytes: [UInt8], ends: [UInt32]) {
        precondition(Int(ends.last ?? 0) == bytes.count, "the last payload ends where the bytes end")
        self.bytes = bytes
        self.ends = ends
    }

    /// So many payloads of no bytes.
    package init(empty count: Int) {
        bytes = []
        ends = Array(repeating: 0, count: count)
    }

    public init(_ payloads: some Sequence<[UInt8]>) {
        self.init()
        for payload in payloads { append(payload) }
    }

    public var count: Int { ends.count }
    public var isEmpty: Bool { ends.isEmpty }

    @inlinable public func start(of position: Int) -> Int { position == 0 ? 0 : Int(ends[position - 1]) }

    /// Where in `bytes` the payload at `position` stands.
    @inlinable public func range(of position: Int) -> Range<Int> { start(of: position)..<Int(ends[position]) }

    @inlinable public subscript(position: Int) -> ArraySlice<UInt8> { bytes[range(of: position)] }

    public mutating func reserve(payloads: Int, bytes byteCount: Int) {
        ends.reserveCapacity(payloads)
        bytes.reserveCapacity(byteCount)
    }

    public mutating func append(_ payload: [UInt8]) {
        bytes.append(contentsOf: payload)
        ends.append(UInt32(bytes.count))
    }

    public mutating func append(_ payload: ArraySlice<UInt8>) {
        bytes.append(contentsOf: payload)
        ends.append(UInt32(bytes.count))
    }

    /// Appends the eight bytes of `value`, little-endian, as one payload, without an allocation.
    public mutating func append(littleEndian value: UInt64) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        ends.append(UInt32(bytes.count))
    }

    /// Appends one payload: whatever `write` appends to the bytes. It must not touch what is there.
    package mutating func append(writing write: (inout [UInt8]) -> Void) {
        write(&bytes)
        ends.append(UInt32(bytes.count))
    }

    /// Appends consecutive payloads of another array in one copy.
    public mutating func append(_ slice: PayloadSlice) {
        guard !slice.isEmpty else { return }
        let from = slice.base.start(of: slice.positions.lowerBound)
        let to = slice.base.start(of: slice.positions.upperBound)
        let shift = Int64(bytes.count) - Int64(from)
        bytes.append(contentsOf: slice.base.bytes[from..<to])
        ends.reserveCapacity(ends.count + slice.count)
        for position in slice.positions { ends.append(UInt32(Int64(slice.base.ends[position]) + shift)) }
    }

    public mutating func removeAll(keepingCapacity: Bool = false) {
        bytes.removeAll(keepingCapacity: keepingCapacity)
        ends.removeAll(keepingCapacity: keepingCapacity)
    }

    /// The payloads at `positions`, sharing this array's storage.
    public func slice(_ positions: Range<Int>) -> PayloadSlice { PayloadSlice(base: self, positions: positions) }
}

/// Consecutive payloads of a ``PayloadArray``, sharing its storage.
public struct PayloadSlice: Sendable, Equatable {
    public var base: PayloadArray
    public var positions: Range<Int>

    public init(base: PayloadArray, positions: Range<Int>) {
        precondition(positions.lowerBound >= 0 && positions.upperBound <= base.count, "a slice lies inside its base")
        self.base = base
        self.positions = positions
    }

    public init(_ base: PayloadArray) { self.init(base: base, positions: 0..<base.count) }

    public var count: Int { positions.count }
    public var isEmpty: Bool { positions.isEmpty }

    /// The bytes of all payloads together.
    public var byteCount: Int { base.start(of: positions.upperBound) - base.start(of: positions.lowerBound) }

    @inlinable public subscript(offset: Int) -> ArraySlice<UInt8> { base[positions.lowerBound + offset] }

    public static func == (a: PayloadSlice, b: PayloadSlice) -> Bool {
        a.count == b.count && (0..<a.count).allSatisfy { a[$0] == b[$0] }
    }
}
