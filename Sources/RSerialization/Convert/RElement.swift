/// A Swift type that elements of R vectors convert to.
public protocol RElement: Sendable {
    /// The elements of a vector; nil is NA.
    /// - Throws: `typeMismatch` or `outOfRange`.
    static func elements(of value: RValue) throws(RSerializationError) -> [Self?]
}

extension RValue {
    /// All elements, nil for NA. Names and other attributes are left aside; a factor's elements are its strings, or its codes.
    /// - Throws: `typeMismatch` or `outOfRange`.
    public func optionals<Element: RElement>(of type: Element.Type = Element.self) throws(RSerializationError) -> [Element?] {
        try Element.elements(of: self)
    }

    /// All elements.
    /// - Throws: `missingValue` when one is NA; `typeMismatch` or `outOfRange`.
    public func array<Element: RElement>(of type: Element.Type = Element.self) throws(RSerializationError) -> [Element] {
        var array: [Element] = []
        for (index, element) in try Element.elements(of: self).enumerated() {
            guard let element else { throw RSerializationError(.missingValue, "element \(index + 1) of \(typeName) is NA") }
            array.append(element)
        }
        return array
    }

    /// The only element.
    /// - Throws: `typeMismatch` when there are more or none; `missingValue` for NA; `outOfRange`.
    public func scalar<Element: RElement>(_ type: Element.Type = Element.self) throws(RSerializationError) -> Element {
        guard let scalar = try optionalScalar(type) else { throw RSerializationError(.missingValue, "\(typeName) is NA") }
        return scalar
    }

    /// The only element, nil for NA.
    public func optionalScalar<Element: RElement>(_ type: Element.Type = Element.self) throws(RSerializationError) -> Element? {
        let elements = try Element.elements(of: self)
        guard elements.count == 1 else {
            throw RSerializationError(.typeMismatch, "\(typeName) of \(elements.count) elements where one is needed")
        }
        return elements[0]
    }

    fileprivate func mismatch(_ wanted: String) -> RSerializationError {
        RSerializationError(.typeMismatch, "\(typeName) where \(wanted) is needed")
    }
}

extension Bool: RElement {
    public static func elements(of value: RValue) throws(RSerializationError) -> [Bool?] {
        guard case .logical(let vector) = value else { throw value.mismatch("a logical vector") }
        return vector.elements.map { $0 == RNumbers.naInteger ? nil : $0 != 0 }
    }
}

extension Double: RElement {
    public static func elements(of value: RValue) throws(RSerializationError) -> [Double?] {
        switch value {
        case .double(let vector): return vector.elements.map { RNumbers.isNA($0) ? nil : $0 }
        case .integer(let vector): return vector.elements.map { $0 == RNumbers.naInteger ? nil : Double($0) }
        default: throw value.mismatch("a numeric vector")
        }
    }
}

extension Int: RElement {
    public static func elements(of value: RValue) throws(RSerializationError) -> [Int?] {
        switch value {
        case .integer(let vector): return vector.elements.map { $0 == RNumbers.naInteger ? nil : Int($0) }
        case .double(let vector):
            var elements: [Int?] = []
            for element in vector.elements {
                if RNumbers.isNA(element) {
                    elements.append(nil)
                } else if let integer = element.exactInteger {
                    elements.append(integer)
                } else {
                    throw RSerializationError(.outOfRange, "\(RNumbers.text(element)) is no whole number")
                }
            }
            return elements
        default: throw value.mismatch("an integer vector")
        }
    }
}

extension Int32: RElement {
    public static func elements(of value: RValue) throws(RSerializationError) -> [Int32?] { try narrowed(value) }
}

extension UInt8: RElement {
    public static func elements(of value: RValue) throws(RSerializationError) -> [UInt8?] {
        if case .raw(let vector) = value { return vector.elements }
        return try narrowed(value)
    }
}

extension FixedWidthInteger {
    /// Integers of any size, by way of `Int`.
    static func narrowed(_ value: RValue) throws(RSerializationError) -> [Self?] {
        var elements: [Self?] = []
        for element in try Int.elements(of: value) {
            guard let element else {
                elements.append(nil)
                continue
            }
            guard let narrow = Self(exactly: element) else {
                throw RSerializationError(.outOfRange, "\(element) does not fit \(Self.bitWidth) bits")
            }
            elements.append(narrow)
        }
        return elements
    }
}

extension String: RElement {
    public static func elements(of value: RValue) throws(RSerializationError) -> [String?] {
        switch value {
        case .string(let vector): return vector.elements.map(\.text)
        case .symbol(let name): return [name.text]
        case .integer(let vector):
            guard let levels = value.levels else { break }
            return vector.elements.map { $0 > 0 && Int($0) <= levels.count ? levels[Int($0) - 1] : nil }
        default: break
        }
        throw value.mismatch("a character vector")
    }
}
