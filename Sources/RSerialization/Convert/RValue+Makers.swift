/// R objects from Swift values. `nil` is NA.
extension RValue {
    public static func integers(_ values: [Int32?]) -> RValue { .integer(RVector(values.map { $0 ?? RNumbers.naInteger })) }
    public static func integers(_ values: [Int32]) -> RValue { .integer(RVector(values)) }
    public static func doubles(_ values: [Double?]) -> RValue { .double(RVector(values.map { $0 ?? RNumbers.naDouble })) }
    public static func doubles(_ values: [Double]) -> RValue { .double(RVector(values)) }
    public static func strings(_ values: [String?]) -> RValue { .string(RVector(values.map { $0.map { .text($0) } ?? .na })) }
    public static func logicals(_ values: [Bool?]) -> RValue {
        .logical(RVector(values.map { $0.map { $0 ? 1 : 0 } ?? RNumbers.naInteger }))
    }
    public static func raw(_ bytes: [UInt8]) -> RValue { .raw(RVector(bytes)) }
    public static func list(_ values: [RValue]) -> RValue { .list(RVector(values)) }

    /// A list with names.
    public static func list(named elements: [(name: String, value: RValue)]) -> RValue {
        .list(RVector(elements.map(\.value), meta: RMeta([RAttribute("names", .strings(elements.map(\.name)))])))
    }

    /// A factor.
    /// - Throws: `outOfRange` when a value is none of the levels.
    public static func factor(_ values: [String?], levels: [String]) throws(RSerializationError) -> RValue {
        var codes: [String: Int32] = [:]
        for (index, level) in levels.enumerated() { codes[level] = Int32(truncatingIfNeeded: index + 1) }
        var elements: [Int32] = []
        for value in values {
            guard let value else {
                elements.append(RNumbers.naInteger)
                continue
            }
            guard let code = codes[value] else { throw RSerializationError(.outOfRange, "\"\(value)\" is no level of the factor") }
            elements.append(code)
        }
        let meta = RMeta([RAttribute("levels", .strings(levels)), RAttribute("class", .strings(["factor"]))])
        return .integer(RVector(elements, meta: meta))
    }

    /// A data frame with automatic row names.
    /// - Throws: `outOfRange` when the columns differ in length.
    public static func dataFrame(_ columns: [(name: String, value: RValue)]) throws(RSerializationError) -> RValue {
        let rows = columns.first?.value.count ?? 0
        for column in columns where column.value.count != rows {
            throw RSerializationError(.outOfRange, "column \"\(column.name)\" has \(column.value.count) rows, the first has \(rows)")
        }
        // R's short form of 1, 2, …, n.
        let rowNames = RValue.integers([RNumbers.naInteger, Int32(truncatingIfNeeded: -rows)])
        let meta = RMeta([
            RAttribute("names", .strings(columns.map(\.name))), RAttribute("class", .strings(["data.frame"])),
            RAttribute("row.names", rowNames),
        ])
        return .list(RVector(columns.map(\.value), meta: meta))
    }
}
