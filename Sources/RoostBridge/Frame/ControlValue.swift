import RSerialization

/// One element of a control: a plain vector. Attributes of it are passed over.
package enum ControlValue: Equatable, Sendable {
    case null
    case logicals([Bool?])
    case integers([Int32?])
    case doubles([Double])
    case strings([String?])
    case raw([UInt8])
    /// Something else than a plain vector: nobody asks for such.
    case other

    package init(_ item: ArraySlice<UInt8>) {
        var reader = WordReader(item)
        guard let flags = reader.word() else {
            self = .other
            return
        }
        let type = flags & 0xFF
        if type == 254 {
            self = .null
            return
        }
        guard let count = reader.word(), let length = Int32(exactly: Int32(bitPattern: count)), length >= 0 else {
            self = .other
            return
        }
        switch type {
        case 10: self = reader.words(Int(length)).map { .logicals($0.map { $0 == .min ? nil : $0 != 0 }) } ?? .other
        case 13: self = reader.words(Int(length)).map { .integers($0.map { $0 == .min ? nil : $0 }) } ?? .other
        case 14: self = reader.doubles(Int(length)).map { .doubles($0) } ?? .other
        case 16: self = reader.strings(Int(length)).map { .strings($0) } ?? .other
        case 24: self = reader.bytes(Int(length)).map { .raw(Array($0)) } ?? .other
        default: self = .other
        }
    }

    /// Reads little-endian words; nil at the end.
    private struct WordReader {
        private var rest: ArraySlice<UInt8>

        init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

        mutating func bytes(_ count: Int) -> ArraySlice<UInt8>? {
            guard count <= rest.count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return rest.prefix(count)
        }

        mutating func word() -> UInt32? {
            bytes(4).map { $0.withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)) } }
        }

        mutating func words(_ count: Int) -> [Int32]? {
            guard count <= rest.count / 4 else { return nil }
            return (0..<count).compactMap { _ in word().map { Int32(bitPattern: $0) } }
        }

        mutating func doubles(_ count: Int) -> [Double]? {
            guard count <= rest.count / 8 else { return nil }
            return (0..<count).compactMap { _ in
                guard let low = word(), let high = word() else { return nil }
                return Double(bitPattern: UInt64(high) << 32 | UInt64(low))
            }
        }

        mutating func strings(_ count: Int) -> [String?]? {
            guard count <= rest.count / 8 else { return nil }
            var strings: [String?] = []
            strings.reserveCapacity(count)
            for _ in 0..<count {
                guard word() != nil, let length = word() else { return nil }
                if length == .max {
                    strings.append(nil)
                } else {
                    guard let text = bytes(Int(length)) else { return nil }
                    strings.append(String(decoding: text, as: UTF8.self))
                }
            }
            return strings
        }
    }
}
