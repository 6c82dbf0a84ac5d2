extension RObject {
    /// This object as JSON text, much as R's package jsonlite writes it: see ``RValue/json(autoUnbox:)``.
    public func json(autoUnbox: Bool = false) -> String {
        var writer = JSONWriter(autoUnbox: autoUnbox, shared: shared)
        writer.write(value)
        return String(decoding: writer.output, as: UTF8.self)
    }
}

extension RValue {
    /// This object as JSON text, much as R's package jsonlite writes it.
    ///
    /// Named lists are objects, other lists and vectors arrays, data frames arrays of their rows, matrices arrays of rows, factors and
    /// dates strings, raw vectors a string in base 64. NA and `NULL` are null; NaN and the infinities the strings `"NaN"`, `"Inf"`,
    /// `"-Inf"`. Numbers have all their digits. What is no data is a string that says what it is: `"<function(x, y)>"`.
    ///
    /// - Parameter autoUnbox: whether vectors of length one are written without brackets.
    public func json(autoUnbox: Bool = false) -> String { RObject(self).json(autoUnbox: autoUnbox) }
}

/// Writes JSON text.
struct JSONWriter {
    private(set) var output: [UInt8] = []
    private let autoUnbox: Bool
    private let shared: [RShared]
    private var depth = 0

    init(autoUnbox: Bool, shared: [RShared]) {
        self.autoUnbox = autoUnbox
        self.shared = shared
    }

    mutating func write(_ value: RValue) {
        depth += 1
        defer { depth -= 1 }
        guard depth <= RLimits().valueDepth else { return string("<nested too deeply>") }
        switch value {
        case .null: append("null")
        case .raw(let vector): string(Base64.text(vector.elements))
        case .logical, .integer, .double, .complex, .string: writeVector(value)
        case .list(let vector), .expression(let vector):
            if let frame = DataFrame(value) {
                writeRows(frame)
            } else if let names = value.names {
                writeObject(names, vector.elements)
            } else {
                separated(vector.elements.count, "[", "]") { (self, index) in self.write(vector.elements[index]) }
            }
        case .cells(let chain) where chain.cells.first?.kind == .pairlist:
            let elements = chain.cells.map(\.value)
            if let names = value.names {
                writeObject(names, elements)
            } else {
                separated(elements.count, "[", "]") { (self, index) in self.write(elements[index]) }
            }
        case .symbol(let name), .char(let name): if let text = name.text { string(text) } else { append("null") }
        default: string(Self.description(of: value, shared))
        }
    }

    // MARK: Vectors

    private mutating func writeVector(_ value: RValue) {
        let elements = JSONElements(value)
        if case .integer(let dim)? = value.meta?["dim"], dim.elements.count > 1, let sizes = Self.sizes(dim.elements, value.count) {
            writeArray(elements, sizes, dimension: 0, offset: 0)
        } else if autoUnbox, value.count == 1 {
            elements.write(0, to: &self)
        } else {
            separated(value.count, "[", "]") { (self, index) in elements.write(index, to: &self) }
        }
    }

    /// The sizes of an array, if they are those of its elements.
    private static func sizes(_ dim: [Int32], _ count: Int) -> [Int]? {
        var product = 1
        for size in dim {
            guard size >= 0 else { return nil }
            let (next, overflow) = product.multipliedReportingOverflow(by: Int(size))
            guard !overflow else { return nil }
            product = next
        }
        // Nested empty arrays could be many out of nothing.
        return product == count && count > 0 ? dim.map { Int($0) } : nil
    }

    /// Arrays are stored with the first index running fastest, and written with the last.
    private mutating func writeArray(_ elements: JSONElements, _ sizes: [Int], dimension: Int, offset: Int) {
        guard dimension < sizes.count else { return elements.write(offset, to: &self) }
        let stride = sizes[..<dimension].reduce(1, *)
        separated(sizes[dimension], "[", "]") { (self, index) in
            self.writeArray(elements, sizes, dimension: dimension + 1, offset: offset + index * stride)
        }
    }

    // MARK: Lists

