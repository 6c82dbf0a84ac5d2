/// One element of a character vector, or the name of a symbol.
public enum RString: Sendable, Hashable, ExpressibleByStringLiteral {
    /// `NA_character_`.
    case na
    /// ASCII, or marked as UTF-8.
    case text(String)
    /// Everything else, as R has it: latin-1, bytes without meaning, unmarked strings in the writer's native encoding.
    case bytes([UInt8], Encoding)

    public enum Encoding: Sendable, Hashable {
        /// Not marked: the native encoding of the session that wrote it.
        case native
        /// Marked as UTF-8, yet not valid.
        case utf8
        case latin1
        /// Marked as bytes.
        case bytes
    }

    public init(stringLiteral text: String) { self = .text(text) }

    /// The text; nil for NA. Unmarked strings are taken for UTF-8, what is not valid is replaced, bytes appear as `\xff`, as in R.
    public var text: String? {
        switch self {
        case .na: return nil
        case .text(let text): return text
        case .bytes(let bytes, .latin1):
            var text = ""
            for byte in bytes { text.unicodeScalars.append(Unicode.Scalar(byte)) }
            return text
        case .bytes(let bytes, .bytes):
            return bytes.map { byte in
                byte < 0x80 ? String(Unicode.Scalar(byte)) : "\\x" + String(byte, radix: 16)
            }.joined()
        case .bytes(let bytes, _): return String(decoding: bytes, as: UTF8.self)
        }
    }

    // MARK: Bytes

    /// - Parameter content: nil for NA.
    init(levels: UInt16, content: UnsafeRawBufferPointer?) {
        guard let content = unsafe content else {
            self = .na
            return
        }
        let isASCII = unsafe content.allSatisfy { $0 < 0x80 }
        if levels & (REncoding.bytesLevel | REncoding.latin1Level) == 0, isASCII || levels & REncoding.utf8Level != 0,
            let text = unsafe String(validating: content, as: UTF8.self)
        {
            self = .text(text)
            return
        }
        let encoding: Encoding =
            levels & REncoding.bytesLevel != 0
            ? .bytes : levels & REncoding.latin1Level != 0 ? .latin1 : levels & REncoding.utf8Level != 0 ? .utf8 : .native
        self = unsafe .bytes(Array(content), encoding)
    }

    /// Appends the string item.
    func write(to output: inout [UInt8]) throws(RSerializationError) {
        switch self {
        case .na: output.append(words: UInt32(TypeCode.char), UInt32.max)
        case .text(let text):
            let utf8 = text.utf8
            let isASCII = utf8.allSatisfy { $0 < 0x80 }
            try Self.write(utf8, isASCII ? REncoding.asciiLevel : REncoding.utf8Level, to: &output)
        case .bytes(let bytes, let encoding):
            var levels: UInt16 =
                switch encoding {
                case .native: 0
                case .utf8: REncoding.utf8Level
                case .latin1: REncoding.latin1Level
                case .bytes: REncoding.bytesLevel
                }
            if encoding != .bytes, bytes.allSatisfy({ $0 < 0x80 }) { levels = REncoding.asciiLevel }
            try Self.write(bytes, levels, to: &output)
        }
    }

    private static func write(
        _ bytes: some Collection<UInt8>, _ levels: UInt16, to output: inout [UInt8]
    ) throws(RSerializationError) {
        guard let count = Int32(exactly: bytes.count) else { throw RSerializationError(.tooLarge, "a string of more than 2 GiB") }
        output.append(words: Flags(TypeCode.char, levels: levels).word, UInt32(count))
        output.append(contentsOf: bytes)
    }
}
