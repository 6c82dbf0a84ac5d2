import Glibc
import RoostCommand
import Testing

@Suite("Results files stand where GNU parallel puts them")
struct ResultsTests {
    private func path(_ base: String, _ values: [String], _ file: ResultsLayout.File = .stdout) throws -> String {
        text(try ResultsLayout(bytes(base)).path(of: file, values: values.map(bytes), sequence: 3))
    }

    @Test("A directory for each source and input, odd characters escaped")
    func directories() throws {
        #expect(try path("r", ["a"]) == "r/1/a/stdout")
        #expect(try path("r/", ["a", "2"], .stderr) == "r/1/a/2/2/stderr")
        #expect(try path("r", ["a/b"], .sequence) == "r/1/a\\_b/seq")
        #expect(try path("r", ["a\\b"]) == "r/1/a\\\\b/stdout")
        #expect(try path("r", ["t\ta"]) == "r/1/t\\ta/stdout")
        #expect(try path("r", [""]) == "r/1/stdout")
        #expect(try path("r", []) == "r/1/\\0noarg/stdout")
        #expect(try path("r", [String(repeating: "a", count: 300)]).count == 4 + 255 + 7)
        #expect(try path("/", ["a"]) == "/1/a/stdout")
    }

    @Test("A name with replacement strings is a file")
    func templates() throws {
        #expect(try path("out/{}.txt", ["a/b"]) == "out/a/b.txt")
        #expect(try path("out/{#}", ["a"], .stderr) == "out/3.err")
        #expect(try path("{1}-{2}", ["a", "b"], .sequence) == "a-b.seq")
    }

    @Test("Files grow as output comes, begin anew with a new attempt, and are made with their directories")
    func writing() throws {
        let directory = try TemporaryDirectory()
        let results = ResultsDirectory()
        let path = bytes("\(directory.path)/r/1/a/stdout")
        try results.write(bytes("hello "), at: 0, of: path)
        try results.write(bytes("world"), at: 6, of: path)
        #expect(directory.read("r/1/a/stdout") == bytes("hello world"))
        try results.write([], at: 0, of: path)
        #expect(directory.read("r/1/a/stdout") == [])
        #expect(!results.isComplete(sequencePath: bytes("\(directory.path)/r/1/a/seq")))
        try results.write(bytes("3"), at: 0, of: bytes("\(directory.path)/r/1/a/seq"))
        #expect(results.isComplete(sequencePath: bytes("\(directory.path)/r/1/a/seq")))
    }

    @Test("A full disk and a place that is no directory are named, with the remedy")
    func errors() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write("f", [])
        let notDirectory = #expect(throws: MapError.self) {
            try ResultsDirectory().write(bytes("x"), at: 0, of: bytes("\(file)/1/a/stdout"))
        }
        #expect(notDirectory?.problem.contains("Not a directory") == true)
        if access("/dev/full", W_OK) == 0 {
            let full = #expect(throws: MapError.self) {
                try ResultsDirectory().write(bytes("x"), at: 0, of: bytes("/dev/full"))
            }
            #expect(full?.problem == "cannot write the results file /dev/full: No space left on device")
            #expect(full?.remedy.contains("--results") == true)
        }
    }
}
