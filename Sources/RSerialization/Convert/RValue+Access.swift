/// Looking into R objects.
extension RValue {
    /// Attributes and the like; nil for what has none.
    public var meta: RMeta? {
        switch self {
        case .logical(let vector), .integer(let vector): vector.meta
        case .double(let vector): vector.meta
        case .complex(let vector): vector.meta
        case .string(let vector): vector.meta
        case .raw(let vector): vector.meta
        case .list(let vector), .expression(let vector): vector.meta
        case .closure(let closure), .promise(let closure): closure.meta
        case .byteCode(let code): code.meta
        case .cells(let chain): chain.cells.first?.meta
        case .s4(let meta): meta
        case .null, .symbol, .builtin, .char, .shared, .globalEnvironment, .baseEnvironment, .emptyEnvironment, .baseNamespace,
            .unboundValue, .missingArgument:
            nil
        }
    }

    /// How many elements a vector or pairlist has; 0 for `NULL`, 1 for all else.
    public var count: Int {
        switch self {
        case .null: 0
        case .logical(let vector), .integer(let vector): vector.elements.count
        case .double(let vector): vector.elements.count
        case .complex(let vector): vector.elements.count
        case .string(let vector): vector.elements.count
        case .raw(let vector): vector.elements.count
        case .list(let vector), .expression(let vector): vector.elements.count
        case .cells(let chain): chain.cells.count
        default: 1
        }
    }

    /// The class attribute; empty when there is none.
    public var classNames: [String] {
        guard case .string(let names)? = meta?["class"] else { return [] }
        return names.elements.compactMap(\.text)
    }

    public func inherits(_ name: String) -> Bool { classNames.contains(name) }

    /// The names of a vector or pairlist; nil when it has none at all.
    public var names: [String]? {
        if case .cells(let chain) = self {
            guard chain.cells.contains(where: { $0.tag != nil }) else { return nil }
            return chain.cells.map { cell in
                if case .symbol(let name)? = cell.tag { name.text ?? "" } else { "" }
            }
        }
        guard case .string(let names)? = meta?["names"] else { return nil }
        return names.elements.map { $0.text ?? "NA" }
    }

    /// The levels of a factor; nil for anything else.
    public var levels: [String]? {
        guard inherits("factor"), case .string(let levels)? = meta?["levels"] else { return nil }
        return levels.elements.map { $0.text ?? "NA" }
    }

    /// One element, as R's `[[` gives it: of a list the element itself, of a factor a factor. Nil when there is none.
    public func element(_ index: Int) -> RValue? {
        guard index >= 0, index < count else { return nil }
        var kept = RMeta()
        if let meta, meta.isObject {
            let names: Set<RString> = ["class", "levels", "tzone", "units"]
            kept = RMeta(meta.attributes.filter { names.contains($0.name) }, isObject: true)
        }
        switch self {
        case .logical(let vector): return .logical(RVector([vector.elements[index]], meta: kept))
        case .integer(let vector): return .integer(RVector([vector.elements[index]], meta: kept))
        case .double(let vector): return .double(RVector([vector.elements[index]], meta: kept))
        case .complex(let vector): return .complex(RVector([vector.elements[index]], meta: kept))
        case .string(let vector): return .string(RVector([vector.elements[index]], meta: kept))
        case .raw(let vector): return .raw(RVector([vector.elements[index]], meta: kept))
        case .list(let vector), .expression(let vector): return vector.elements[index]
        case .cells(let chain): return chain.cells[index].value
        default: return self
        }
    }

    /// The element of that name; nil when there is none.
    public subscript(name: String) -> RValue? { names?.firstIndex(of: name).flatMap { element($0) } }

    /// The elements of a named list, pairlist or vector by their names; of equal names the first counts, as in R.
    /// - Throws: `typeMismatch` when there are no names.
    public func dictionary() throws(RSerializationError) -> [String: RValue] {
        guard let names else {
            if count == 0 { return [:] }
            throw RSerializationError(.typeMismatch, "\(typeName) has no names")
        }
        var dictionary: [String: RValue] = [:]
        for (index, name) in names.enumerated() where dictionary[name] == nil { dictionary[name] = element(index) }
        return dictionary
    }

    /// The columns of a data frame.
    /// - Throws: `typeMismatch` for anything else.
    public func columns() throws(RSerializationError) -> [(name: String, value: RValue)] {
        guard inherits("data.frame"), case .list(let columns) = self, let names, names.count == columns.elements.count else {
            throw RSerializationError(.typeMismatch, "\(typeName) is no data frame")
        }
        return Array(zip(names, columns.elements)).map { (name: $0, value: $1) }
    }

    /// What this is, in R's words, for people.
    public var typeName: String {
        if let first = classNames.first { return "an object of class \(first)" }
        return switch self {
        case .null: "NULL"
        case .logical: "a logical vector"
        case .integer: "an integer vector"
        case .double: "a numeric vector"
        case .complex: "a complex vector"
        case .string: "a character vector"
        case .raw: "a raw vector"
        case .list: "a list"
        case .expression: "an expression"
        case .symbol: "a symbol"
        case .cells(let chain): chain.cells.first?.kind == .language ? "a call" : "a pairlist"
        case .closure, .builtin: "a function"
        case .promise: "a promise"
        case .byteCode: "byte-code"
        case .s4: "an S4 object"
        case .char: "a string"
        case .shared, .globalEnvironment, .baseEnvironment, .emptyEnvironment, .baseNamespace: "an environment"
        case .unboundValue: "an unbound value"
        case .missingArgument: "a missing argument"
        }
    }
}
