import Glibc
import RoostCommand
import RoostModel
import Testing

/// GNU parallel itself, where it is installed: the same command lines are given to it and to us.
enum Oracle {
    static let path: String? = ["/usr/bin/parallel", "/usr/local/bin/parallel"].first { access($0, X_OK) == 0 }

    /// What `parallel ARGUMENTS` prints; standard input is empty.
    static func run(_ arguments: [[UInt8]]) throws -> [UInt8] {
        var line = bytes("HOME=/dev/null exec \(try #require(path)) --will-cite")
        for argument in arguments { line += bytes(" ") + ShellQuoting.quoted(argument) }
        line += bytes(" </dev/null 2>/dev/null")
        let stream = (line.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer { popen($0.baseAddress, "r") }
        let pipe = try #require(stream)
        defer { pclose(pipe) }
        var output: [UInt8] = []
        while case let byte = fgetc(pipe), byte != EOF { output.append(UInt8(truncatingIfNeeded: byte)) }
        return output
    }
}

@Suite("GNU parallel agrees", .enabled(if: Oracle.path != nil), .serialized)
struct OracleTests {
    @Test("The expected lines are what parallel prints", arguments: ComposedLines.all)
    func lines(_ example: ComposedLines) throws {
        let printed = try Oracle.run([bytes("-k"), bytes("--dry-run")] + example.arguments.map(bytes))
        #expect(text(printed) == example.lines.map { $0 + "\n" }.joined())
    }

    @Test("Odd inputs come out as parallel's", arguments: 0..<12)
    func oddInputs(_ seed: UInt64) throws {
        var generator = SmallGenerator(state: seed &* 7919 &+ 17)
        let alphabet: [UInt8] = bytes("ab/.' \"\\$*\n\t~-{}=é") + [0xFF, 0x80, 0x01, 0x7F]
        let values = (0..<20).map { _ in
            (0..<Int.random(in: 1...9, using: &generator)).map { _ in alphabet.randomElement(using: &generator) ?? 97 }
        }
        let arguments = [bytes("-0"), bytes("echo"), bytes("{} {.} {/} {//} {/.} x{}y")] + [bytes(":::")] + values
        let printed = try Oracle.run([bytes("-k"), bytes("--dry-run")] + arguments)
        #expect(printed == Array(try dryRun(arguments).map { $0 + [10] }.joined()))
    }

    @Test("A job log has parallel's columns and numbers")
    func joblog() throws {
        let directory = try TemporaryDirectory()
        _ = try Oracle.run(["-k", "--joblog", "\(directory.path)/log", "exit", ":::", "0", "3"].map(bytes))
        let log = try #require(directory.read("log"))
        let lines = log.split(separator: 10)
        #expect(Array(lines[0]) + [10] == JoblogLine.header)
        let fields = lines[2].split(separator: 9, omittingEmptySubsequences: false).map { text($0) }
        let start = try #require(Double(fields[2]))
        let run = try #require(Double(fields[3].drop { $0 == " " }))
        let ours = JoblogLine.format(
            sequence: 2,
            outcome: MapOutcome(index: 1, kind: .failed, startSeconds: start, runSeconds: run, exitStatus: 3),
            command: bytes("exit 3"))
        #expect(text(ours) == text(lines[2]) + "\n")
    }

    @Test("Results files stand where parallel puts them")
    func results() throws {
        let directory = try TemporaryDirectory()
        let values = ["a/b", "c d", "t\tx", "back\\slash", "it's", "é"]
        _ = try Oracle.run(
            ["--results", "\(directory.path)/r", "echo"].map(bytes) + [bytes(":::")] + values.map(bytes) + [
                bytes(":::"), bytes("2"),
            ])
        let layout = try ResultsLayout(bytes("\(directory.path)/r"))
        for value in values {
            let path = text(layout.path(of: .stdout, values: [bytes(value), bytes("2")], sequence: 1))
            #expect(access(path, F_OK) == 0, "\(path)")
        }
    }

    @Test("Tags stand where parallel puts them")
    func tags() throws {
        let printed = try Oracle.run(["-k", "--tag", "printf 'x\\ry\\nz\\n\\nw'; true", ":::", "a b"].map(bytes))
        var arranger = OutputArranger(mode: .grouped, isOrdered: true)
        var writes: [OutputWrite] = []
        _ = arranger.ended(
            index: 0, sequence: 1, attempt: 1, tag: bytes("a b\t"), stdout: CapturedOutput(head: bytes("x\ry\nz\n\nw")),
            stderr: CapturedOutput(), into: &writes)
        #expect(text(writes.flatMap(\.bytes)) == text(printed))
    }
}

/// A small generator with a seed: the same inputs each time.
struct SmallGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
