/// Cuts the serialized form of an R vector into items, one for each element: what `lapply(X, f)` would give to `f`.
///
///     stream   header | VEC 3 | 0.5 | "a" | list(b = 1) | attributes: names
///     items                    [0.5] ["a"] [list(b = 1)]      each an R object of its own
///
/// The stream is read once, when the cutter is made; what it says is checked then. Cutting copies: runs of elements without
/// references in one go, the others through an ``ElementEmitter``. Elements may be cut in any order and any number of times.
///
/// The elements are those of `as.list(X)`: of a factor, a Date, a POSIXct or a difftime vectors of length one with the same class;
/// of a data frame its columns. Anything else with a class is R's to interpret: `needsAsList`.
///
/// Source of the format: R's `serialize.c` and `altclasses.c`; of the semantics: `as.list` and its methods in base R.
public struct RCutter: Sendable {
    /// How many elements there are.
    public let count: Int
    /// The names of the elements, an item with a character vector; nil when there are none.
    public let names: [UInt8]?
    /// The encoding of strings that are not marked; ``RJoiner`` and ``RItem/toStream(_:nativeEncoding:)`` take it.
    public let nativeEncoding: String
    /// How many elements ``next(_:into:)`` has given.
    public private(set) var position = 0

    private let stream: [UInt8]
    private let source: VectorSource
    private let ends: ElementEnds
    private let table: DefinitionTable
    private let compactElements: [(element: Int, source: VectorSource)]
    /// What stands before and behind each element of an atomic vector.
    private let frame: ElementFrame
    private let limits: RLimits
    private var memory = ElementEmitter.Memory()

    /// Reads a whole stream.
    /// - Throws: what is wrong with the stream; `needsAsList` when R must call `as.list` first; `notAVector`.
    public init(_ stream: [UInt8], limits: RLimits = RLimits()) throws(RSerializationError) {
        guard let (header, size) = try RStreamHeader.read(stream) else {
            throw RSerializationError(.truncated, "the bytes end in the header", at: stream.count)
        }
        let native = header.byteOrder == .littleEndian ? stream : try RItem.native(stream, headerSize: size, limits: limits)
        let opened = try unsafe native.span.bytes.withUnsafeBytes { (bytes) throws(RSerializationError) in
            try unsafe Self.open(bytes, from: size, limits: limits)
        }
        self.stream = native
        self.limits = limits
        nativeEncoding = header.nativeEncoding ?? "UTF-8"
        source = opened.source
        ends = opened.ends
        table = opened.table
        compactElements = opened.compactElements
        frame = opened.frame
        names = opened.names
        count = source.count
    }

    private typealias Opened = (
        source: VectorSource, ends: ElementEnds, table: DefinitionTable, compactElements: [(element: Int, source: VectorSource)],
        frame: ElementFrame, names: [UInt8]?
    )

    private static func open(
        _ bytes: UnsafeRawBufferPointer, from start: Int, limits: RLimits
    ) throws(RSerializationError) -> Opened {
        var opener = unsafe VectorOpener(bytes, at: start, limits: limits)
        let source = try opener.open(isOutermost: true)
        try RItem.expectEnd(opener.position, of: bytes.count)
        if source.kind == .opaque, source.type != TypeCode.null {
            throw RSerializationError(.needsAsList, "vectors of class \(source.className) are expanded by R only", at: start)
        }
        let attributes = try unsafe AttributeIndex(of: source, in: bytes, table: opener.table, limits: limits)
        let frame = try unsafe ElementFrame(of: source, attributes, in: bytes, table: opener.table, limits: limits)
        let names = try unsafe attributes.copyOfNames(in: bytes, table: opener.table, limits: limits)
        return (source, opener.ends, opener.table, opener.compactElements, frame, names)
    }

    // MARK: Cutting

    /// Appends the next elements to `items`, `most` at most.
    /// - Returns: how many there were; 0 at the end.
    /// - Throws: `tooLarge` when `items` would grow beyond 4 GiB.
    public mutating func next(_ most: Int, into items: inout RItems) throws(RSerializationError) -> Int {
        let end = position + max(0, min(most, count - position))
        try cut(position..<end, into: &items)
        defer { position = end }
        return end - position
    }

