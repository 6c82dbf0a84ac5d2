/// Makes R objects of `Encodable` Swift values.
///
/// Structs and dictionaries become named lists, arrays of numbers, strings or truth values become vectors, other arrays lists; nil is
/// NA in such a vector and `NULL` elsewhere. Integers beyond 32 bits become doubles when those hold them exactly.
public struct RValueEncoder: Sendable {
    public init() {}

    /// - Throws: ``RSerializationError`` `outOfRange` for integers that R cannot hold; or what the value itself throws.
    public func encode(_ value: some Encodable) throws -> RValue { try ValueEncoder.encode(value, path: []) }
}

/// What a container has collected; shared with the containers nested in it, so a class.
private final class Node {
    enum Content {
        case nothing
        case value(RValue)
        case keyed([(name: String, node: Node)])
        case unkeyed([Node])
    }
    var content = Content.nothing

    init() {}
    init(_ value: RValue) { content = .value(value) }

    var value: RValue {
        switch content {
        case .nothing: .null
        case .value(let value): value
        case .keyed(let elements): .list(named: elements.map { ($0.name, $0.node.value) })
        case .unkeyed(let nodes): Self.simplified(nodes.map(\.value))
        }
    }

    /// Elements of length one and of one type as a vector; others as a list.
    private static func simplified(_ values: [RValue]) -> RValue {
        var doubles: [Double?] = []
        var integers: [Int32?] = []
        var strings: [String?] = []
        var logicals: [Bool?] = []
        for value in values {
            switch value {
            case .null:
                doubles.append(nil)
                integers.append(nil)
                strings.append(nil)
                logicals.append(nil)
            case .integer(let vector) where vector.elements.count == 1:
                integers.append(vector.elements[0])
                doubles.append(Double(vector.elements[0]))
            case .double(let vector) where vector.elements.count == 1: doubles.append(vector.elements[0])
            case .string(let vector) where vector.elements.count == 1: strings.append(vector.elements[0].text)
            case .logical(let vector) where vector.elements.count == 1: logicals.append(vector.elements[0] != 0)
            default: return .list(values)
            }
        }
        let count = values.count
        if count == 0 || values.allSatisfy({ if case .null = $0 { true } else { false } }) { return .list(values) }
        if integers.count == count { return .integers(integers) }
        if doubles.count == count { return .doubles(doubles) }
        if strings.count == count { return .strings(strings) }
        if logicals.count == count { return .logicals(logicals) }
        return .list(values)
    }
}

private struct ValueEncoder: Encoder {
    let node: Node
    var codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    static func encode<Value: Encodable>(_ value: Value, path: [any CodingKey]) throws -> RValue {
        if let vector = wholeVector(value) { return vector }
        guard path.count < RLimits().valueDepth else { throw RSerializationError(.tooDeep, "the value is nested too deeply") }
        let encoder = ValueEncoder(node: Node(), codingPath: path)
        try value.encode(to: encoder)
        return encoder.node.value
    }

