/// Writes JSON in the order it is told, without building a tree.
///
/// Text is given as bytes or strings; bytes that are no UTF-8 become U+FFFD, because JSON has no other way.
package struct JSONWriter: Sendable {
    package private(set) var bytes: [UInt8] = []
    /// Whether a comma is due before the next element.
    private var needsComma = false

    package init() {}

    package mutating func beginObject() { open(UInt8(ascii: "{")) }
    package mutating func endObject() { close(UInt8(ascii: "}")) }
    package mutating func beginArray() { open(UInt8(ascii: "[")) }
    package mutating func endArray() { close(UInt8(ascii: "]")) }

    /// The name of the next value in an object.
    package mutating func key(_ name: String) {
        string(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    package mutating func string(_ text: String) { string(Array(text.utf8)) }

    package mutating func string(_ text: [UInt8]) {
        comma()
        bytes.append(UInt8(ascii: "\""))
        // Valid text, the usual case, passes byte by byte; repairing needs a decoder.
        let valid = isValidUTF8(text) ? text : Array(String(decoding: text, as: UTF8.self).utf8)
        for byte in valid {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(contentsOf: [UInt8(ascii: "\\"), byte])
            case 10: bytes.append(contentsOf: "\\n".utf8)
            case 13: bytes.append(contentsOf: "\\r".utf8)
            case 9: bytes.append(contentsOf: "\\t".utf8)
            case 0..<32, 127:
                bytes.append(contentsOf: "\\u00".utf8)
                for nibble in [byte >> 4, byte & 15] { bytes.append(Self.hex[Int(nibble)]) }
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    package mutating func number(_ value: Int) {
        comma()
        bytes.append(decimal: value)
    }

    /// A number that may be a fraction; what is not finite has no place in JSON and becomes null.
    package mutating func number(_ value: Double) {
        guard value.isFinite else { return null() }
        comma()
        bytes.append(contentsOf: "\(value)".utf8)
    }

    package mutating func bool(_ value: Bool) {
        comma()
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    package mutating func null() {
        comma()
        bytes.append(contentsOf: "null".utf8)
    }

    /// A value that is JSON text already.
    package mutating func raw(_ json: String) {
        comma()
        bytes.append(contentsOf: json.utf8)
    }

    /// Ends a line, for one object a line.
    package mutating func newline() {
        bytes.append(UInt8(ascii: "\n"))
        needsComma = false
    }

    private static let hex = Array("0123456789abcdef".utf8)

    private func isValidUTF8(_ text: [UInt8]) -> Bool {
        text.allSatisfy { $0 < 128 } || String(validating: text, as: UTF8.self) != nil
    }

    private mutating func comma() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func open(_ bracket: UInt8) {
        comma()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }
}