    /// Appends the elements at `range` to `items`.
    /// - Throws: `outOfRange` when there are no such elements; `tooLarge` when `items` would grow beyond 4 GiB.
    public mutating func cut(_ range: Range<Int>, into items: inout RItems) throws(RSerializationError) {
        guard range.lowerBound >= 0, range.upperBound <= count else {
            throw RSerializationError(.outOfRange, "elements \(range) of a vector of \(count)")
        }
        guard !range.isEmpty else { return }
        let stream = stream
        try unsafe stream.span.bytes.withUnsafeBytes { (bytes) throws(RSerializationError) in
            switch source.kind {
            case .items: try unsafe cutItems(range, bytes, &items)
            case .strings: try unsafe cutStrings(range, bytes, &items)
            case .numbers where source.deferred == 0: try unsafe cutNumbers(range, bytes, &items)
            case .numbers, .sequence, .opaque: try unsafe cutComputed(range, bytes, &items)
            }
        }
    }

    /// All elements.
    public mutating func cut() throws(RSerializationError) -> RItems {
        var items = RItems()
        try cut(0..<count, into: &items)
        return items
    }

    private mutating func cutItems(
        _ range: Range<Int>, _ bytes: UnsafeRawBufferPointer, _ items: inout RItems
    ) throws(RSerializationError) {
        try items.reserve(items: range.count, bytes: ends.end(of: range.upperBound - 1) - ends.start(of: range.lowerBound))
        var index = range.lowerBound
        while index < range.upperBound {
            // Elements without references: one copy for a run of them.
            let first = index
            while index < range.upperBound, !ends.hasReferences(index) { index += 1 }
            if index > first {
                let (start, end, base) = (ends.start(of: first), ends.end(of: index - 1), items.bytes.count)
                guard base + end - start <= Int(UInt32.max) else { throw RItems.tooLarge }
                items.write { unsafe $0.append(bytes, start, end) }
                items.appendEnds(index - first) { UInt32(truncatingIfNeeded: base + ends.end(of: first + $0) - start) }
            }
            let firstWritten = index
            while index < range.upperBound, ends.hasReferences(index) { index += 1 }
            if index > firstWritten { try unsafe writeItems(firstWritten..<index, bytes, &items) }
        }
    }

    /// Elements with references, each written anew.
    private mutating func writeItems(
        _ range: Range<Int>, _ bytes: UnsafeRawBufferPointer, _ items: inout RItems
    ) throws(RSerializationError) {
        var walker = ItemWalker(limits: limits)
        var lent = ElementEmitter.Memory()
        swap(&lent, &memory)
        var emitter = unsafe ElementEmitter(bytes, table: table, memory: consume lent)
        emitter.output = items.lend()
        defer {
            items.give(back: emitter.output)
            memory = emitter.memory
        }
        let before = emitter.output.count
        var written: [UInt32] = []
        written.reserveCapacity(range.count)
        var definitions = table.countBefore(ends.start(of: range.lowerBound))
        var failure: RSerializationError?
        for index in range {
            emitter.beginItem()
            do throws(RSerializationError) {
                if !compactElements.isEmpty, let compact = compactElement(index), isExpanded(compact) {
                    try unsafe Self.expand(compact, bytes, &emitter, &walker)
                    definitions = table.countBefore(ends.end(of: index))
                } else {
                    (_, definitions) = try emitter.emit(from: ends.start(of: index), definitions: definitions, walker: &walker)
                }
            } catch { failure = error }
            if let end = UInt32(exactly: emitter.output.count) { written.append(end) } else { failure = RItems.tooLarge }
            if failure != nil { break }
        }
        if let failure {
            emitter.output.removeLast(emitter.output.count - before)
            throw failure
        }
        items.appendEnds(written.count) { written[$0] }
    }

    private func cutStrings(
        _ range: Range<Int>, _ bytes: UnsafeRawBufferPointer, _ items: inout RItems
    ) throws(RSerializationError) {
        let total = ends.end(of: range.upperBound - 1) - ends.start(of: range.lowerBound) + range.count * frame.byteCount
        try items.reserve(items: range.count, bytes: total)
        for index in range {
            items.write {
                frame.begin(&$0)
                unsafe $0.append(bytes, ends.start(of: index), ends.end(of: index))
                frame.end(&$0)
            }
            try items.endItem()
        }
    }

