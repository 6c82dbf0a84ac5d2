/// Writes an ``RValue`` as a native little-endian item.
struct ValueWriter {
    private(set) var output: [UInt8] = []
    private let shared: [RShared]
    private let mostDepth: Int
    private var depth = 0
    /// How many definitions were written, and the numbers of those of symbols and shared things.
    private var definitions = 0
    private var symbols: [RString: Int] = [:]
    private var numbers: [Int?]

    init(shared: [RShared], limits: RLimits) {
        self.shared = shared
        numbers = Array(repeating: nil, count: shared.count)
        mostDepth = limits.valueDepth
    }

    mutating func write(_ value: RValue) throws(RSerializationError) {
        depth += 1
        defer { depth -= 1 }
        guard depth <= mostDepth else { throw RSerializationError(.tooDeep, "objects are nested more than \(mostDepth) deep") }
        switch value {
        case .null: output.append(word: UInt32(TypeCode.null))
        case .globalEnvironment: output.append(word: UInt32(TypeCode.globalEnvironment))
        case .baseEnvironment: output.append(word: UInt32(TypeCode.baseEnvironment))
        case .emptyEnvironment: output.append(word: UInt32(TypeCode.emptyEnvironment))
        case .baseNamespace: output.append(word: UInt32(TypeCode.baseNamespace))
        case .unboundValue: output.append(word: UInt32(TypeCode.unboundValue))
        case .missingArgument: output.append(word: UInt32(TypeCode.missingArgument))
        case .logical(let vector): try write(TypeCode.logical, vector)
        case .integer(let vector): try write(TypeCode.integer, vector)
        case .double(let vector): try write(TypeCode.double, vector)
        case .complex(let vector): try write(TypeCode.complex, vector)
        case .raw(let vector): try write(TypeCode.raw, vector)
        case .string(let vector):
            head(TypeCode.string, vector.meta)
            output.append(length: vector.elements.count)
            for string in vector.elements { try string.write(to: &output) }
            try attributes(vector.meta)
        case .list(let vector): try write(TypeCode.list, values: vector)
        case .expression(let vector): try write(TypeCode.expression, values: vector)
        case .symbol(let name): try write(symbol: name)
        case .cells(let chain): try write(chain)
        case .closure(let closure): try write(TypeCode.closure, closure)
        case .promise(let promise): try write(TypeCode.promise, promise)
        case .byteCode(let code):
            head(TypeCode.byteCode, code.meta)
            output.append(word: UInt32(bitPattern: code.repeatCount))
            try write(code.body)
            try attributes(code.meta)
        case .builtin(let name, let isSpecial):
            output.append(word: UInt32(isSpecial ? TypeCode.special : TypeCode.builtin))
            output.append(word: UInt32(truncatingIfNeeded: name.count))
            output.append(contentsOf: name)
        case .s4(let meta):
            head(TypeCode.s4, meta)
            try attributes(meta)
        case .char(let string): try string.write(to: &output)
        case .shared(let reference): try write(reference)
        }
    }

    // MARK: Parts

    private mutating func head(_ type: UInt8, _ meta: RMeta, hasTag: Bool = false) {
        let flags = Flags(
            type, isObject: meta.isObject, hasAttributes: !meta.attributes.isEmpty, hasTag: hasTag, levels: meta.levels)
        output.append(word: flags.word)
    }

    private mutating func attributes(_ meta: RMeta) throws(RSerializationError) {
        guard !meta.attributes.isEmpty else { return }
        for attribute in meta.attributes {
            output.append(word: UInt32(TypeCode.pairlist) | Flags.tag)
            try write(symbol: attribute.name)
            try write(attribute.value)
        }
        output.append(word: UInt32(TypeCode.null))
    }

    private mutating func write<Element: BitwiseCopyable>(_ type: UInt8, _ vector: RVector<Element>) throws(RSerializationError) {
        head(type, vector.meta)
        output.append(length: vector.elements.count)
        unsafe vector.elements.withUnsafeBytes { bytes in unsafe output.append(contentsOf: bytes) }
        try attributes(vector.meta)
    }

