import Glibc
import RoostCommand
import Testing

/// Whole programs run in a directory of their own: the built `roost`, and GNU parallel to compare it with.
struct Programs {
    /// How a run ended and what it printed.
    struct Run: Equatable {
        var status: Int32
        var stdout: String
    }

    let directory = try? TemporaryDirectory()

    /// The `roost` that was built with these tests: it stands beside them.
    static let roost: String = {
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
        let directory = bundle.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        return directory.isEmpty ? "./roost" : directory + "/roost"
    }()

    func roostMap(_ arguments: [String], input: String = "") throws -> Run {
        try run("\(ShellQuoting.word(Self.roost)) map --no-progress", arguments, input)
    }

    func parallel(_ arguments: [String], input: String = "") throws -> Run {
        try run("HOME=/dev/null \(try #require(Oracle.path)) --will-cite", arguments, input)
    }

    /// Runs a line of shell in the directory.
    @discardableResult
    func shell(_ line: String) throws -> Int32 {
        let place = try #require(directory).path
        let status = system("cd \(ShellQuoting.word(place)) && \(line)")
        return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
    }

    private func run(_ program: String, _ arguments: [String], _ input: String) throws -> Run {
        let directory = try #require(directory)
        _ = try directory.write(".in", bytes(input))
        let words = arguments.map(ShellQuoting.word).joined(separator: " ")
        let status = try shell("\(program) \(words) <.in >.out 2>.err")
        return Run(status: status, stdout: text(directory.read(".out") ?? []))
    }
}

extension ShellQuoting {
    static func word(_ word: String) -> String { text(quoted(bytes(word))) }
}
