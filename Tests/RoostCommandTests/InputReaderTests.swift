import Glibc
import RoostCommand
import Testing

@Suite("Inputs are read lazily and unchanged")
struct InputReaderTests {
    private func read(_ sources: [InputSource], _ rules: InputRules = InputRules()) throws -> [[String]] {
        let reader = try MapInputReader(sources: sources, rules: rules)
        var records: [[String]] = []
        while let input = try reader.next() { records.append(input.values.map { text($0) }) }
        return records
    }

    @Test("The lines of a file: empty ones count, blanks stay, a last line needs no newline")
    func lines() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write("f", bytes("a\n\n  lead\ntrail  \r\nend"))
        #expect(try read([InputSource(.file(bytes(file)))]) == [["a"], [""], ["  lead"], ["trail  \r"], ["end"]])
    }

    @Test("Delimiters of one byte and of several, also across the reader's buffer")
    func delimiters() throws {
        let directory = try TemporaryDirectory()
        let long = [UInt8](repeating: 120, count: 65_535)
        let file = try directory.write("f", long + bytes("::b::") + long + bytes("::::c"))
        var rules = InputRules()
        rules.delimiter = bytes("::")
        let longText = text(long)
        #expect(try read([InputSource(.file(bytes(file)))], rules) == [[longText], ["b"], [longText], [""], ["c"]])
    }

    /// A pipe's two ends. No process that another test starts meanwhile has them, as it could those of `pipe(2)`.
    private func pipe(in directory: TemporaryDirectory) throws -> [Int32] {
        let path = "\(directory.path)/pipe"
        try #require(mkfifo(path, 0o600) == 0)
        let input = open(path, O_RDWR | O_CLOEXEC)
        let output = open(path, O_RDONLY | O_CLOEXEC)
        try #require(input >= 0 && output >= 0)
        return [output, input]
    }

    @Test("A line starts its task when it arrives, before the pipe says more")
    func lazy() throws {
        let directory = try TemporaryDirectory()
        let ends = try pipe(in: directory)
        let reader = try MapInputReader(
            sources: [InputSource(.file(bytes("/dev/fd/\(ends[0])")))], rules: InputRules())
        close(ends[0])
        #expect(write(ends[1], "one\ntw", 6) == 6)
        #expect(try reader.next()?.values == [bytes("one")])
        #expect(write(ends[1], "o\n", 2) == 2)
        #expect(try reader.next()?.values == [bytes("two")])
        close(ends[1])
        #expect(try reader.next() == nil)
    }

    @Test("The second source of a combination is read lazily too, the first time round")
    func lazySecondSource() throws {
        let directory = try TemporaryDirectory()
        let ends = try pipe(in: directory)
        let reader = try MapInputReader(
            sources: [
                InputSource(.arguments([bytes("x"), bytes("y")])), InputSource(.file(bytes("/dev/fd/\(ends[0])"))),
            ],
            rules: InputRules())
        close(ends[0])
        #expect(write(ends[1], "1\n", 2) == 2)
        #expect(try reader.next()?.values == [bytes("x"), bytes("1")])
        #expect(write(ends[1], "2\n", 2) == 2)
        #expect(try reader.next()?.values == [bytes("x"), bytes("2")])
        close(ends[1])
        #expect(try reader.next()?.values == [bytes("y"), bytes("1")])
        #expect(try reader.next()?.values == [bytes("y"), bytes("2")])
        #expect(try reader.next() == nil)
    }

    @Test("A NUL inside a line is written out and remembered for one warning")
    func nul() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write("f", [97, 0, 98, 10, 99])
        let reader = try MapInputReader(sources: [InputSource(.file(bytes(file)))], rules: InputRules())
        #expect(try reader.next()?.values == [bytes("a\\0b")])
        #expect(reader.replacedNUL)
        #expect(try reader.next()?.values == [bytes("c")])
    }

    @Test("A missing file, a directory and a wrong --colsep are told before anything runs")
    func unreadable() throws {
        let missing = #expect(throws: MapError.self) {
            try MapInputReader(sources: [InputSource(.file(bytes("/no/such/file")))], rules: InputRules())
        }
        #expect(missing?.problem == "cannot read the inputs in /no/such/file: No such file or directory")
        #expect(missing?.status == .roostFailed)
        let directory = #expect(throws: MapError.self) { try read([InputSource(.file(bytes("/tmp")))]) }
        #expect(directory?.problem.hasSuffix("Is a directory") == true)
        var rules = InputRules()
        rules.columnSeparator = "("
        let regex = #expect(throws: MapError.self) { try read([InputSource(.arguments([bytes("a")]))], rules) }
        #expect(regex?.status == .usage)
    }

    @Test("An input that never ends is refused instead of filling the memory")
    func endless() {
        let error = #expect(throws: MapError.self) { try read([InputSource(.file(bytes("/dev/zero")))]) }
        #expect(error?.remedy == "check the delimiter (-d, -0)")
    }

    @Test("Columns keep bytes that are no UTF-8")
    func columnsOfBytes() throws {
        var rules = InputRules()
        rules.columnSeparator = "[,;]+"
        let reader = try MapInputReader(
            sources: [InputSource(.arguments([[0xFF, 0x2C, 0x3B, 0xC3, 0x28]]))], rules: rules)
        #expect(try reader.next()?.values == [[0xFF], [0xC3, 0x28]])
    }
}
