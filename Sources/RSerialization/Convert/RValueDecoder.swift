/// Makes `Decodable` Swift values of R objects.
///
/// Named lists and vectors become keyed containers, others unkeyed ones, vectors of length one single values; a data frame is an
/// array of its rows, or, asked for keys, its columns. NA and `NULL` are nil for optionals and an error for all else.
public struct RValueDecoder: Sendable {
    public init() {}

    /// - Throws: ``RSerializationError``, its message says where in the object; or what the type itself throws.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self, from value: RValue) throws -> Value {
        try ValueDecoder(value: value, codingPath: []).decode(type)
    }
}

private struct ValueDecoder: Decoder {
    var value: RValue
    var codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        // Whole vectors at once; other arrays element by element.
        if let elementType = type as? any RVectorDecodable.Type, let vector = try vector(elementType),
            let decoded = vector as? Value
        {
            return decoded
        }
        guard codingPath.count < RLimits().valueDepth else {
            throw RSerializationError(.tooDeep, "the type asked for is nested too deeply")
        }
        return try Value(from: self)
    }

    private func vector(_ type: any RVectorDecodable.Type) throws(RSerializationError) -> Any? {
        try located { () throws(RSerializationError) in try type.vector(of: value) }
    }

    func located<Result>(_ body: () throws(RSerializationError) -> Result) throws(RSerializationError) -> Result {
        do throws(RSerializationError) { return try body() } catch {
            guard !codingPath.isEmpty else { throw error }
            let path = codingPath.map { key in key.intValue.map { "[[\($0 + 1)]]" } ?? "$\(key.stringValue)" }.joined()
            throw RSerializationError(error.code, "\(error.message), at \(path)", at: error.offset)
        }
    }

    var isNil: Bool {
        switch value {
        case .null: true
        case .logical(let vector), .integer(let vector): vector.elements == [RNumbers.naInteger]
        case .double(let vector): vector.elements.count == 1 && RNumbers.isNA(vector.elements[0])
        case .string(let vector): vector.elements == [.na]
        default: false
        }
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        let elements = try located { () throws(RSerializationError) in try value.dictionary() }
        return KeyedDecodingContainer(KeyedValues(decoder: self, elements: elements))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { UnkeyedValues(decoder: self) }
    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }
}

extension ValueDecoder: SingleValueDecodingContainer {
    func decodeNil() -> Bool { isNil }
    func decode(_ type: Bool.Type) throws -> Bool { try scalar() }
    func decode(_ type: String.Type) throws -> String { try scalar() }
    func decode(_ type: Double.Type) throws -> Double { try scalar() }
    func decode(_ type: Float.Type) throws -> Float { Float(try scalar(Double.self)) }
    func decode(_ type: Int.Type) throws -> Int { try scalar() }
    func decode(_ type: Int8.Type) throws -> Int8 { try integer() }
    func decode(_ type: Int16.Type) throws -> Int16 { try integer() }
    func decode(_ type: Int32.Type) throws -> Int32 { try integer() }
    func decode(_ type: Int64.Type) throws -> Int64 { try integer() }
    func decode(_ type: UInt.Type) throws -> UInt { try integer() }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try scalar() }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try integer() }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try integer() }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try integer() }

    private func scalar<Element: RElement>(_ type: Element.Type = Element.self) throws -> Element {
        try located { () throws(RSerializationError) in try value.scalar(type) }
    }

    private func integer<Integer: FixedWidthInteger>() throws -> Integer {
        let wide: Int = try scalar()
        guard let integer = Integer(exactly: wide) else {
            throw try located { () throws(RSerializationError) in
                RSerializationError(.outOfRange, "\(wide) does not fit \(Integer.bitWidth) bits")
            }
        }
        return integer
    }
}

private struct KeyedValues<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let decoder: ValueDecoder
    let elements: [String: RValue]

    var codingPath: [any CodingKey] { decoder.codingPath }
    var allKeys: [Key] { elements.keys.sorted().compactMap { Key(stringValue: $0) } }

    private func inner(_ key: some CodingKey) throws -> ValueDecoder {
        guard let value = elements[key.stringValue] else {
            throw try decoder.located { () throws(RSerializationError) -> RSerializationError in
                throw RSerializationError(.missingKey, "\(decoder.value.typeName) has no element \"\(key.stringValue)\"")
            }
        }
        return ValueDecoder(value: value, codingPath: codingPath + [key])
    }

    func contains(_ key: Key) -> Bool { elements[key.stringValue] != nil }
    func decodeNil(forKey key: Key) throws -> Bool { try inner(key).isNil }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value { try inner(key).decode(type) }
    func nestedContainer<Inner: CodingKey>(keyedBy type: Inner.Type, forKey key: Key) throws -> KeyedDecodingContainer<Inner> {
        try inner(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { try inner(key).unkeyedContainer() }
    func superDecoder() throws -> any Decoder { try inner(Position(stringValue: "super")) }
    func superDecoder(forKey key: Key) throws -> any Decoder { try inner(key) }
}

private struct UnkeyedValues: UnkeyedDecodingContainer {
    let decoder: ValueDecoder
    /// The columns when the elements are the rows of a data frame.
    private let columns: [(name: String, value: RValue)]?
    private let total: Int
    private(set) var currentIndex = 0

    init(decoder: ValueDecoder) {
        self.decoder = decoder
        let columns: [(name: String, value: RValue)]?
        do throws(RSerializationError) { columns = try decoder.value.columns() } catch { columns = nil }
        self.columns = columns
        total = columns.map { $0.first?.value.count ?? 0 } ?? decoder.value.count
    }

    var codingPath: [any CodingKey] { decoder.codingPath }
    var count: Int? { total }
    var isAtEnd: Bool { currentIndex >= total }

    private func current() throws -> ValueDecoder {
        let value: RValue?
        if let columns {
            value = .list(named: columns.map { ($0.name, $0.value.element(currentIndex) ?? .null) })
        } else {
            value = decoder.value.element(currentIndex)
        }
        guard !isAtEnd, let value else {
            throw RSerializationError(.missingKey, "\(decoder.value.typeName) has \(total) elements only")
        }
        return ValueDecoder(value: value, codingPath: codingPath + [Position(intValue: currentIndex)])
    }

    mutating func decodeNil() throws -> Bool {
        guard try current().isNil else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        let value = try current().decode(type)
        currentIndex += 1
        return value
    }

    mutating func nestedContainer<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        let container = try current().container(keyedBy: type)
        currentIndex += 1
        return container
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        let container = try current().unkeyedContainer()
        currentIndex += 1
        return container
    }

    mutating func superDecoder() throws -> any Decoder {
        let inner = try current()
        currentIndex += 1
        return inner
    }
}

/// A place in a list, or a name that no type declares.
struct Position: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(stringValue: String) {
        self.stringValue = stringValue
        intValue = nil
    }

    init(intValue: Int) {
        stringValue = String(intValue)
        self.intValue = intValue
    }
}

/// Arrays that are one vector in R.
private protocol RVectorDecodable {
    /// The elements of a vector; nil when they are to be decoded one by one.
    static func vector(of value: RValue) throws(RSerializationError) -> Self?
}

extension Array: RVectorDecodable where Element: RElement {
    static func vector(of value: RValue) throws(RSerializationError) -> [Element]? {
        switch value {
        case .list, .expression, .cells, .null: nil
        default: try value.array(of: Element.self)
        }
    }
}
