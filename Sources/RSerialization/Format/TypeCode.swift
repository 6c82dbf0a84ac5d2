/// The numbers that R's serialization gives to types. Source: R's `serialize.c` and `Rinternals.h`.
enum TypeCode {
    static let symbol: UInt8 = 1
    static let pairlist: UInt8 = 2
    static let closure: UInt8 = 3
    static let environment: UInt8 = 4
    static let promise: UInt8 = 5
    static let language: UInt8 = 6
    static let special: UInt8 = 7
    static let builtin: UInt8 = 8
    static let char: UInt8 = 9
    static let logical: UInt8 = 10
    static let integer: UInt8 = 13
    static let double: UInt8 = 14
    static let complex: UInt8 = 15
    static let string: UInt8 = 16
    static let dots: UInt8 = 17
    static let list: UInt8 = 19
    static let expression: UInt8 = 20
    static let byteCode: UInt8 = 21
    static let externalPointer: UInt8 = 22
    static let weakReference: UInt8 = 23
    static let raw: UInt8 = 24
    static let s4: UInt8 = 25

    static let altrep: UInt8 = 238
    /// The four kinds of cells in byte-code's constants that are not items.
    static let attributedList: UInt8 = 239
    static let attributedLanguage: UInt8 = 240
    static let repeatReference: UInt8 = 243
    static let repeatDefinition: UInt8 = 244

    static let baseEnvironment: UInt8 = 241
    static let emptyEnvironment: UInt8 = 242
    static let persistentName: UInt8 = 247
    static let package: UInt8 = 248
    static let namespace: UInt8 = 249
    static let baseNamespace: UInt8 = 250
    static let missingArgument: UInt8 = 251
    static let unboundValue: UInt8 = 252
    static let globalEnvironment: UInt8 = 253
    static let null: UInt8 = 254
    static let reference: UInt8 = 255

    /// Bytes of one element of the vectors whose elements all have one size; 0 for every other type.
    @inline(__always) static func width(of type: UInt8) -> Int {
        switch type {
        case double: 8
        case integer, logical: 4
        case raw: 1
        case complex: 16
        default: 0
        }
    }
}

/// The first word of an item.
///
///     31      28 27                  12 11   10    9     8     7          0
///     [ unused  |  gp: levels, encoding |   | tag | attr | obj |   type     ]
///
/// A reference has its index above the type instead.
struct Flags: Equatable {
    var word: UInt32

    @inline(__always) init(_ word: UInt32) { self.word = word }

    init(_ type: UInt8, isObject: Bool = false, hasAttributes: Bool = false, hasTag: Bool = false, levels: UInt16 = 0) {
        word = UInt32(type) | (isObject ? Self.object : 0) | (hasAttributes ? Self.attributes : 0)
        word |= (hasTag ? Self.tag : 0) | UInt32(levels) << 12
    }

    static let object: UInt32 = 0x100
    static let attributes: UInt32 = 0x200
    static let tag: UInt32 = 0x400

    @inline(__always) var type: UInt8 { UInt8(truncatingIfNeeded: word) }
    @inline(__always) var isObject: Bool { word & Self.object != 0 }
    @inline(__always) var hasAttributes: Bool { word & Self.attributes != 0 }
    @inline(__always) var hasTag: Bool { word & Self.tag != 0 }
    var levels: UInt16 { UInt16(truncatingIfNeeded: word >> 12) }

    /// An index above this one does not fit beside the type and follows as a word of its own.
    static let mostPackedIndex = Int(Int32.max) >> 8
    /// The bit of ``levels`` that says S4.
    static let s4Level: UInt16 = 1 << 4
}
