/// Finds the end of a serialized R object in bytes that arrive in pieces.
///
/// R's serialization has no length and no terminator: whoever passes it on has to follow its grammar. A scanner does only that. It
/// builds nothing, keeps a few bytes between two pieces, passes large vectors by arithmetic, and survives any bytes.
///
///     var scanner = RScanner()
///     while let piece = read() {
///         if let end = try scanner.feed(piece) { /* the first `end` bytes of this piece belong to the object */ }
///     }
///
/// Source of the grammar: R's `serialize.c`.
public struct RScanner: Sendable {
    private enum Kind: UInt8 { case items, strings, code, constantsHead, constants, cells }
    private struct Frame {
        var kind: Kind
        var remaining: Int
    }

    private let mostDepth: Int
    private var stack: [Frame] = []
    private var kind = Kind.items
    private var remaining = 1
    /// Bytes of a vector or a string that are still to come.
    private var toSkip = 0
    /// The beginning of a step whose other bytes are still to come.
    private var carry: [UInt8] = []
    private var isEnded = false
    /// How many bytes of the object came so far.
    public private(set) var bytesScanned = 0
    /// The stream's header, once it came; an item without header has none.
    public private(set) var header: RStreamHeader?
    private var isHeaderDue: Bool
    private var isBigEndian = false

    /// A scanner for one stream: a header and one item.
    public init(limits: RLimits = RLimits()) {
        mostDepth = limits.scanDepth
        isHeaderDue = true
    }

    /// A scanner for one item without header, in native little-endian form.
    public static func forItem(limits: RLimits = RLimits()) -> RScanner {
        var scanner = RScanner(limits: limits)
        scanner.isHeaderDue = false
        return scanner
    }

    /// Whether the whole object came.
    public var isComplete: Bool { isEnded }

    /// Takes the next piece.
    /// - Returns: how many bytes of this piece belong to the object when it ends in it; nil when more must come.
    /// - Throws: what makes the bytes no R object. The scanner is of no use after that.
    public mutating func feed(_ piece: RawSpan) throws(RSerializationError) -> Int? {
        try unsafe piece.withUnsafeBytes { (bytes) throws(RSerializationError) in try unsafe feed(bytes) }
    }

    /// Takes the next piece.
    public mutating func feed(_ piece: [UInt8]) throws(RSerializationError) -> Int? { try unsafe feed(piece.span.bytes) }

    /// Takes the next piece.
    public mutating func feed(_ piece: ArraySlice<UInt8>) throws(RSerializationError) -> Int? { try unsafe feed(piece.span.bytes) }

    // MARK: Steps

    private mutating func feed(_ piece: UnsafeRawBufferPointer) throws(RSerializationError) -> Int? {
        if isEnded { return 0 }
        var position = 0
        // First what a step was short of, byte by byte; a step needs a few.
        while !carry.isEmpty, !isEnded {
            guard position < piece.count else { return nil }
            unsafe carry.append(piece[position])
            position += 1
            bytesScanned += 1
            var used = 0
            let pending = carry
            // An array's closure does not forward a typed error; a span's does.
            try unsafe pending.span.bytes.withUnsafeBytes { (bytes) throws(RSerializationError) in
                used = try unsafe step(bytes, 0) ?? -1
            }
            if used >= 0 { carry.removeAll(keepingCapacity: true) }
        }
        while !isEnded {
            if toSkip > 0 {
                let count = min(toSkip, piece.count - position)
                toSkip -= count
                position += count
                bytesScanned += count
                if toSkip > 0 { return nil }
            }
            settle()
            if isEnded { break }
            guard let next = try unsafe step(piece, position) else {
                unsafe carry.append(contentsOf: piece[position...])
                bytesScanned += piece.count - position
                return nil
            }
            bytesScanned += next - position
            position = next
        }
        return position
    }

    /// Drops frames with nothing left.
    private mutating func settle() {
        while remaining == 0, toSkip == 0 {
            guard let frame = stack.popLast() else {
                isEnded = !isHeaderDue
                return
            }
            kind = frame.kind
            remaining = frame.remaining
        }
    }

