/// A place in a command (or in `--tagstring`, `--results`) where something of the input is put.
package struct ReplacementString: Hashable, Sendable {
    /// What is put there.
    package enum Content: Hashable, Sendable {
        /// The input, changed by a path transformation.
        case value(PathPart)
        /// The task's sequence number, from 1: `{#}`.
        case sequence
        /// The number of the slot it runs in, from 1; known on the node only: `{%}`.
        case slot
    }

    /// Which input: 1 is the first, -1 the last; nil and 0 stand for all of them.
    package var position: Int?
    package var content: Content

    package init(position: Int? = nil, content: Content) {
        self.position = position
        self.content = content
    }

    /// Finds the replacement string that begins at `start`, where an opening brace stands, and where it ends.
    ///
    /// With `-I` GNU parallel leaves `{3}` alone, but not `{3.}`; so do we (`allowsWholePositions`).
    ///
    ///     {}  {.}  {/}  {//}  {/.}  {#}  {%}        {3}  {-1}  {3.}  {3/}  {3//}  {3/.}
    static func parse(_ text: ArraySlice<UInt8>, allowsWholePositions: Bool) -> (ReplacementString, end: Int)? {
        // The longest one is a sign, some digits, a part of two characters and the braces.
        guard text.first == UInt8(ascii: "{") else { return nil }
        var index = text.startIndex + 1
        var position: Int?
        var negative = false
        if index < text.endIndex, text[index] == UInt8(ascii: "-") {
            negative = true
            index += 1
        }
        while index < text.endIndex, let digit = decimal(text[index]) {
            let value = (position ?? 0) * 10 + digit
            if value > 1_000_000 { return nil }
            position = value
            index += 1
        }
        if negative && position == nil { return nil }
        guard let close = text[index...].prefix(3).firstIndex(of: UInt8(ascii: "}")) else { return nil }
        let content: Content
        switch String(decoding: text[index..<close], as: UTF8.self) {
        case "": content = .value(.whole)
        case ".": content = .value(.withoutExtension)
        case "/": content = .value(.name)
        case "//": content = .value(.directory)
        case "/.": content = .value(.nameWithoutExtension)
        case "#" where position == nil: content = .sequence
        case "%" where position == nil: content = .slot
        default: return nil
        }
        if position != nil, content == .value(.whole), !allowsWholePositions { return nil }
        return (ReplacementString(position: position.map { negative ? -$0 : $0 }, content: content), close + 1)
    }

    private static func decimal(_ byte: UInt8) -> Int? {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) ? Int(byte - UInt8(ascii: "0")) : nil
    }

    /// Which of `values` this one means; empty when there is no such input.
    func selection(in values: [[UInt8]]) -> ArraySlice<[UInt8]> {
        guard let position, position != 0 else { return values[...] }
        var index = position > 0 ? position - 1 : values.count + position
        // In GNU parallel a negative number may go round once more: {-3} of two inputs is the last.
        if index < 0 { index += values.count }
        return values.indices.contains(index) ? values[index...index] : []
    }
}
