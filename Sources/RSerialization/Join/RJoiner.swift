/// Joins items into the stream of one list.
///
///     items    [0.5] ["a"] [list(b = 1)]
///     stream   header | VEC 3 | 0.5 | "a" | list(b = 1) | attributes: names
///
/// Each item has a table of references of its own; the stream has one. Symbols, namespaces and packages that come again are
/// referred to, as R itself does; environments stay apart, since each item has its own. Items without references are copied.
///
/// Source of the format: R's `serialize.c`.
public struct RJoiner: Sendable {
    /// How many items were appended.
    public private(set) var count = 0

    private var state = JoiningVisitor.State()
    private var walker: ItemWalker
    /// Where the list's flags stand.
    private let start: Int

    /// - Parameter nativeEncoding: the encoding of strings that are not marked; ``RCutter/nativeEncoding`` has that of the items.
    public init(nativeEncoding: String = "UTF-8", limits: RLimits = RLimits()) {
        walker = ItemWalker(limits: limits)
        RStreamHeader(nativeEncoding: nativeEncoding).write(to: &state.output)
        start = state.output.count
        state.output.append(words: UInt32(TypeCode.list), 0)
    }

    /// How many bytes the stream has so far.
    public var byteCount: Int { state.output.count }

    public mutating func reserveCapacity(_ bytes: Int) { state.output.reserveCapacity(bytes) }

    /// Appends one item.
    /// - Throws: what is wrong with it; the joiner is of no use after that.
    public mutating func append(_ item: RawSpan) throws(RSerializationError) {
        try countUp(1)
        try unsafe item.withUnsafeBytes { (bytes) throws(RSerializationError) in try unsafe join(bytes) }
    }

    /// Appends one item.
    public mutating func append(_ item: [UInt8]) throws(RSerializationError) { try unsafe append(item.span.bytes) }

    /// Appends one item.
    public mutating func append(_ item: ArraySlice<UInt8>) throws(RSerializationError) { try unsafe append(item.span.bytes) }

    /// Appends many items.
    /// - Throws: what is wrong with one of them; the joiner is of no use after that.
    public mutating func append(_ items: RItems) throws(RSerializationError) { try append(items, 0..<items.count) }

    /// Appends the items at `range`.
    public mutating func append(_ items: RItems, _ range: Range<Int>) throws(RSerializationError) {
        guard range.lowerBound >= 0, range.upperBound <= items.count else {
            throw RSerializationError(.outOfRange, "items \(range) of \(items.count)")
        }
        try countUp(range.count)
        try unsafe items.bytes.span.bytes.withUnsafeBytes { (bytes) throws(RSerializationError) in
            try unsafe withVisitor(bytes) { (visitor, walker) throws(RSerializationError) in
                var position = range.isEmpty ? 0 : items.range(of: range.lowerBound).lowerBound
                // What was found to have no references and is not copied yet.
                var plainStart = position
                for index in range {
                    let end = Int(items.ends[index])
                    if unsafe !Self.isPlain(bytes, from: position, to: end) {
                        visitor.copy(from: plainStart, to: position)
                        try visitor.join(from: position, to: end, walker: &walker)
                        plainStart = end
                    }
                    position = end
                }
                visitor.copy(from: plainStart, to: position)
            }
        }
    }

    private mutating func countUp(_ items: Int) throws(RSerializationError) {
        guard count + items <= Int(Int32.max) else {
            throw RSerializationError(.tooLarge, "a list of 2 billion elements at most can be joined")
        }
        count += items
    }

    private mutating func join(_ item: UnsafeRawBufferPointer) throws(RSerializationError) {
        try unsafe withVisitor(item) { (visitor, walker) throws(RSerializationError) in
            try visitor.join(from: 0, to: item.count, walker: &walker)
        }
    }

    /// Lends the state to a visitor: only it may see the memory of items.
    private mutating func withVisitor(
        _ bytes: UnsafeRawBufferPointer,
        _ body: (inout JoiningVisitor, inout ItemWalker) throws(RSerializationError) -> Void
    ) throws(RSerializationError) {
        var lent = JoiningVisitor.State()
        swap(&lent, &state)
        var visitor = unsafe JoiningVisitor(bytes, state: consume lent)
        defer { state = visitor.state }
        try body(&visitor, &walker)
    }

    /// Whether the bytes are one vector of numbers without attributes, or a single plain string: most items are.
    @inline(__always) private static func isPlain(_ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int) -> Bool {
        guard end - start >= 8 else { return false }
        let word = unsafe UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: start, as: UInt32.self))
        guard word & Flags.attributes == 0 else { return false }
        let length = unsafe Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: start + 4, as: Int32.self))
        let type = UInt8(truncatingIfNeeded: word)
        let width = TypeCode.width(of: type)
        if width > 0 { return length >= 0 && Int(length) * width == end - start - 8 }
        guard type == TypeCode.string, length == 1, end - start >= 16 else { return false }
        let char = unsafe UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: start + 8, as: UInt32.self))
        let size = unsafe Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: start + 12, as: Int32.self))
        guard char & (0xFF | Flags.attributes) == UInt32(TypeCode.char) else { return false }
        return Int(max(size, 0)) == end - start - 16 && size >= -1
    }

    // MARK: The end

    /// Ends the list.
    /// - Parameter names: an item with a character vector as long as the list, as ``RCutter/names`` has it.
    /// - Returns: the stream, native little-endian, version 3.
    /// - Throws: what is wrong with `names`.
    public consuming func finish(names: [UInt8]? = nil) throws(RSerializationError) -> [UInt8] {
        var flags = UInt32(TypeCode.list)
        if let names {
            flags |= Flags.attributes
            state.output.append(word: UInt32(TypeCode.pairlist) | Flags.tag)
            var symbol: [UInt8] = []
            symbol.append(symbol: "names")
            for item in [symbol, names] {
                try unsafe item.span.bytes.withUnsafeBytes { (bytes) throws(RSerializationError) in try unsafe join(bytes) }
            }
            state.output.append(word: UInt32(TypeCode.null))
        }
        for byte in 0..<4 {
            state.output[start + byte] = UInt8(truncatingIfNeeded: flags >> UInt32(8 * byte))
            state.output[start + 4 + byte] = UInt8(truncatingIfNeeded: count >> (8 * byte))
        }
        return state.output
    }
}