    /// Reads one small piece of grammar, whole; nil when there are too few bytes.
    private mutating func step(_ bytes: UnsafeRawBufferPointer, _ start: Int) throws(RSerializationError) -> Int? {
        if isHeaderDue { return try unsafe headerStep(bytes, start) }
        let next: Int?
        switch kind {
        case .items: next = try unsafe itemStep(bytes, start)
        case .strings: next = try unsafe stringStep(bytes, start)
        case .code:
            remaining -= 1
            try push()
            (kind, remaining) = (.constantsHead, 1)
            try push()
            (kind, remaining) = (.items, 1)
            next = start
        case .constantsHead:
            guard let count = unsafe word(bytes, start) else { return nil }
            guard Int32(bitPattern: count) >= 0 else { throw fault(.malformed, "a count of \(Int32(bitPattern: count))") }
            remaining -= 1
            try push()
            (kind, remaining) = (.constants, Int(count))
            next = start + 4
        case .constants, .cells: next = try unsafe cellStep(bytes, start)
        }
        if next != nil { settle() }
        return next
    }

    private mutating func headerStep(_ bytes: UnsafeRawBufferPointer, _ start: Int) throws(RSerializationError) -> Int? {
        guard let (found, size) = try unsafe RStreamHeader.read(bytes[start...]) else { return nil }
        header = found
        isHeaderDue = false
        isBigEndian = found.byteOrder == .bigEndian
        return start + size
    }

    private mutating func itemStep(_ bytes: UnsafeRawBufferPointer, _ start: Int) throws(RSerializationError) -> Int? {
        guard let first = unsafe word(bytes, start) else { return nil }
        let flags = Flags(first)
        let attributes = flags.hasAttributes ? 1 : 0
        var next = start + 4
        switch flags.type {
        case TypeCode.double, TypeCode.integer, TypeCode.logical, TypeCode.raw, TypeCode.complex:
            guard let (length, end) = try unsafe length(bytes, next) else { return nil }
            toSkip = length * TypeCode.width(of: flags.type)
            remaining += attributes - 1
            next = end
        case TypeCode.string, TypeCode.list, TypeCode.expression:
            guard let (length, end) = try unsafe length(bytes, next) else { return nil }
            remaining += attributes - 1
            try push()
            (kind, remaining) = (flags.type == TypeCode.string ? .strings : .items, length)
            next = end
        case TypeCode.pairlist, TypeCode.language, TypeCode.closure, TypeCode.promise, TypeCode.dots:
            try enter(2 + attributes + (flags.hasTag ? 1 : 0))
        case TypeCode.null, TypeCode.globalEnvironment, TypeCode.baseEnvironment, TypeCode.emptyEnvironment,
            TypeCode.baseNamespace, TypeCode.missingArgument, TypeCode.unboundValue:
            remaining -= 1
        case TypeCode.reference:
            if flags.word >> 8 == 0 {
                guard unsafe word(bytes, next) != nil else { return nil }
                next += 4
            }
            remaining -= 1
        case TypeCode.symbol:
            remaining -= 1
            try push()
            (kind, remaining) = (.strings, 1)
        case TypeCode.namespace, TypeCode.package, TypeCode.persistentName:
            guard let zero = unsafe word(bytes, next), let count = unsafe word(bytes, next + 4) else { return nil }
            guard zero == 0, Int32(bitPattern: count) >= 0 else { throw fault(.malformed, "names that are no strings") }
            remaining -= 1
            try push()
            (kind, remaining) = (.strings, Int(count))
            next += 8
        case TypeCode.environment:
            guard unsafe word(bytes, next) != nil else { return nil }
            try enter(4)
            next += 4
        case TypeCode.externalPointer: try enter(2 + attributes)
        case TypeCode.weakReference, TypeCode.s4: remaining += attributes - 1
        case TypeCode.altrep: try enter(3)
        case TypeCode.char, TypeCode.special, TypeCode.builtin:
            guard let count = unsafe word(bytes, next) else { return nil }
            toSkip = try contentLength(count, mayBeNA: flags.type == TypeCode.char)
            remaining += attributes - 1
            next += 4
        case TypeCode.byteCode:
            guard unsafe word(bytes, next) != nil else { return nil }
            remaining += attributes - 1
            try push()
            (kind, remaining) = (.code, 1)
            next += 4
        default: throw fault(.unknownType, "R has no type \(flags.type)")
        }
        return next
    }

