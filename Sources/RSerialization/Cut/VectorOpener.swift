/// Walks one vector of a stream once: where its elements are, what is defined on the way, where its attributes begin.
@safe struct VectorOpener {
    private let bytes: UnsafeRawBufferPointer
    private let limits: RLimits
    private(set) var walker: ItemWalker
    private(set) var visitor = IndexingVisitor()
    /// Ends of the elements of the outermost vector.
    private(set) var ends = ElementEnds()
    /// The elements of the outermost list that stand there in a compact form, in order.
    private(set) var compactElements: [(element: Int, source: VectorSource)] = []
    private(set) var position: Int

    init(_ bytes: UnsafeRawBufferPointer, at position: Int, limits: RLimits) {
        unsafe self.bytes = bytes
        self.limits = limits
        walker = ItemWalker(limits: limits)
        self.position = position
    }

    var table: DefinitionTable { visitor.table }

    /// Opens the vector at the current position and leaves it behind.
    /// - Parameter isOutermost: whether each element's end is noted.
    mutating func open(isOutermost: Bool, depth: Int = 0) throws(RSerializationError) -> VectorSource {
        let start = position
        var reader = try unsafe WordReader(bytes, at: position)
        let flags = Flags(try reader.word())
        var source = VectorSource(kind: .opaque, type: flags.type)
        source.isObject = flags.isObject
        source.levels = flags.levels
        switch flags.type {
        case TypeCode.null: position = reader.position
        case TypeCode.double, TypeCode.integer, TypeCode.logical, TypeCode.raw, TypeCode.complex:
            source.kind = .numbers
            source.count = try reader.length(elementBytes: source.width)
            source.start = reader.position
            position = reader.position + source.count * source.width
        case TypeCode.string:
            source.kind = .strings
            source.count = try reader.length(elementBytes: 8)
            source.start = reader.position
            if isOutermost { ends = ElementEnds(start: reader.position, capacity: source.count) }
            for _ in 0..<source.count {
                try reader.skipString()
                if isOutermost { ends.append(end: reader.position, hasReferences: false) }
            }
            position = reader.position
        case TypeCode.list, TypeCode.expression:
            source.kind = .items
            source.count = try reader.length(elementBytes: 4)
            source.start = reader.position
            source.definitions = table.count
            position = reader.position
            if isOutermost { try openElements(source.count) } else { try pass(source.count) }
        case TypeCode.altrep where depth < 4:
            return try openCompact(flags, at: start, isOutermost: isOutermost, depth: depth)
        default:
            throw RSerializationError(.notAVector, "type \(flags.type) has no elements", at: start)
        }
        if flags.hasAttributes, flags.type != TypeCode.null {
            source.attributes = position
            source.attributeDefinitions = table.count
            try pass(1)
        }
        return source
    }

    /// Walks items for what they define.
    private mutating func pass(_ count: Int) throws(RSerializationError) {
        position = try unsafe walker.walk(bytes, from: position, items: count, visitor: &visitor)
    }

