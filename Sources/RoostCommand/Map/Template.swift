import RoostModel

/// Text with replacement strings in it, cut into its pieces once: a word of a command, a `--tagstring`, a
/// `--results` path.
package struct Template: Hashable, Sendable {
    package enum Piece: Hashable, Sendable {
        case literal([UInt8])
        case replacement(ReplacementString)
    }

    package private(set) var pieces: [Piece]

    package init(pieces: [Piece]) { self.pieces = pieces }

    /// - Parameter placeholder: what stands for the whole input (`-I`); nil for `{}`.
    package init(_ text: [UInt8], placeholder: [UInt8]? = nil) {
        pieces = []
        let brace = UInt8(ascii: "{")
        var literal: [UInt8] = []
        var index = 0
        while index < text.count {
            var found: (ReplacementString, end: Int)?
            if text[index] == brace {
                found = ReplacementString.parse(text[index...], allowsWholePositions: placeholder == nil)
                // With -I, {} itself is plain text.
                if placeholder != nil, let (replacement, _) = found, replacement.position == nil,
                    replacement.content == .value(.whole)
                {
                    found = nil
                }
            }
            if found == nil, let placeholder, !placeholder.isEmpty, text[index...].starts(with: placeholder) {
                found = (ReplacementString(content: .value(.whole)), index + placeholder.count)
            }
            if let (replacement, end) = found {
                if !literal.isEmpty { pieces.append(.literal(literal)) }
                literal = []
                pieces.append(.replacement(replacement))
                index = end
            } else {
                literal.append(text[index])
                index += 1
            }
        }
        if !literal.isEmpty { pieces.append(.literal(literal)) }
    }

    package var hasReplacements: Bool {
        pieces.contains { if case .replacement = $0 { true } else { false } }
    }

    /// The text with the inputs put in as they are, several of them joined by spaces.
    package func raw(values: [[UInt8]], sequence: Int) -> [UInt8] {
        var text: [UInt8] = []
        for piece in pieces {
            switch piece {
            case .literal(let bytes): text.append(contentsOf: bytes)
            case .replacement(let replacement):
                switch replacement.content {
                case .sequence: text.append(decimal: sequence)
                case .slot: text.append(contentsOf: CommandArgument.slotMarker)
                case .value(let part):
                    var isFirst = true
                    for value in replacement.selection(in: values) {
                        if !isFirst { text.append(UInt8(ascii: " ")) }
                        isFirst = false
                        part.with(value) { text.append(contentsOf: $0) }
                    }
                }
            }
        }
        return text
    }
}

extension [UInt8] {
    /// Appends the decimal digits of `number`, without making a string of it.
    mutating func append(decimal number: Int) {
        if number < 0 { append(UInt8(ascii: "-")) }
        var rest = number.magnitude
        let start = count
        repeat {
            append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        self[start...].reverse()
    }

    package init(_ text: String) { self = Array(text.utf8) }
}
