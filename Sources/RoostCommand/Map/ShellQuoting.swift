/// How an input is written into a command line so that a POSIX shell reads back exactly its bytes.
///
/// The form is the one GNU parallel prints: letters, digits and `_ - + . /` stand bare, everything else goes
/// into single quotes, a single quote itself into double ones: `it's` → `'it'"'"'s'`.
package enum ShellQuoting {
    /// Whether `byte` may stand bare in an input.
    static func isBare(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "+"),
            UInt8(ascii: "."), UInt8(ascii: "/"):
            true
        default:
            false
        }
    }

    /// Appends `value`, quoted, to `line`. Quotes are opened only where a byte that needs them follows, so
    /// that no empty pair is left before or after a single quote at either end.
    package static func append(_ value: some Collection<UInt8>, to line: inout [UInt8]) {
        if value.isEmpty {
            line.append(contentsOf: [singleQuote, singleQuote])
            return
        }
        if value.allSatisfy(isBare) {
            line.append(contentsOf: value)
            return
        }
        // Between two adjacent single quotes GNU parallel leaves the empty pair standing, at the ends it
        // does not; being equal to it byte for byte makes logs comparable.
        var position = value.startIndex
        if value.first != singleQuote { line.append(singleQuote) }
        while position != value.endIndex {
            let byte = value[position]
            let next = value.index(after: position)
            if byte == singleQuote {
                if position != value.startIndex { line.append(singleQuote) }
                line.append(contentsOf: [doubleQuote, singleQuote, doubleQuote])
                if next != value.endIndex { line.append(singleQuote) }
            } else {
                line.append(byte)
                if next == value.endIndex { line.append(singleQuote) }
            }
            position = next
        }
    }

    package static func quoted(_ value: some Collection<UInt8>) -> [UInt8] {
        var line: [UInt8] = []
        append(value, to: &line)
        return line
    }

    private static let singleQuote = UInt8(ascii: "'")
    private static let doubleQuote = UInt8(ascii: "\"")
}