    private func cutNumbers(
        _ range: Range<Int>, _ bytes: UnsafeRawBufferPointer, _ items: inout RItems
    ) throws(RSerializationError) {
        let width = source.width
        let size = width + frame.byteCount
        let base = items.bytes.count
        try items.reserve(items: range.count, bytes: size * range.count)
        let start = source.start + width * range.lowerBound
        items.write { output in
            unsafe frame.fill(&output, count: range.count, width: width) { index, place in
                let from = start &+ index &* width
                switch width {
                case 8: unsafe place.storeBytes(of: bytes.loadUnaligned(fromByteOffset: from, as: UInt64.self), as: UInt64.self)
                case 4: unsafe place.storeBytes(of: bytes.loadUnaligned(fromByteOffset: from, as: UInt32.self), as: UInt32.self)
                case 1: unsafe place.storeBytes(of: bytes[from], as: UInt8.self)
                default:
                    unsafe place.storeBytes(of: bytes.loadUnaligned(fromByteOffset: from, as: UInt64.self), as: UInt64.self)
                    unsafe place.storeBytes(
                        of: bytes.loadUnaligned(fromByteOffset: from + 8, as: UInt64.self), toByteOffset: 8, as: UInt64.self)
                }
            }
        }
        items.appendEnds(range.count) { UInt32(truncatingIfNeeded: base &+ ($0 &+ 1) &* size) }
    }

    private func cutComputed(
        _ range: Range<Int>, _ bytes: UnsafeRawBufferPointer, _ items: inout RItems
    ) throws(RSerializationError) {
        let base = items.bytes.count
        if source.deferred == 0, source.kind == .sequence {
            let size = source.width + frame.byteCount
            guard range.count <= Int(UInt32.max) / size else { throw RItems.tooLarge }
            try items.reserve(items: range.count, bytes: size * range.count)
            items.write { output in
                unsafe frame.fill(&output, count: range.count, width: source.width) { index, place in
                    if source.type == TypeCode.integer {
                        unsafe place.storeBytes(of: source.integer(at: range.lowerBound + index), as: Int32.self)
                    } else {
                        unsafe place.storeBytes(of: source.double(at: range.lowerBound + index).bitPattern, as: UInt64.self)
                    }
                }
            }
            items.appendEnds(range.count) { UInt32(truncatingIfNeeded: base &+ ($0 &+ 1) &* size) }
            return
        }
        for index in range {
            items.write { output in
                frame.begin(&output)
                unsafe source.appendDeferred(index, in: bytes, to: &output)
                frame.end(&output)
            }
            try items.endItem()
        }
    }

    // MARK: Compact elements of lists

    private func compactElement(_ element: Int) -> VectorSource? {
        var (low, high) = (0, compactElements.count)
        while low < high {
            let middle = (low + high) / 2
            if compactElements[middle].element < element { low = middle + 1 } else { high = middle }
        }
        return low < compactElements.count && compactElements[low].element == element ? compactElements[low].source : nil
    }

    /// Whether an element in compact form is written out. R reads both, but only what is written out joins by copying.
    private func isExpanded(_ source: VectorSource) -> Bool {
        switch source.kind {
        case .opaque: false
        case .sequence: source.count <= limits.expandedItemBytes / (source.deferred == 0 ? 8 : 32)
        case .numbers: source.deferred == 0 || source.count <= limits.expandedItemBytes / 32
        case .strings, .items: true
        }
    }

    private static func expand(
        _ source: VectorSource, _ bytes: UnsafeRawBufferPointer, _ writer: inout ElementEmitter, _ walker: inout ItemWalker
    ) throws(RSerializationError) {
        let flags = Flags(
            source.type, isObject: source.isObject, hasAttributes: source.attributes > 0, levels: source.levels)
        writer.output.append(word: flags.word)
        writer.output.append(length: source.count)
        switch source.kind {
        case .numbers where source.deferred == 0:
            writer.copy(from: source.start, to: source.start + source.count * source.width)
        case .sequence where source.deferred == 0:
            for index in 0..<source.count {
                if source.type == TypeCode.integer {
                    writer.output.append(word: UInt32(bitPattern: source.integer(at: index)))
                } else {
                    writer.output.append(word64: source.double(at: index).bitPattern)
                }
            }
        case .numbers, .sequence, .opaque:
            for index in 0..<source.count { unsafe source.appendDeferred(index, in: bytes, to: &writer.output) }
        case .strings, .items:
            _ = try writer.emit(from: source.start, items: source.count, definitions: source.definitions, walker: &walker)
        }
        if source.attributes > 0 {
            _ = try writer.emit(from: source.attributes, definitions: source.attributeDefinitions, walker: &walker)
        }
    }
}
