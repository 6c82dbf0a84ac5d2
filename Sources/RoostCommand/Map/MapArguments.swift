/// The arguments of `roost map`, cut into what they are: options, the command's words, sources of inputs.
///
///     -j4 --tag   gzip -9 {}   ::: a b c :::: more
///     options     command      sources
///
/// Options end at the first word that is none (or at `--`), because what follows belongs to the command, its
/// options included. The command ends at the first `:::` or `::::`.
package struct MapArguments: Hashable, Sendable {
    /// Options in their long form, `--name` or `--name=value`.
    package var options: [String]
    package var command: [[UInt8]]
    /// From `-a` first, then from `:::` and `::::`; standard input when nothing else is named.
    package var sources: [InputSource]

    package static func split(_ arguments: [String]) throws(MapError) -> MapArguments {
        try split(arguments.map { Array($0.utf8) })
    }

    /// - Parameter arguments: what follows `roost map`, as bytes: file names and inputs need not be UTF-8.
    package static func split(_ arguments: [[UInt8]]) throws(MapError) -> MapArguments {
        var scanner = OptionScanner(arguments: arguments)
        try scanner.scan()
        let rest = arguments[scanner.position...]
        let separators: [[UInt8]: (isFile: Bool, isLinked: Bool)] = [
            Array(":::".utf8): (false, false), Array(":::+".utf8): (false, true),
            Array("::::".utf8): (true, false), Array("::::+".utf8): (true, true),
        ]
        let end = rest.firstIndex { separators[$0] != nil } ?? rest.endIndex
        var sources = scanner.files.map { InputSource(.file($0)) }
        var index = end
        while index < rest.endIndex {
            guard let (isFile, isLinked) = separators[rest[index]] else { break }
            let next = rest[(index + 1)...].firstIndex { separators[$0] != nil } ?? rest.endIndex
            let values = Array(rest[(index + 1)..<next])
            if isFile {
                if values.isEmpty {
                    throw .usage(
                        "::::", "no file follows", remedy: "name the files with inputs, or - for standard input")
                }
                for value in values { sources.append(InputSource(.file(value), isLinked: isLinked)) }
            } else {
                sources.append(InputSource(.arguments(values), isLinked: isLinked))
            }
            index = next
        }
        if sources.isEmpty { sources = [.standardInput] }
        return MapArguments(options: scanner.options, command: Array(rest[..<end]), sources: sources)
    }
}

/// Reads options up to the first word that is none.
private struct OptionScanner {
    let arguments: [[UInt8]]
    var position = 0
    var options: [String] = []
    var files: [[UInt8]] = []

    init(arguments: [[UInt8]]) { self.arguments = arguments }

    mutating func scan() throws(MapError) {
        while position < arguments.count {
            let word = arguments[position]
            guard word.count > 1, word[0] == UInt8(ascii: "-") else { return }
            position += 1
            if word == Array("--".utf8) { return }
            if word[1] == UInt8(ascii: "-") {
                try long(word[2...])
            } else {
                try short(word[1...])
            }
        }
    }

    private mutating func long(_ word: ArraySlice<UInt8>) throws(MapError) {
        let nameEnd = word.firstIndex(of: UInt8(ascii: "=")) ?? word.endIndex
        let spelled = String(decoding: word[..<nameEnd], as: UTF8.self)
        let name = MapOptionTable.aliases[spelled] ?? spelled
        // Grouping is what we do anyway.
        if name == "group" { return }
        guard let entry = MapOptionTable.entries.first(where: { $0.long == name }) else {
            throw unknown("--\(spelled)", name)
        }
        if entry.takesValue {
            let value = nameEnd < word.endIndex ? Array(word[(nameEnd + 1)...]) : try following("--\(spelled)")
            add(entry, value)
        } else if nameEnd < word.endIndex {
            throw .usage("--\(spelled)", "takes no value", remedy: "leave out what follows the =")
        } else {
            options.append("--\(entry.long)")
        }
    }

    /// One or more short options in a word; the rest of the word is the value of the first that takes one.
    private mutating func short(_ word: ArraySlice<UInt8>) throws(MapError) {
        var index = word.startIndex
        while index < word.endIndex {
            let spelled = Character(Unicode.Scalar(word[index]))
            let letter = MapOptionTable.shortAliases[spelled] ?? spelled
            index += 1
            guard let entry = MapOptionTable.entries.first(where: { $0.short == letter }) else {
                throw unknown("-\(spelled)", MapOptionTable.refusedShort[spelled] ?? "")
            }
            if entry.takesValue {
                add(entry, index < word.endIndex ? Array(word[index...]) : try following("-\(spelled)"))
                return
            }
            options.append("--\(entry.long)")
        }
    }

    private mutating func following(_ flag: String) throws(MapError) -> [UInt8] {
        guard position < arguments.count else {
            throw .usage(flag, "a value must follow", remedy: "see 'roost map --help'")
        }
        position += 1
        return arguments[position - 1]
    }

    private mutating func add(_ entry: MapOptionTable.Entry, _ value: [UInt8]) {
        // File names keep their bytes here; ArgumentParser's strings would not.
        if entry.long == "arg-file" { files.append(value) }
        if value.isEmpty {
            // ArgumentParser takes "--name=" for a missing value, but an empty word for an empty one.
            options += ["--\(entry.long)", ""]
        } else {
            options.append("--\(entry.long)=\(String(decoding: value, as: UTF8.self))")
        }
    }

    private func unknown(_ flag: String, _ name: String) -> MapError {
        if let instead = MapOptionTable.refused[name] { return .usage(flag, "not supported", remedy: instead) }
        let near = MapOptionTable.entries.map(\.long).filter { $0.hasPrefix(name.prefix(3)) && name.count > 2 }
        let guess = near.isEmpty ? "" : "did you mean --\(near[0])? "
        return .usage(
            flag, "unknown option",
            remedy: guess + "'roost map --help' lists all; options of the command go after its name")
    }
}
