package import RSerialization

/// The control of a frame from R: a named list of plain vectors.
///
/// A small vector X and the common data of a job may be among its elements; they are left as R wrote them.
package struct Control: Equatable, Sendable {
    private let names: [String?]
    private let values: [ControlValue]
    /// The streams of `X` and `common`, those that are there.
    package let objects: [[UInt8]]

    /// An empty control, for what has none.
    package init() { (names, values, objects) = ([], [], []) }

    /// - Throws: what is wrong with the bytes.
    package init(stream: [UInt8]) throws(RSerializationError) {
        // The cutter expands the compact forms that R writes for 1:10 and as.character(x).
        var cutter = try RCutter(stream)
        let items = try cutter.cut()
        var names = [String?](repeating: nil, count: items.count)
        if let item = cutter.names, case .strings(let found) = ControlValue(item[...]), found.count == items.count { names = found }
        objects = ["X", "common"].compactMap { name in
            names.firstIndex(of: name).map { RItem.toStream(items[$0], nativeEncoding: cutter.nativeEncoding) }
        }
        values = names.indices.map { names[$0] == "X" || names[$0] == "common" ? .other : ControlValue(items[$0]) }
        self.names = names
    }

    package subscript(_ name: String) -> ControlValue {
        names.firstIndex(of: name).map { values[$0] } ?? .null
    }

    // MARK: Scalars, with R's usual freedom between integer and double

    package func text(_ name: String) -> String? {
        guard case .strings(let texts) = self[name], texts.count == 1 else { return nil }
        return texts[0]
    }

    package func texts(_ name: String) -> [String]? {
        guard case .strings(let texts) = self[name] else { return nil }
        return texts.compactMap { $0 }
    }

    package func number(_ name: String) -> Double? { numbers(name).flatMap { $0.count == 1 ? $0[0] : nil } }

    package func numbers(_ name: String) -> [Double]? {
        switch self[name] {
        case .doubles(let numbers): numbers
        case .integers(let numbers): numbers.map { $0.map(Double.init) ?? .nan }
        case .null, .logicals, .strings, .raw, .other: nil
        }
    }

    package func integers(_ name: String) -> [Int32]? {
        switch self[name] {
        case .integers(let numbers): numbers.map { $0 ?? .min }
        case .doubles(let numbers): numbers.map { Int32(exactly: $0) ?? .min }
        case .null, .logicals, .strings, .raw, .other: nil
        }
    }

    package func flag(_ name: String) -> Bool? {
        guard case .logicals(let flags) = self[name], flags.count == 1 else { return nil }
        return flags[0]
    }

    /// Whether the element is there and not NULL.
    package func has(_ name: String) -> Bool { self[name] != .null }
}
