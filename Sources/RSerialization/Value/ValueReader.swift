/// Makes an ``RValue`` of a native little-endian item.
///
/// Recursive where objects are nested, iterative along pairlists; the depth is limited.
@safe struct ValueReader {
    private let bytes: UnsafeRawBufferPointer
    private let limits: RLimits
    private var reader: WordReader
    private var depth = 0
    /// What references point to, in the order of definition.
    private var definitions: [RValue] = []
    private(set) var shared: [RShared] = []

    init(_ bytes: UnsafeRawBufferPointer, at start: Int, limits: RLimits) throws(RSerializationError) {
        unsafe self.bytes = bytes
        self.limits = limits
        reader = try unsafe WordReader(bytes, at: start)
    }

    var position: Int { reader.position }

    mutating func value() throws(RSerializationError) -> RValue {
        let start = reader.position
        let flags = Flags(try reader.word())
        return try value(flags, at: start)
    }

    private mutating func value(_ flags: Flags, at start: Int) throws(RSerializationError) -> RValue {
        depth += 1
        defer { depth -= 1 }
        guard depth <= limits.valueDepth else {
            throw RSerializationError(.tooDeep, "objects are nested more than \(limits.valueDepth) deep", at: start)
        }
        switch flags.type {
        case TypeCode.null: return .null
        case TypeCode.globalEnvironment: return .globalEnvironment
        case TypeCode.baseEnvironment: return .baseEnvironment
        case TypeCode.emptyEnvironment: return .emptyEnvironment
        case TypeCode.baseNamespace: return .baseNamespace
        case TypeCode.unboundValue: return .unboundValue
        case TypeCode.missingArgument: return .missingArgument
        case TypeCode.logical: return .logical(RVector(try numbers(Int32.self), meta: try meta(flags)))
        case TypeCode.integer: return .integer(RVector(try numbers(Int32.self), meta: try meta(flags)))
        case TypeCode.double: return .double(RVector(try numbers(Double.self), meta: try meta(flags)))
        case TypeCode.complex: return .complex(RVector(try numbers(RComplex.self), meta: try meta(flags)))
        case TypeCode.raw: return .raw(RVector(try numbers(UInt8.self), meta: try meta(flags)))
        case TypeCode.string: return .string(RVector(try strings(try reader.length(elementBytes: 8)), meta: try meta(flags)))
        case TypeCode.list: return .list(RVector(try values(), meta: try meta(flags)))
        case TypeCode.expression: return .expression(RVector(try values(), meta: try meta(flags)))
        case TypeCode.symbol:
            let symbol = RValue.symbol(try string())
            definitions.append(symbol)
            return symbol
        case TypeCode.reference: return try reference(flags, at: start)
        case TypeCode.pairlist, TypeCode.language, TypeCode.dots: return try cells(flags)
        case TypeCode.closure: return .closure(try closure(flags))
        case TypeCode.promise: return .promise(try closure(flags))
        case TypeCode.byteCode: return try byteCode(flags)
        case TypeCode.builtin, TypeCode.special: return try builtin(flags)
        case TypeCode.s4: return .s4(try meta(flags))
        case TypeCode.char:
            reader.position = start
            return .char(try string())
        case TypeCode.altrep: return try compact(flags, at: start)
        case TypeCode.environment, TypeCode.externalPointer, TypeCode.weakReference, TypeCode.namespace, TypeCode.package,
            TypeCode.persistentName:
            return try sharedThing(flags)
        default: throw RSerializationError(.unknownType, "R has no type \(flags.type)", at: start)
        }
    }

    // MARK: Vectors