    private mutating func openElements(_ count: Int) throws(RSerializationError) {
        ends = ElementEnds(start: position, capacity: count)
        for element in 0..<count {
            // Most elements are small vectors of numbers without attributes: no walk for them.
            if unsafe bytes.count - position >= 8 {
                let word = unsafe UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self))
                let width = TypeCode.width(of: UInt8(truncatingIfNeeded: word))
                if width > 0, word & Flags.attributes == 0 {
                    let length = unsafe Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: position + 4, as: Int32.self))
                    if unsafe length >= 0 && Int(length) * width <= bytes.count - position - 8 {
                        position += 8 + Int(length) * width
                        ends.append(end: position, hasReferences: false)
                        continue
                    }
                }
                if word & 0xFF == UInt32(TypeCode.altrep) {
                    let source = try open(isOutermost: false)
                    compactElements.append((element, source))
                    ends.append(end: position, hasReferences: true)
                    continue
                }
            }
            visitor.sawReferences = false
            try pass(1)
            ends.append(end: position, hasReferences: visitor.sawReferences)
        }
    }

    // MARK: Compact forms

    private mutating func openCompact(
        _ flags: Flags, at start: Int, isOutermost: Bool, depth: Int
    ) throws(RSerializationError) -> VectorSource {
        position = start + 4
        let info = position
        try pass(1)
        let name = try className(at: info)
        var source: VectorSource
        switch name {
        case "compact_intseq", "compact_realseq":
            source = try openSequence(name == "compact_intseq" ? TypeCode.integer : TypeCode.double)
        case "wrap_integer", "wrap_logical", "wrap_real", "wrap_complex", "wrap_raw", "wrap_string", "wrap_list":
            source = try openWrapped(isOutermost: isOutermost, depth: depth)
        case "deferred_string": source = try openDeferred(depth: depth)
        default:
            try pass(1)
            source = VectorSource(kind: .opaque, type: TypeCode.altrep)
            source.className = name
        }
        source.isCompact = true
        source.isObject = flags.isObject
        source.levels = flags.levels
        var reader = try unsafe WordReader(bytes, at: position)
        let attributes = Flags(try reader.word()).type
        source.attributes = attributes == TypeCode.null ? 0 : position
        source.attributeDefinitions = table.count
        try pass(1)
        return source
    }

    /// The state of a compact sequence: count, first, step, as doubles.
    private mutating func openSequence(_ type: UInt8) throws(RSerializationError) -> VectorSource {
        let start = position
        var reader = try unsafe WordReader(bytes, at: position)
        let flags = Flags(try reader.word())
        guard flags.type == TypeCode.double, !flags.hasAttributes, try reader.length(elementBytes: 8) == 3 else {
            throw RSerializationError(.malformed, "a compact sequence must have three numbers", at: start)
        }
        func number(_ index: Int) -> Double {
            unsafe Double(
                bitPattern: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: reader.position + 8 * index, as: UInt64.self)))
        }
        var source = VectorSource(kind: .sequence, type: type)
        // R's own limit for the length of a vector.
        guard let count = number(0).exactInteger, count >= 0, count <= 1 << 52 else {
            throw RSerializationError(.malformed, "a compact sequence of \(number(0)) elements", at: start)
        }
        (source.count, source.first, source.step) = (count, number(1), number(2))
        let last = source.first + source.step * Double(max(count - 1, 0))
        if type == TypeCode.integer {
            guard source.first.exactInt32 != nil, source.step.exactInt32 != nil, last.exactInt32 != nil else {
                throw RSerializationError(.malformed, "a compact sequence of integers leaves their range", at: start)
            }
        }
        position = reader.position + 24
        return source
    }

    /// The state of a wrapper: the vector, and what R knows about its order, as a pair or, in the first versions, a list.
    private mutating func openWrapped(isOutermost: Bool, depth: Int) throws(RSerializationError) -> VectorSource {
        let start = position
        var reader = try unsafe WordReader(bytes, at: position)
        let flags = Flags(try reader.word())
        var isPair = flags.type == TypeCode.pairlist && !flags.hasTag
        if flags.type == TypeCode.list { isPair = try reader.length(elementBytes: 4) == 2 }
        guard isPair, !flags.hasAttributes else {
            throw RSerializationError(.malformed, "a wrapped vector must be one of two", at: start)
        }
        position = reader.position
        let source = try open(isOutermost: isOutermost, depth: depth + 1)
        try pass(1)
        return source
    }

    /// The state of strings that are not made yet: a pairlist of the numbers and how to write them.
    private mutating func openDeferred(depth: Int) throws(RSerializationError) -> VectorSource {
        let start = position
        var reader = try unsafe WordReader(bytes, at: position)
        let flags = Flags(try reader.word())
        guard flags.type == TypeCode.pairlist, !flags.hasAttributes, !flags.hasTag else {
            throw RSerializationError(.malformed, "deferred strings must have their numbers in a pairlist", at: start)
        }
        position = reader.position
        var source = try open(isOutermost: false, depth: depth + 1)
        try pass(1)
        switch source.kind {
        case .numbers where source.type == TypeCode.integer || source.type == TypeCode.double, .sequence:
            source.deferred = source.type
        case .numbers, .strings, .items, .opaque:
            source.kind = .opaque
            source.className = "deferred_string"
        }
        source.type = TypeCode.string
        return source
    }

    /// The name of the class in an ALTREP's info: a pairlist of class, package and type.
    private func className(at offset: Int) throws(RSerializationError) -> String {
        var reader = try unsafe WordReader(bytes, at: offset)
        let flags = Flags(try reader.word())
        guard flags.type == TypeCode.pairlist, !flags.hasAttributes, !flags.hasTag,
            let name = try unsafe table.symbol(at: reader.position, in: bytes)
        else { throw RSerializationError(.malformed, "a compact vector without the name of its class", at: offset) }
        return unsafe String(decoding: bytes[name], as: UTF8.self)
    }
}

extension DefinitionTable {
    /// Where the bytes of a symbol's name stand, the symbol being defined or referred to at `offset`; nil if it is none.
    func symbol(at offset: Int, in bytes: UnsafeRawBufferPointer) throws(RSerializationError) -> Range<Int>? {
        var reader = try unsafe WordReader(bytes, at: offset)
        var flags = Flags(try reader.word())
        if flags.type == TypeCode.reference {
            var index = Int(flags.word >> 8)
            if index == 0 { index = Int(Int32(bitPattern: try reader.word())) }
            guard index > 0, index <= count else { throw RSerializationError(.badReference, "a reference to nothing", at: offset) }
            reader.position = starts[index - 1]
            flags = Flags(try reader.word())
        }
        guard flags.type == TypeCode.symbol else { return nil }
        let start = reader.position + 8
        try reader.skipString()
        return start > reader.position ? reader.position..<reader.position : start..<reader.position
    }
}