    private mutating func stringStep(_ bytes: UnsafeRawBufferPointer, _ start: Int) throws(RSerializationError) -> Int? {
        var position = start
        // As many as are there: a vector of strings is one step.
        while remaining > 0, toSkip == 0 {
            guard let first = unsafe word(bytes, position), let count = unsafe word(bytes, position + 4) else {
                return position == start ? nil : position
            }
            let flags = Flags(first)
            guard flags.type == TypeCode.char, !flags.hasAttributes else {
                throw fault(.malformed, "type \(flags.type) where a string must be")
            }
            let length = try contentLength(count, mayBeNA: true)
            remaining -= 1
            position += 8
            let here = min(length, bytes.count - position)
            position += here
            toSkip = length - here
        }
        return position
    }

    private mutating func cellStep(_ bytes: UnsafeRawBufferPointer, _ start: Int) throws(RSerializationError) -> Int? {
        guard var type = unsafe word(bytes, start) else { return nil }
        var next = start + 4
        if type == UInt32(TypeCode.byteCode), kind == .constants {
            remaining -= 1
            try push()
            (kind, remaining) = (.code, 1)
            return next
        }
        if type == UInt32(TypeCode.repeatReference) {
            guard unsafe word(bytes, next) != nil else { return nil }
            remaining -= 1
            return next + 4
        }
        let isDefinition = type == UInt32(TypeCode.repeatDefinition)
        if isDefinition {
            guard let inner = unsafe word(bytes, next + 4) else { return nil }
            type = inner
            next += 8
        }
        remaining -= 1
        try push()
        if let hasAttributes = WordReader.isCell(type) {
            (kind, remaining) = (.cells, 2)
            try push()
            (kind, remaining) = (.items, hasAttributes ? 2 : 1)
        } else if isDefinition {
            throw fault(.malformed, "byte-code repeats what is no call")
        } else {
            (kind, remaining) = (.items, 1)
        }
        return next
    }

    // MARK: Words

    @inline(__always) private func word(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32? {
        guard bytes.count - offset >= 4 else { return nil }
        let value = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        return isBigEndian ? UInt32(bigEndian: value) : UInt32(littleEndian: value)
    }

    private func length(_ bytes: UnsafeRawBufferPointer, _ offset: Int) throws(RSerializationError) -> (Int, Int)? {
        guard let first = unsafe word(bytes, offset) else { return nil }
        let short = Int32(bitPattern: first)
        if short >= 0 { return (Int(short), offset + 4) }
        guard short == -1 else { throw fault(.malformed, "a vector of length \(short)") }
        guard let high = unsafe word(bytes, offset + 4), let low = unsafe word(bytes, offset + 8) else { return nil }
        guard high < 1 << 20 else { throw fault(.malformed, "a vector of impossible length") }
        return (Int(high) << 32 | Int(low), offset + 12)
    }

    private func contentLength(_ word: UInt32, mayBeNA: Bool) throws(RSerializationError) -> Int {
        let length = Int(Int32(bitPattern: word))
        if length == -1, mayBeNA { return 0 }
        guard length >= 0 else { throw fault(.malformed, "a string of \(length) bytes") }
        return length
    }

    private mutating func enter(_ parts: Int) throws(RSerializationError) {
        remaining -= 1
        try push()
        (kind, remaining) = (.items, parts)
    }

    /// Puts the current frame aside, unless nothing remains of it.
    private mutating func push() throws(RSerializationError) {
        guard remaining > 0 else { return }
        guard stack.count < mostDepth else { throw fault(.tooDeep, "objects are nested more than \(mostDepth) deep") }
        stack.append(Frame(kind: kind, remaining: remaining))
    }

    private func fault(_ code: RSerializationError.Code, _ message: String) -> RSerializationError {
        RSerializationError(code, message, at: bytesScanned)
    }
}
