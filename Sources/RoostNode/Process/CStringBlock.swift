/// An ordered list of C strings in one piece of memory: `first\0second\0third\0`.
///
/// Arguments and environments are bytes, not text: a file name in Latin-1 must reach the program unharmed, and
/// `[String]` would repair it. One block is also one allocation, and it needs no copy to become an argv.
package struct CStringBlock: Hashable, Sendable, ExpressibleByArrayLiteral {
    /// The strings, each with its NUL.
    package private(set) var bytes: [UInt8] = []
    /// How many strings there are.
    package private(set) var count = 0
    /// Whether a string with a NUL inside was appended: such a block cannot be handed to a program.
    package private(set) var hasInnerNul = false

    package init() {}

    package init(_ strings: some Sequence<String>) { for string in strings { append(string) } }

    package init(arrayLiteral elements: String...) { self.init(elements) }

    /// A block that came over the wire; nil when the last string has no NUL.
    package init?(nulTerminated bytes: [UInt8]) {
        if let last = bytes.last, last != 0 { return nil }
        self.bytes = bytes
        count = bytes.reduce(0) { $0 + ($1 == 0 ? 1 : 0) }
    }

    package var isEmpty: Bool { count == 0 }

    package mutating func append(_ string: String) { append(bytes: string.utf8) }

    package mutating func append(bytes string: some Collection<UInt8>) {
        let start = bytes.count
        bytes.append(contentsOf: string)
        if bytes[start...].contains(0) { hasInnerNul = true }
        bytes.append(0)
        count += 1
    }

    /// Appends all strings of `other`.
    package mutating func append(contentsOf other: CStringBlock) {
        bytes.append(contentsOf: other.bytes)
        count += other.count
        hasInnerNul = hasInnerNul || other.hasInnerNul
    }

    /// Every string, repaired where it is not UTF-8; for messages and tests.
    package var strings: [String] {
        bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast().map {
            String(decoding: $0, as: UTF8.self)
        }
    }
}