    private mutating func writeObject(_ names: [String], _ elements: [RValue]) {
        separated(elements.count, "{", "}") { (self, index) in
            // An element without name is known by its place.
            let name = index < names.count ? names[index] : ""
            self.string(name.isEmpty ? String(index + 1) : name)
            self.append(":")
            self.write(elements[index])
        }
    }

    /// A data frame, its columns ready to be written by rows.
    private struct DataFrame {
        enum Column {
            case elements(JSONElements)
            case values([RValue])
        }
        var names: [String]
        var columns: [Column]
        var rows: Int

        init?(_ value: RValue) {
            guard value.inherits("data.frame"), case .list(let vector) = value, let names = value.names,
                names.count == vector.elements.count
            else { return nil }
            self.names = names
            rows = vector.elements.first?.count ?? 0
            columns = []
            for column in vector.elements {
                guard column.count == rows else { return nil }
                switch column {
                case .list(let list) where !column.inherits("data.frame"): columns.append(.values(list.elements))
                case .logical, .integer, .double, .complex, .string, .raw: columns.append(.elements(JSONElements(column)))
                default: return nil
                }
            }
        }
    }

    private mutating func writeRows(_ frame: DataFrame) {
        separated(frame.rows, "[", "]") { (self, row) in
            self.separated(frame.columns.count, "{", "}") { (self, index) in
                self.string(frame.names[index])
                self.append(":")
                switch frame.columns[index] {
                case .elements(let elements): elements.write(row, to: &self)
                case .values(let values): self.write(values[row])
                }
            }
        }
    }

    // MARK: Text

    mutating func append(_ text: String) { output.append(contentsOf: text.utf8) }

    mutating func string(_ text: String) {
        output.append(0x22)
        for byte in text.utf8 {
            switch byte {
            case 0x22: append("\\\"")
            case 0x5C: append("\\\\")
            case 0x0A: append("\\n")
            case 0x0D: append("\\r")
            case 0x09: append("\\t")
            case 0..<0x20, 0x7F: append("\\u00" + (byte < 0x10 ? "0" : "") + String(byte, radix: 16))
            default: output.append(byte)
            }
        }
        output.append(0x22)
    }

    private mutating func separated(_ count: Int, _ open: String, _ close: String, _ body: (inout Self, Int) -> Void) {
        append(open)
        for index in 0..<count {
            if index > 0 { output.append(0x2C) }
            body(&self, index)
        }
        append(close)
    }

    private static func description(of value: RValue, _ shared: [RShared]) -> String {
        switch value {
        case .closure(let closure):
            var names: [String] = []
            if case .cells(let formals) = closure.formals { names = RValue.cells(formals).names ?? [] }
            return "<function(\(names.joined(separator: ", ")))>"
        case .builtin(let name, _): return "<function \(String(decoding: name, as: UTF8.self))>"
        case .cells(let chain):
            if case .symbol(let name)? = chain.cells.first?.value { return "<call to \(name.text ?? "NA")>" }
            return "<call>"
        case .s4: return "<S4 \(value.classNames.first.map { "object of class \($0)" } ?? "object")>"
        case .globalEnvironment: return "<environment: R_GlobalEnv>"
        case .baseEnvironment: return "<environment: base>"
        case .emptyEnvironment: return "<environment: R_EmptyEnv>"
        case .baseNamespace: return "<environment: namespace:base>"
        case .shared(let reference):
            guard shared.indices.contains(reference.index) else { return "<environment>" }
            switch shared[reference.index] {
            case .environment: return "<environment>"
            case .externalPointer: return "<pointer>"
            case .weakReference: return "<weak reference>"
            case .namespace(let names): return "<environment: namespace:\(names.first?.text ?? "")>"
            case .package(let names): return "<environment: \(names.first?.text ?? "")>"
            case .persistentName(let names): return "<persistent name \(names.first?.text ?? "")>"
            }
        case .promise: return "<promise>"
        case .byteCode: return "<byte-code>"
        case .missingArgument: return "<missing argument>"
        case .unboundValue: return "<unbound value>"
        default: return "<\(value.typeName)>"
        }
    }
}