    /// Arrays that are one vector in R, also when they are empty. An empty array converts to one of any type, so types are compared.
    private static func wholeVector<Value>(_ value: Value) -> RValue? {
        switch Value.self {
        case is [Double].Type: (value as? [Double]).map { .doubles($0) }
        case is [Int32].Type: (value as? [Int32]).map { .integers($0) }
        case is [String].Type: (value as? [String]).map { .strings($0) }
        case is [Bool].Type: (value as? [Bool]).map { .logicals($0) }
        case is [UInt8].Type: (value as? [UInt8]).map { .raw($0) }
        case is [Int].Type: (value as? [Int]).flatMap { $0.isEmpty ? .integers([] as [Int32]) : nil }
        default: nil
        }
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if case .keyed = node.content {} else { node.content = .keyed([]) }
        return KeyedEncodingContainer(KeyedNodes(node: node, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if case .unkeyed = node.content {} else { node.content = .unkeyed([]) }
        return UnkeyedNodes(node: node, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }
}

extension ValueEncoder: SingleValueEncodingContainer {
    mutating func encodeNil() { node.content = .value(.null) }
    mutating func encode(_ value: Bool) { node.content = .value(.logicals([value])) }
    mutating func encode(_ value: String) { node.content = .value(.strings([value])) }
    mutating func encode(_ value: Double) { node.content = .value(.doubles([value])) }
    mutating func encode(_ value: Float) { node.content = .value(.doubles([Double(value)])) }
    mutating func encode(_ value: Int) throws { try encodeInteger(value) }
    mutating func encode(_ value: Int8) throws { try encodeInteger(value) }
    mutating func encode(_ value: Int16) throws { try encodeInteger(value) }
    mutating func encode(_ value: Int32) throws { try encodeInteger(value) }
    mutating func encode(_ value: Int64) throws { try encodeInteger(value) }
    mutating func encode(_ value: UInt) throws { try encodeInteger(value) }
    mutating func encode(_ value: UInt8) throws { try encodeInteger(value) }
    mutating func encode(_ value: UInt16) throws { try encodeInteger(value) }
    mutating func encode(_ value: UInt32) throws { try encodeInteger(value) }
    mutating func encode(_ value: UInt64) throws { try encodeInteger(value) }
    mutating func encode<Value: Encodable>(_ value: Value) throws {
        node.content = .value(try Self.encode(value, path: codingPath))
    }

    private func encodeInteger(_ value: some FixedWidthInteger) throws {
        if let narrow = Int32(exactly: value), narrow != RNumbers.naInteger {
            node.content = .value(.integers([narrow]))
        } else if let wide = Int(exactly: value), wide.magnitude <= 1 << 53 as UInt {
            node.content = .value(.doubles([Double(wide)]))
        } else {
            throw RSerializationError(.outOfRange, "R has no number that is exactly \(value)")
        }
    }
}

private struct KeyedNodes<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: Node
    var codingPath: [any CodingKey]

    private func append(_ key: some CodingKey, _ inner: Node) {
        guard case .keyed(var elements) = node.content else { return }
        node.content = .nothing
        elements.append((key.stringValue, inner))
        node.content = .keyed(elements)
    }

    mutating func encodeNil(forKey key: Key) { append(key, Node(.null)) }
    mutating func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        append(key, Node(try ValueEncoder.encode(value, path: codingPath + [key])))
    }
    mutating func nestedContainer<Inner: CodingKey>(keyedBy type: Inner.Type, forKey key: Key) -> KeyedEncodingContainer<Inner> {
        inner(key).container(keyedBy: type)
    }
    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { inner(key).unkeyedContainer() }
    mutating func superEncoder() -> any Encoder { inner(Position(stringValue: "super")) }
    mutating func superEncoder(forKey key: Key) -> any Encoder { inner(key) }

    private func inner(_ key: some CodingKey) -> ValueEncoder {
        let inner = Node()
        append(key, inner)
        return ValueEncoder(node: inner, codingPath: codingPath + [key])
    }
}

private struct UnkeyedNodes: UnkeyedEncodingContainer {
    let node: Node
    var codingPath: [any CodingKey]

    var count: Int { if case .unkeyed(let nodes) = node.content { nodes.count } else { 0 } }

    private func append(_ inner: Node) {
        guard case .unkeyed(var nodes) = node.content else { return }
        node.content = .nothing
        nodes.append(inner)
        node.content = .unkeyed(nodes)
    }

    mutating func encodeNil() { append(Node(.null)) }
    mutating func encode<Value: Encodable>(_ value: Value) throws {
        append(Node(try ValueEncoder.encode(value, path: codingPath + [Position(intValue: count)])))
    }
    mutating func nestedContainer<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        inner().container(keyedBy: type)
    }
    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { inner().unkeyedContainer() }
    mutating func superEncoder() -> any Encoder { inner() }

    private func inner() -> ValueEncoder {
        let inner = Node()
        append(inner)
        return ValueEncoder(node: inner, codingPath: codingPath + [Position(intValue: count - 1)])
    }
}