    private mutating func write(_ type: UInt8, values vector: RVector<RValue>) throws(RSerializationError) {
        head(type, vector.meta)
        output.append(length: vector.elements.count)
        for value in vector.elements { try write(value) }
        try attributes(vector.meta)
    }

    private mutating func write(symbol name: RString) throws(RSerializationError) {
        if let number = symbols[name] {
            output.append(reference: number)
            return
        }
        symbols[name] = definitions
        definitions += 1
        output.append(word: UInt32(TypeCode.symbol))
        try name.write(to: &output)
    }

    private mutating func write(_ chain: RCells) throws(RSerializationError) {
        for cell in chain.cells {
            head(cell.kind.rawValue, cell.meta, hasTag: cell.tag != nil)
            try attributes(cell.meta)
            if let tag = cell.tag { try write(tag) }
            try write(cell.value)
        }
        try write(chain.tail)
    }

    private mutating func write(_ type: UInt8, _ closure: RClosure) throws(RSerializationError) {
        head(type, closure.meta, hasTag: closure.environment != nil)
        try attributes(closure.meta)
        if let environment = closure.environment { try write(environment) }
        try write(closure.formals)
        try write(closure.body)
    }

    // MARK: What has an identity

    private mutating func write(_ reference: RReference) throws(RSerializationError) {
        guard shared.indices.contains(reference.index) else {
            throw RSerializationError(.badReference, "a reference to the shared thing \(reference.index) of \(shared.count)")
        }
        if let number = numbers[reference.index] {
            output.append(reference: number)
            return
        }
        numbers[reference.index] = definitions
        definitions += 1
        switch shared[reference.index] {
        case .environment(let environment):
            output.append(words: UInt32(TypeCode.environment), environment.isLocked ? 1 : 0)
            try write(environment.enclosing)
            try write(environment.frame)
            try write(environment.hashTable)
            try write(environment.attributes)
        case .externalPointer(let protected, let tag, let meta):
            head(TypeCode.externalPointer, meta)
            try write(protected)
            try write(tag)
            try attributes(meta)
        case .weakReference(let meta):
            head(TypeCode.weakReference, meta)
            try attributes(meta)
        case .namespace(let names): try write(TypeCode.namespace, names)
        case .package(let names): try write(TypeCode.package, names)
        case .persistentName(let names): try write(TypeCode.persistentName, names)
        }
    }

    private mutating func write(_ type: UInt8, _ names: [RString]) throws(RSerializationError) {
        output.append(words: UInt32(type), 0)
        output.append(word: UInt32(truncatingIfNeeded: names.count))
        for name in names { try name.write(to: &output) }
    }

    // MARK: Byte-code

    private mutating func write(_ body: RByteCode.Body) throws(RSerializationError) {
        try write(body.code)
        output.append(word: UInt32(truncatingIfNeeded: body.constants.count))
        for constant in body.constants {
            switch constant {
            case .body(let inner):
                output.append(word: UInt32(TypeCode.byteCode))
                try write(inner)
            case .part(let part): try write(part)
            }
        }
    }

    private mutating func write(_ part: RByteCode.Part) throws(RSerializationError) {
        depth += 1
        defer { depth -= 1 }
        guard depth <= mostDepth else { throw RSerializationError(.tooDeep, "objects are nested more than \(mostDepth) deep") }
        switch part {
        case .repeated(let number): output.append(words: UInt32(TypeCode.repeatReference), UInt32(bitPattern: number))
        case .value(let type, let value):
            output.append(word: type)
            try write(value)
        case .cells(let cells, let end):
            for cell in cells {
                if let number = cell.number {
                    output.append(words: UInt32(TypeCode.repeatDefinition), UInt32(bitPattern: number))
                }
                output.append(word: cell.type)
                if let attributes = cell.attributes { try write(attributes) }
                try write(cell.tag)
                try write(cell.value)
            }
            try write(end)
        }
    }
}
