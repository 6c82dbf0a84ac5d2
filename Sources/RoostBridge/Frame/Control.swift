package import RSerialization

/// The control of a frame from R: a named list of plain vectors.
///
/// A small vector X and the common data of a job may be among its elements; they are left as R wrote them.
package struct Control: Equatable, Sendable {
    private let names: [String?]
    private let values: [ControlValue]
    /// The streams of `X` and `common`, those that are there.
    package let objects: [[UInt8]]
    /// Whether R wants a short answer where there is little to say.
    let isBrief: Bool

    /// An empty control, for what has none.
    package init() { (names, values, objects, isBrief) = ([], [], [], false) }

    /// - Throws: what is wrong with the bytes; also that they are none of the brief requests.
    package init(bytes: [UInt8]) throws(RSerializationError) {
        guard BriefControl.isBrief(bytes) else {
            try self.init(stream: bytes)
            return
        }
        guard let brief = BriefControl.read(bytes) else { throw RSerializationError(.malformed, "no brief request", at: 0) }
        self.init(brief: brief)
    }

    private init(brief: [(name: String, value: ControlValue)]) {
        names = brief.map(\.name)
        values = brief.map(\.value)
        objects = []
        isBrief = true
    }

    /// - Throws: what is wrong with the bytes.
    package init(stream: [UInt8]) throws(RSerializationError) {
        isBrief = false
        let cut = try ControlItems(stream)
        objects = ["X", "common"].compactMap { name in
            cut[name].map { RItem.toStream($0, nativeEncoding: cut.nativeEncoding) }
        }
        names = cut.names
        values = cut.names.enumerated().map { $1 == "X" || $1 == "common" ? .other : ControlValue(cut.items[$0]) }
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
