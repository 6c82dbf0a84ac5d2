import RoostModel

/// The command of `roost map`: words with replacement strings, from which the command of each task is composed.
///
/// What can be decided once is decided once: whether `{}` has to be added, and whether the command is a program
/// with plain words, which needs no shell. Quoted inputs never make a shell necessary, so then each task's
/// arguments are built from the template's words and the inputs as they are:
///
///     convert -size 10 {} {.}.png     →  words ["convert"] ["-size"] ["10"] [{}] [{.}, ".png"]   direct
///     zcat {} | wc -l                 →  pieces "zcat " {} " | wc -l"                             shell
package struct CommandTemplate: Sendable {
    private enum Form: Sendable {
        /// No command was given: the input is the command line.
        case inputIsCommand
        /// The words joined by spaces; `plain` has them apart when no shell is needed.
        case line(Template, plain: [Template]?)
        /// `-q`: each word is quoted as a whole, so only the program's name can make a shell necessary.
        case quotedWords([Template], plain: Bool)
    }

    private let form: Form
    private let shellNeed: ShellNeed
    private let checksArguments: Bool
    /// Bytes of the longest literal text, to reserve room for a line at once.
    private let literalBytes: Int

    /// - Parameters:
    ///   - words: the command's words as they came; empty when each input is a command line itself.
    ///   - placeholder: what stands for the whole input instead of `{}` (`-I`).
    ///   - quotesWords: `-q`.
    package init(
        words: [[UInt8]], placeholder: [UInt8]? = nil, quotesWords: Bool = false, shellNeed: ShellNeed = ShellNeed()
    ) throws(MapError) {
        self.shellNeed = shellNeed
        guard !words.isEmpty else {
            form = .inputIsCommand
            checksArguments = false
            literalBytes = 0
            return
        }
        let joined = Array(words.joined(separator: [UInt8(ascii: " ")]))
        try Self.refusePerl(joined)
        literalBytes = joined.count
        var templates = words.map { Template($0, placeholder: placeholder) }
        var line = Template(joined, placeholder: placeholder)
        if !line.hasReplacements {
            let everything = Template.Piece.replacement(ReplacementString(content: .value(.whole)))
            templates.append(Template(pieces: [everything]))
            line = Template(pieces: [.literal(joined + [UInt8(ascii: " ")]), everything])
        }
        if quotesWords {
            let program = Self.program(of: templates, shellNeed)
            form = .quotedWords(templates, plain: program != .shellOnly)
            checksArguments = program == .builtinWithTwin
        } else {
            let plain = Self.plainWords(of: line)
            let program = Self.program(of: plain ?? [], shellNeed)
            form = .line(line, plain: program == .shellOnly ? nil : plain)
            checksArguments = program == .builtinWithTwin
        }
    }

    /// The command for one task. `values` are its inputs, `sequence` its number from 1.
    package func compose(values: [[UInt8]], sequence: Int) -> ComposedCommand {
        switch form {
        case .inputIsCommand:
            let line = self.line(values: values, sequence: sequence)
            if let words = shellNeed.plainWords(of: line) { return .direct(argv: words) }
            return .shell(line: line)
        case .line(_, let plain?), .quotedWords(let plain, plain: true):
            let quotesWords = if case .quotedWords = form { true } else { false }
            let arguments = Self.arguments(plain, values, sequence, emptyWordsStay: quotesWords)
            if !arguments.isEmpty,
                !checksArguments || arguments.dropFirst().allSatisfy(ShellNeed.isSameForTwins)
            {
                return .direct(argv: arguments)
            }
        case .line(_, nil), .quotedWords(_, plain: false):
            break
        }
        return .shell(line: line(values: values, sequence: sequence))
    }

    /// The task's command as a line for a shell: what `--dry-run` and `--joblog` show.
    package func line(values: [[UInt8]], sequence: Int) -> [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(literalBytes + values.reduce(16) { $0 + $1.count + 8 })
        switch form {
        case .inputIsCommand:
            line.append(contentsOf: values.joined(separator: [UInt8(ascii: " ")]))
        case .line(let template, _):
            Self.appendLine(template, values, sequence, to: &line)
        case .quotedWords(let templates, _):
            let words = Self.arguments(templates, values, sequence, emptyWordsStay: true)
            for (index, word) in words.enumerated() {
                if index > 0 { line.append(UInt8(ascii: " ")) }
                ShellQuoting.append(word, to: &line)
            }
        }
        return line
    }

    // MARK: Composing

    private static func appendLine(
        _ template: Template, _ values: [[UInt8]], _ sequence: Int, to line: inout [UInt8]
    ) {
        for piece in template.pieces {
            switch piece {
            case .literal(let bytes): line.append(contentsOf: bytes)
            case .replacement(let replacement):
                switch replacement.content {
                case .sequence: line.append(decimal: sequence)
                case .slot: line.append(contentsOf: CommandArgument.slotMarker)
                case .value(let part):
                    var isFirst = true
                    for value in replacement.selection(in: values) {
                        if !isFirst { line.append(UInt8(ascii: " ")) }
                        isFirst = false
                        part.with(value) { ShellQuoting.append($0, to: &line) }
                    }
                }
            }
        }
    }

    /// The words a shell would read from the line: several inputs for one `{}` make several words, no input
    /// makes none (unless the word as a whole is quoted), an empty input makes an empty one.
    private static func arguments(
        _ words: [Template], _ values: [[UInt8]], _ sequence: Int, emptyWordsStay: Bool
    ) -> [[UInt8]] {
        var arguments: [[UInt8]] = []
        arguments.reserveCapacity(words.count + values.count)
        for word in words {
            // The common case first: a word of one literal is shared, not copied.
            if word.pieces.count == 1, case .literal(let bytes) = word.pieces[0] {
                arguments.append(bytes)
                continue
            }
            var current: [UInt8] = []
            var isPresent = emptyWordsStay
            for piece in word.pieces {
                switch piece {
                case .literal(let bytes):
                    current.append(contentsOf: bytes)
                    isPresent = true
                case .replacement(let replacement):
                    switch replacement.content {
                    case .sequence:
                        current.append(decimal: sequence)
                        isPresent = true
                    case .slot:
                        current.append(contentsOf: CommandArgument.slotMarker)
                        isPresent = true
                    case .value(let part):
                        var isFirst = true
                        for value in replacement.selection(in: values) {
                            if !isFirst {
                                arguments.append(current)
                                current = []
                            }
                            isFirst = false
                            isPresent = true
                            part.with(value) { current.append(contentsOf: $0) }
                        }
                    }
                }
            }
            if isPresent { arguments.append(current) }
        }
        return arguments
    }

    // MARK: Classifying, once

    private static func program(of words: [Template], _ need: ShellNeed) -> ShellNeed.Program {
        guard let first = words.first, first.pieces.count == 1, case .literal(let name) = first.pieces[0] else {
            return .shellOnly
        }
        return need.program(name)
    }

    /// The line's words when its text has nothing that means something to a shell; nil otherwise.
    private static func plainWords(of line: Template) -> [Template]? {
        var words: [Template] = []
        var current: [Template.Piece] = []
        for piece in line.pieces {
            switch piece {
            case .replacement: current.append(piece)
            case .literal(let bytes):
                guard bytes.allSatisfy({ ShellNeed.isPlain($0) || ShellNeed.isBlank($0) }) else { return nil }
                for (index, part) in bytes.split(omittingEmptySubsequences: false, whereSeparator: ShellNeed.isBlank)
                    .enumerated()
                {
                    if index > 0 {
                        if !current.isEmpty { words.append(Template(pieces: current)) }
                        current = []
                    }
                    if !part.isEmpty { current.append(.literal(Array(part))) }
                }
            }
        }
        if !current.isEmpty { words.append(Template(pieces: current)) }
        return words
    }

    /// GNU parallel runs Perl between `{=` and `=}`. We do not, and a command that counts on it must not run.
    private static func refusePerl(_ line: [UInt8]) throws(MapError) {
        guard let open = line.firstRange(of: Array("{=".utf8)),
            line[open.upperBound...].firstRange(of: Array("=}".utf8)) != nil
        else { return }
        throw .usage(
            "{= … =}", "Perl expressions are not supported",
            remedy: "write the change in the command, for example sh -c 'v={}; …', or use {.} {/} {//} {/.}")
    }
}
