import RoostCommand
import RoostModel
import Testing

@Suite("Commands are composed as GNU parallel composes them")
struct CommandTemplateTests {
    @Test("Each observed line comes out byte for byte", arguments: ComposedLines.all)
    func observed(_ example: ComposedLines) throws {
        #expect(try dryRun(example.arguments.map(bytes)).map(text) == example.lines)
    }

    @Test("Bytes that are no UTF-8 pass unchanged, quoted")
    func invalidUTF8() throws {
        let lines = try dryRun([bytes("echo"), bytes(":::"), [0xFF, 0xFE], [0x41, 0x80, 0x2F, 0xC3]])
        #expect(
            lines == [
                bytes("echo '") + [0xFF, 0xFE] + bytes("'"), bytes("echo '") + [0x41, 0x80, 0x2F, 0xC3] + bytes("'"),
            ])
    }

    @Test("Every single byte is quoted or bare as observed")
    func everyByte() {
        let bare = Set(bytes("+-./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"))
        for byte in UInt8(1)...255 {
            let expected: [UInt8] =
                if bare.contains(byte) { [byte] } else if byte == 0x27 { bytes("\"'\"") } else { [0x27, byte, 0x27] }
            #expect(ShellQuoting.quoted([byte]) == expected)
        }
    }

    private func compose(_ words: String..., values: [String], quotes: Bool = false, environment: [String] = []) throws
        -> ComposedCommand
    {
        try CommandTemplate(
            words: words.map(bytes), quotesWords: quotes, shellNeed: ShellNeed(environmentNames: environment)
        ).compose(values: values.map(bytes), sequence: 7)
    }

    private func direct(_ words: String...) -> ComposedCommand { .direct(argv: words.map(bytes)) }

    @Test("A program with plain words is started without a shell, odd inputs included")
    func directCommands() throws {
        #expect(try compose("gzip", "-9", "{}", values: ["a b'$"]) == direct("gzip", "-9", "a b'$"))
        #expect(try compose("gzip -9 {} x{.}.gz", values: ["a.b"]) == direct("gzip", "-9", "a.b", "xa.gz"))
        #expect(try compose("cp", values: ["a", "b c"]) == direct("cp", "a", "b c"))
        #expect(try compose("cp", "pre{}post", values: ["a", "b"]) == direct("cp", "prea", "bpost"))
        #expect(try compose("cp", "{2}", "{3}x", values: ["a", ""]) == direct("cp", "", "x"))
        #expect(try compose("cp", "{3}", values: ["a"]) == direct("cp"))
        #expect(try compose("cp", "{#}", "--x=1", values: ["a"]) == direct("cp", "7", "--x=1"))
        #expect(
            try compose("awk", "{print $1}", "{}", values: ["a b"], quotes: true) == direct("awk", "{print $1}", "a b"))
        #expect(try compose(values: ["gzip -9 a"]) == direct("gzip", "-9", "a"))
    }

    @Test("What means something to a shell goes to a shell")
    func shellCommands() throws {
        for command in [
            "cat {} | wc", "a; b", "echo $HOME", "ls *.c", "x > {}", "cd {}", "A=1 b {}", "if true", "# {}", "~/bin/x",
            "exit 1",
            "{} --version", "echo 'a' {}", "time ls", "a && b", "! a", "x\ny", "[ -e {} ]", "test -e {}", "printf x",
        ] {
            guard case .shell = try compose(command, values: ["v"]) else {
                Issue.record("'\(command)' was to go to a shell")
                continue
            }
        }
        #expect(try compose("cat {} | wc", values: ["a b"]) == .shell(line: bytes("cat 'a b' | wc")))
        #expect(try compose(values: ["a; b"]) == .shell(line: bytes("a; b")))
        #expect(try compose(values: [""]) == .shell(line: []))
    }

    @Test("A builtin with a twin among programs runs without a shell unless the two could differ")
    func twins() throws {
        #expect(try compose("echo", values: ["a b"]) == direct("echo", "a b"))
        #expect(try compose("echo", values: ["-n"]) == .shell(line: bytes("echo -n")))
        #expect(try compose("echo", values: ["a\\tb"]) == .shell(line: bytes("echo 'a\\tb'")))
        #expect(try compose("true", values: ["--help"]) == .shell(line: bytes("true --help")))
    }

    @Test("A function that bash exports exists in a shell only")
    func exportedFunctions() throws {
        #expect(try compose("work", values: ["a"]) == direct("work", "a"))
        #expect(
            try compose("work", values: ["a"], environment: ["HOME", "BASH_FUNC_work%%"])
                == .shell(line: bytes("work a")))
    }

    @Test("The slot's number is left for the node to put in")
    func slot() throws {
        #expect(
            try compose("cp", "{%}", values: ["a"]) == .direct(argv: [bytes("cp"), CommandArgument.slotMarker]))
    }

    @Test("Perl between {= and =} is refused, with what to do instead")
    func perl() {
        #expect(throws: MapError.self) { try CommandTemplate(words: [bytes("echo {= s/a/b/ =}")]) }
    }
}
