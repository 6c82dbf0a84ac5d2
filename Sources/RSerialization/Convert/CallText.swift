extension RValue {
    /// A call as one line of R code, shortened: for people who want to know where an error came from. Not R's deparse(): what is
    /// nested deeply or no code is "...".
    package var callText: String {
        var text = ""
        Self.write(self, depth: 0, to: &text)
        return text.count <= 200 ? text : text.prefix(197) + "..."
    }

    private static let deepest = 6

    private static func write(_ value: RValue, depth: Int, to text: inout String) {
        guard depth <= deepest, text.utf8.count < 1000 else { return text.append("...") }
        switch value {
        case .symbol(let name): text += quoted(name.text ?? "NA")
        case .null: text += "NULL"
        case .cells(let chain) where chain.cells.first?.kind == .language: writeCall(chain.cells, depth, to: &text)
        case .string, .integer, .double, .logical, .complex:
            guard value.count == 1, value.meta?.attributes.isEmpty ?? true else { return text.append("...") }
            if case .string(let strings) = value, let string = strings.elements[0].text {
                text += RValue.string(RVector([.text(string)])).json(autoUnbox: true)
            } else if case .logical(let logicals) = value {
                text += logicals.elements[0] == RNumbers.naInteger ? "NA" : logicals.elements[0] == 0 ? "FALSE" : "TRUE"
            } else {
                let number = value.json(autoUnbox: true).filter { $0 != "\"" }
                text += number == "null" ? "NA" : number
                if case .integer = value, number != "null" { text += "L" }
            }
        case .missingArgument: break
        case .closure, .builtin: text += "<function>"
        default: text += "..."
        }
    }

    private static func writeCall(_ cells: [RCells.Cell], _ depth: Int, to text: inout String) {
        let arguments = cells.dropFirst()
        if case .symbol(let name) = cells[0].value, let name = name.text {
            if name == "function" { return text.append("function(...) ...") }
            if infix.contains(name) || name.hasPrefix("%"), arguments.count == 2, let left = arguments.first, let right = arguments.last {
                let space = tight.contains(name) ? "" : " "
                write(left.value, depth: depth + 1, to: &text)
                text += space + name + space
                return write(right.value, depth: depth + 1, to: &text)
            }
            if let bracket = brackets[name], let first = arguments.first {
                if name != "(" && name != "{" { write(first.value, depth: depth + 1, to: &text) }
                return writeArguments(
                    name == "(" || name == "{" ? arguments : arguments.dropFirst(), bracket.0, bracket.1, depth, to: &text)
            }
        }
        write(cells[0].value, depth: depth + 1, to: &text)
        writeArguments(arguments, "(", ")", depth, to: &text)
    }

    private static func writeArguments(
        _ arguments: ArraySlice<RCells.Cell>, _ open: String, _ close: String, _ depth: Int, to text: inout String
    ) {
        text += open
        for (position, argument) in arguments.enumerated() {
            if position > 0 { text += ", " }
            if case .symbol(let name)? = argument.tag { text += quoted(name.text ?? "NA") + " = " }
            write(argument.value, depth: depth + 1, to: &text)
        }
        text += close
    }

    private static func quoted(_ name: String) -> String {
        let isPlain = name.unicodeScalars.allSatisfy { $0.properties.isAlphabetic || ("0"..."9").contains($0) || $0 == "." || $0 == "_" }
        return isPlain && !name.isEmpty ? name : "`\(name)`"
    }

    private static let infix: Set<String> = [
        "+", "-", "*", "/", "^", "==", "!=", "<", ">", "<=", ">=", "&", "&&", "|", "||", "~", "<-", "<<-", "=", ":", "$", "@", "::", ":::",
    ]
    private static let tight: Set<String> = ["^", ":", "$", "@", "::", ":::"]
    private static let brackets = ["[": ("[", "]"), "[[": ("[[", "]]"), "(": ("(", ")"), "{": ("{", "}")]
}
