import _StringProcessing

/// `--colsep`: cuts one input into columns at a regular expression.
///
/// Inputs are bytes and the engine wants text, so each byte is shown to it as the character of the same number
/// (Latin-1) and turned back afterwards: nothing is lost, whatever the encoding. A separator without
/// metacharacters, the usual case, is looked for as bytes.
struct ColumnSeparator {
    private enum Form {
        case literal([UInt8])
        case regex(Regex<AnyRegexOutput>)
    }

    private let form: Form

    init(_ pattern: String) throws(MapError) {
        if let literal = Self.literal(pattern) {
            form = .literal(literal)
            return
        }
        do {
            let shown = String(String.UnicodeScalarView(pattern.utf8.map { Unicode.Scalar($0) }))
            form = .regex(try Regex(shown).matchingSemantics(.unicodeScalar))
        } catch {
            throw .usage(
                "--colsep", "'\(pattern)' is not a regular expression that can be used here (\(error))",
                remedy: "put a backslash before characters that mean themselves, as in --colsep '\\|'")
        }
    }

    /// The columns of `input`, each without blanks at its ends, as GNU parallel gives them. Columns that are
    /// empty stay, also at the end.
    func columns(of input: [UInt8]) -> [[UInt8]] {
        switch form {
        case .literal(let separator):
            if separator.isEmpty { return input.isEmpty ? [[]] : input.map { Self.trimmed([$0]) } }
            var columns: [[UInt8]] = []
            var rest = input[...]
            while let range = rest.firstRange(of: separator) {
                columns.append(Self.trimmed(rest[..<range.lowerBound]))
                rest = rest[range.upperBound...]
            }
            columns.append(Self.trimmed(rest))
            return columns
        case .regex(let regex):
            let shown = String(String.UnicodeScalarView(input.map { Unicode.Scalar($0) }))
            var columns: [[UInt8]] = []
            var start = shown.startIndex
            for match in shown.matches(of: regex) {
                // An empty match at the very start or end cuts nothing off.
                if match.range.isEmpty, match.range.lowerBound == start || match.range.lowerBound == shown.endIndex {
                    continue
                }
                columns.append(Self.bytes(shown[start..<match.range.lowerBound]))
                start = match.range.upperBound
            }
            columns.append(Self.bytes(shown[start...]))
            return columns
        }
    }

    private static func bytes(_ shown: Substring) -> [UInt8] {
        trimmed(shown.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) })
    }

    private static func trimmed(_ column: some BidirectionalCollection<UInt8>) -> [UInt8] {
        let start = column.firstIndex { !isBlank($0) } ?? column.endIndex
        let end = column[start...].lastIndex { !isBlank($0) }.map { column.index(after: $0) } ?? start
        return Array(column[start..<end])
    }

    static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || (9...13).contains(byte) }

    /// The bytes that `pattern` means when it is plain text, or plain text and simple escapes.
    private static func literal(_ pattern: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var isEscaped = false
        for byte in pattern.utf8 {
            if isEscaped {
                switch byte {
                case UInt8(ascii: "t"): bytes.append(9)
                case UInt8(ascii: "n"): bytes.append(10)
                case UInt8(ascii: "r"): bytes.append(13)
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    return nil
                default: bytes.append(byte)
                }
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if ".[]{}()*+?^$|".utf8.contains(byte) {
                return nil
            } else {
                bytes.append(byte)
            }
        }
        return isEscaped ? nil : bytes
    }
}
