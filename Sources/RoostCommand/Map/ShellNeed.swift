/// Whether a piece of a command line means to a shell just what it says.
///
/// A shell costs a process's start for nothing when the line is a program and plain words. The question is
/// answered on the safe side: a wrong "needs a shell" costs half a millisecond, a wrong "needs none" changes
/// what the command does.
package struct ShellNeed: Hashable, Sendable {
    /// Functions that bash exports through the environment; they exist in a shell only.
    private var functions: Set<[UInt8]>

    /// - Parameter environmentNames: the names of the environment's variables, among which bash puts its
    ///   exported functions (`export -f name` makes `BASH_FUNC_name%%`).
    package init(environmentNames: some Sequence<String> = EmptyCollection<String>()) {
        functions = []
        for name in environmentNames where name.hasPrefix("BASH_FUNC_") {
            functions.insert(Array(name.utf8.dropFirst(10).prefix { $0 != UInt8(ascii: "%") }))
        }
    }

    /// What the first word of a command line makes of the rest.
    package enum Program: Hashable, Sendable {
        /// An ordinary program.
        case program
        /// A builtin that also exists as a program, equal in what it does as long as no argument begins with
        /// `-` or has a backslash.
        case builtinWithTwin
        /// Something only a shell has: a builtin, a keyword, an assignment, a function.
        case shellOnly
    }

    package func program(_ word: [UInt8]) -> Program {
        // A leading % names a job of the shell.
        guard let first = word.first, first != UInt8(ascii: "%"), !word.contains(UInt8(ascii: "=")),
            !functions.contains(word)
        else { return .shellOnly }
        if Self.twins.contains(word) { return .builtinWithTwin }
        return Self.shellOnly.contains(word) ? .shellOnly : .program
    }

    /// Whether a shell takes `byte`, unquoted inside a word, for itself in every position.
    static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "+"),
            UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "@"),
            UInt8(ascii: "%"), UInt8(ascii: "="):
            true
        default:
            false
        }
    }

    static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    /// Whether an argument means the same to a builtin and to its twin.
    static func isSameForTwins(_ argument: [UInt8]) -> Bool {
        argument.first != UInt8(ascii: "-") && !argument.contains(UInt8(ascii: "\\"))
    }

    /// The words of a line that needs no shell; nil for every other line.
    package func plainWords(of line: [UInt8]) -> [[UInt8]]? {
        guard line.allSatisfy({ Self.isPlain($0) || Self.isBlank($0) }) else { return nil }
        let words = line.split(whereSeparator: Self.isBlank).map(Array.init)
        guard let first = words.first else { return nil }
        switch program(first) {
        case .program: return words
        case .builtinWithTwin: return words.dropFirst().allSatisfy(Self.isSameForTwins) ? words : nil
        case .shellOnly: return nil
        }
    }

    private static let twins: Set<[UInt8]> = Set(["echo", "true", "false"].map { Array($0.utf8) })

    /// Keywords and builtins of POSIX shells, bash, dash, ksh and zsh.
    private static let shellOnly: Set<[UInt8]> = Set(
        """
        . : [ alias autoload bg bind break builtin bye caller case cd chdir coproc command compgen complete compopt \
        continue declare dirs disable disown do done elif else emulate enable esac eval exec exit export fc fg fi \
        float for function getopts hash help history if in integer jobs kill let limit local logout mapfile \
        noglob nocorrect popd print printf pushd pwd read readarray readonly rehash return sched select set setopt \
        shift shopt source suspend test then time times trap type typeset ulimit umask unalias unfunction \
        unhash unlimit unset unsetopt until vared wait whence where while zle zmodload
        """.split(separator: " ").map { Array($0.utf8) })
}
