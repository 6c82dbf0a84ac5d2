/// A position in serialized bytes, and the pieces of the grammar that have no other items in them.
///
/// With `swaps` each word is turned around where it stands, once: big-endian ones become native, or with `readsNative` native ones
/// big-endian.
///
/// Safe as long as the bytes outlive it: every read is checked against their end.
@safe struct WordReader {
    private let base: UnsafeMutableRawPointer
    private let end: Int
    private let swaps: Bool
    private let readsNative: Bool
    /// - Precondition: every value set lies in the bytes.
    var position: Int

    /// - Precondition: with `swaps`, the memory may be written to.
    @inline(__always) init(_ bytes: UnsafeRawBufferPointer, at position: Int, swaps: Bool = false, readsNative: Bool = true)
        throws(RSerializationError)
    {
        guard let start = bytes.baseAddress else { throw RSerializationError(.truncated, "no bytes at all", at: 0) }
        unsafe base = UnsafeMutableRawPointer(mutating: start)
        end = bytes.count
        self.swaps = swaps
        self.readsNative = readsNative
        self.position = position
    }

    @inline(__always) mutating func word() throws(RSerializationError) -> UInt32 {
        guard end - position >= 4 else { throw truncated() }
        var value = unsafe base.loadUnaligned(fromByteOffset: position, as: UInt32.self)
        if swaps {
            unsafe base.storeBytes(of: value.byteSwapped, toByteOffset: position, as: UInt32.self)
            if !readsNative { value = value.byteSwapped }
        }
        position += 4
        return UInt32(littleEndian: value)
    }

    /// A vector's length: one word, or −1 and two more. Refused when that many elements cannot be there.
    @inline(__always) mutating func length(elementBytes: Int) throws(RSerializationError) -> Int {
        let start = position
        let short = Int32(bitPattern: try word())
        if short >= 0, Int(short) &* elementBytes <= end &- position { return Int(short) }
        return try longLength(short, elementBytes: elementBytes, at: start)
    }

    private mutating func longLength(_ short: Int32, elementBytes: Int, at start: Int) throws(RSerializationError) -> Int {
        var length = Int(short)
        if short == -1 {
            let high = Int(Int32(bitPattern: try word()))
            let low = Int(try word())
            // R itself goes to 2^52.
            guard high >= 0, high < 1 << 20 else {
                throw RSerializationError(.malformed, "a vector of impossible length", at: start)
            }
            length = high << 32 | low
        }
        guard length >= 0 else { throw RSerializationError(.malformed, "a vector of length \(length)", at: start) }
        guard length <= (end - position) / elementBytes else {
            throw RSerializationError(.truncated, "a vector of \(length) elements in the last \(end - position) bytes", at: start)
        }
        return length
    }

    /// A count of things of which each takes at least `elementBytes`.
    mutating func count(elementBytes: Int) throws(RSerializationError) -> Int {
        let start = position
        let count = Int(Int32(bitPattern: try word()))
        guard count >= 0 else { throw RSerializationError(.malformed, "a count of \(count)", at: start) }
        guard count <= (end - position) / elementBytes else {
            throw RSerializationError(.truncated, "\(count) values in the last \(end - position) bytes", at: start)
        }
        return count
    }

    @inline(__always) mutating func skipVector(_ type: UInt8) throws(RSerializationError) {
        let width = TypeCode.width(of: type)
        let length = try length(elementBytes: width)
        if swaps {
            switch width {
            case 4: swap(length, as: UInt32.self)
            case 8: swap(length, as: UInt64.self)
            case 16: swap(length * 2, as: UInt64.self)
            default: break
            }
        }
        position &+= length &* width
    }

    private func swap<Word: FixedWidthInteger & BitwiseCopyable>(_ count: Int, as: Word.Type) {
        var offset = position
        for _ in 0..<count {
            let value = unsafe base.loadUnaligned(fromByteOffset: offset, as: Word.self)
            unsafe base.storeBytes(of: value.byteSwapped, toByteOffset: offset, as: Word.self)
            offset += MemoryLayout<Word>.size
        }
    }

    @inline(__always) mutating func skipBytes(_ count: Int) throws(RSerializationError) {
        guard count >= 0, count <= end - position else {
            throw count < 0
                ? RSerializationError(.malformed, "a string of \(count) bytes", at: position - 4)
                : RSerializationError(.truncated, "a string of \(count) bytes in the last \(end - position) bytes", at: position - 4)
        }
        position += count
    }

    /// The length and bytes of a string; −1 is NA.
    @inline(__always) mutating func skipStringContent() throws(RSerializationError) {
        let count = Int(Int32(bitPattern: try word()))
        if count == -1 { return }
        try skipBytes(count)
    }

    /// A whole string item, as vectors of strings and symbols have them.
    @inline(__always) mutating func skipString() throws(RSerializationError) {
        let flags = Flags(try word())
        guard flags.type == TypeCode.char, !flags.hasAttributes else {
            throw RSerializationError(.malformed, "type \(flags.type) where a string must be", at: position - 4)
        }
        try skipStringContent()
    }

    /// The strings that name a namespace, a package or something persistent.
    mutating func skipNames() throws(RSerializationError) {
        guard try word() == 0 else { throw RSerializationError(.malformed, "names in names are not supported", at: position - 4) }
        let count = try count(elementBytes: 8)
        for _ in 0..<count { try skipString() }
    }

    /// What follows the type of a part of byte-code's constants.
    enum Cell {
        /// A cell that was defined before; nothing follows.
        case reference(Int)
        /// Attributes if there are any, a tag, then two parts.
        case cell(hasAttributes: Bool)
        case item
    }

    /// Reads what stands between the type of a part and its items.
    mutating func cell(_ type: UInt32, at start: Int) throws(RSerializationError) -> Cell {
        switch type {
        case UInt32(TypeCode.repeatReference): return .reference(Int(try word()))
        case UInt32(TypeCode.repeatDefinition):
            _ = try word()
            guard let hasAttributes = Self.isCell(try word()) else {
                throw RSerializationError(.malformed, "byte-code repeats what is no call", at: start)
            }
            return .cell(hasAttributes: hasAttributes)
        default:
            if let hasAttributes = Self.isCell(type) { return .cell(hasAttributes: hasAttributes) }
            return .item
        }
    }

    /// Whether a type is that of a cell with attributes (true) or without (false); nil if it is of no cell.
    static func isCell(_ type: UInt32) -> Bool? {
        switch type {
        case UInt32(TypeCode.pairlist), UInt32(TypeCode.language): false
        case UInt32(TypeCode.attributedList), UInt32(TypeCode.attributedLanguage): true
        default: nil
        }
    }

    func truncated() -> RSerializationError {
        RSerializationError(.truncated, "the bytes end in the middle of an object", at: end)
    }
}