    private mutating func numbers<Element: BitwiseCopyable>(_: Element.Type) throws(RSerializationError) -> [Element] {
        let width = MemoryLayout<Element>.size
        let count = try reader.length(elementBytes: width)
        let start = reader.position
        reader.position += count * width
        return unsafe [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
            unsafe UnsafeMutableRawBufferPointer(buffer).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: bytes[start..<start + count * width]))
            initialized = count
        }
    }

    private mutating func strings(_ count: Int) throws(RSerializationError) -> [RString] {
        var strings: [RString] = []
        strings.reserveCapacity(count)
        for _ in 0..<count { strings.append(try string()) }
        return strings
    }

    private mutating func string() throws(RSerializationError) -> RString {
        let start = reader.position
        try reader.skipString()
        let levels = unsafe Flags(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: start, as: UInt32.self))).levels
        let size = unsafe Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: start + 4, as: Int32.self))
        if size < 0 { return .na }
        return unsafe RString(levels: levels, content: UnsafeRawBufferPointer(rebasing: bytes[start + 8..<reader.position]))
    }

    private mutating func values() throws(RSerializationError) -> [RValue] {
        let count = try reader.length(elementBytes: 4)
        var values: [RValue] = []
        // A value takes more memory than the four bytes it may have in the stream.
        values.reserveCapacity(min(count, 1 << 16))
        for _ in 0..<count { values.append(try value()) }
        return values
    }

    private mutating func meta(_ flags: Flags) throws(RSerializationError) -> RMeta {
        let attributes = flags.hasAttributes ? try attributes() : []
        return RMeta(attributes, isObject: flags.isObject, levels: flags.levels)
    }

    private mutating func attributes() throws(RSerializationError) -> [RAttribute] {
        let start = reader.position
        return try Self.attributes(try value(), at: start)
    }

    private static func attributes(_ value: RValue, at start: Int) throws(RSerializationError) -> [RAttribute] {
        switch value {
        case .null: return []
        case .cells(let chain):
            guard case .null = chain.tail else { break }
            var attributes: [RAttribute] = []
            for cell in chain.cells {
                guard case .symbol(let name)? = cell.tag else {
                    throw RSerializationError(.malformed, "an attribute without name", at: start)
                }
                attributes.append(RAttribute(name, cell.value))
            }
            return attributes
        default: break
        }
        throw RSerializationError(.malformed, "attributes must be a pairlist", at: start)
    }

    // MARK: Cells

    private mutating func cells(_ first: Flags) throws(RSerializationError) -> RValue {
        var cells: [RCells.Cell] = []
        var flags = first
        while let kind = RCells.Kind(rawValue: flags.type) {
            let meta = try meta(flags)
            let tag = flags.hasTag ? try value() : nil
            cells.append(RCells.Cell(try value(), tag: tag, kind: kind, meta: meta))
            flags = Flags(try reader.word())
        }
        return .cells(RCells(cells, tail: try value(flags, at: reader.position - 4)))
    }

    private mutating func closure(_ flags: Flags) throws(RSerializationError) -> RClosure {
        let meta = try meta(flags)
        let environment = flags.hasTag ? try value() : nil
        let formals = try value()
        return RClosure(environment: environment, formals: formals, body: try value(), meta: meta)
    }

    private mutating func builtin(_ flags: Flags) throws(RSerializationError) -> RValue {
        let count = Int(Int32(bitPattern: try reader.word()))
        let start = reader.position
        try reader.skipBytes(count)
        if flags.hasAttributes { _ = try value() }
        return unsafe .builtin(name: Array(bytes[start..<start + count]), isSpecial: flags.type == TypeCode.special)
    }

    // MARK: What has an identity

    private mutating func reference(_ flags: Flags, at start: Int) throws(RSerializationError) -> RValue {
        var index = Int(flags.word >> 8)
        if index == 0 { index = Int(Int32(bitPattern: try reader.word())) }
        guard index > 0, index <= definitions.count else {
            throw RSerializationError(.badReference, "a reference to definition \(index) where there are \(definitions.count)", at: start)
        }
        return definitions[index - 1]
    }

    private mutating func sharedThing(_ flags: Flags) throws(RSerializationError) -> RValue {
        let index = shared.count
        let reference = RValue.shared(RReference(index: index))
        if flags.type >= TypeCode.persistentName {
            guard try reader.word() == 0 else {
                throw RSerializationError(.malformed, "names in names are not supported", at: reader.position - 4)
            }
            let names = try strings(try reader.count(elementBytes: 8))
            switch flags.type {
            case TypeCode.namespace: shared.append(.namespace(names))
            case TypeCode.package: shared.append(.package(names))
            default: shared.append(.persistentName(names))
            }
            definitions.append(reference)
            return reference
        }
        // Defined before its content is read: the content may refer to it.
        shared.append(.weakReference(meta: RMeta()))
        definitions.append(reference)
        switch flags.type {
        case TypeCode.environment:
            let isLocked = try reader.word() != 0
            let (enclosing, frame) = (try value(), try value())
            let (table, attributes) = (try value(), try value())
            shared[index] = .environment(
                REnvironment(isLocked: isLocked, enclosing: enclosing, frame: frame, hashTable: table, attributes: attributes))
        case TypeCode.externalPointer:
            let (protected, tag) = (try value(), try value())
            shared[index] = .externalPointer(protected: protected, tag: tag, meta: try meta(flags))
        default: shared[index] = .weakReference(meta: try meta(flags))
        }
        return reference
    }

    // MARK: Byte-code

    private mutating func byteCode(_ flags: Flags) throws(RSerializationError) -> RValue {
        let count = Int32(bitPattern: try reader.word())
        let body = try body()
        return .byteCode(RByteCode(repeatCount: count, body: body, meta: try meta(flags)))
    }

    private mutating func body() throws(RSerializationError) -> RByteCode.Body {
        try deeper { (self) throws(RSerializationError) in
            let code = try self.value()
            let count = try self.reader.count(elementBytes: 4)
            var constants: [RByteCode.Constant] = []
            for _ in 0..<count {
                let start = self.reader.position
                let type = try self.reader.word()
                constants.append(
                    type == UInt32(TypeCode.byteCode) ? .body(try self.body()) : .part(try self.part(type, at: start)))
            }
            return RByteCode.Body(code: code, constants: constants)
        }
    }

    private mutating func part(_ type: UInt32, at start: Int) throws(RSerializationError) -> RByteCode.Part {
        try deeper { (self) throws(RSerializationError) in
            var cells: [RByteCode.Cell] = []
            var (type, start) = (type, start)
            while true {
                let end: RByteCode.Part
                let afterType = self.reader.position
                switch try self.reader.cell(type, at: start) {
                case .reference(let number): end = .repeated(Int32(truncatingIfNeeded: number))
                case .item: end = .value(type: type, try self.value())
                case .cell(let hasAttributes):
                    var number: Int32?
                    if type == UInt32(TypeCode.repeatDefinition) {
                        self.reader.position = afterType
                        number = Int32(bitPattern: try self.reader.word())
                        type = try self.reader.word()
                    }
                    let attributes = hasAttributes ? try self.value() : nil
                    let tag = try self.value()
                    let partStart = self.reader.position
                    let value = try self.part(try self.reader.word(), at: partStart)
                    cells.append(RByteCode.Cell(number: number, type: type, attributes: attributes, tag: tag, value: value))
                    start = self.reader.position
                    type = try self.reader.word()
                    continue
                }
                return cells.isEmpty ? end : .cells(cells, end: end)
            }
        }
    }

    private mutating func deeper<Result>(
        _ body: (inout Self) throws(RSerializationError) -> Result
    ) throws(RSerializationError) -> Result {
        depth += 1
        defer { depth -= 1 }
        guard depth <= limits.valueDepth else {
            throw RSerializationError(.tooDeep, "objects are nested more than \(limits.valueDepth) deep", at: reader.position)
        }
        return try body(&self)
    }

    // MARK: Compact forms

    private mutating func compact(_ flags: Flags, at start: Int) throws(RSerializationError) -> RValue {
        guard case .cells(let info) = try value(), case .symbol(let name)? = info.cells.first?.value, let name = name.text else {
            throw RSerializationError(.malformed, "a compact vector without the name of its class", at: start)
        }
        let state = try value()
        let meta = RMeta(try attributes(), isObject: flags.isObject, levels: flags.levels)
        guard let value = try state.expanded(name, meta: meta, limits: limits, at: start) else {
            throw RSerializationError(.unsupported, "vectors of class \(name) are expanded by R only", at: start)
        }
        return value
    }
}
