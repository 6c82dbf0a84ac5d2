import RSerialization
import Testing

/// What is cut and joined is, to R, what `as.list` gives.
@Suite struct CutAndJoinTests {
    /// Objects that only R can make a list of, and those that have no elements.
    static let left: Set<String> = [
        "table", "version", "noquote", "brokenTime", "s4", "model", "condition", "pairlist", "longPairlist", "call", "bigCall",
        "symbol", "formula", "missing", "closure", "compiled", "compiledAttributes", "cycle", "hashed", "locked", "promises", "dots",
        "pointer",
    ]

    @Test func joinedElementsAreThoseOfAsList() throws {
        let fixtures = try Fixtures.all()
        let directory = fixtures.directory
        var list = ""
        for stream in fixtures.streams {
            do {
                var cutter = try RCutter(stream.bytes)
                var joiner = RJoiner(nativeEncoding: cutter.nativeEncoding)
                var items = RItems()
                // In runs of a few, so that no run begins where another ends.
                while try cutter.next(7, into: &items) > 0 {
                    try joiner.append(items)
                    items.removeAll(keepingCapacity: true)
                }
                #expect(!Self.left.contains(stream.object), "\(stream.file) should be left to R")
                try directory.write(try joiner.finish(names: cutter.names), to: stream.file + ".joined")
                list += stream.file + "\n"
            } catch let error as RSerializationError {
                #expect(error.code == .needsAsList || error.code == .notAVector, "\(stream.file): \(error)")
                #expect(Self.left.contains(stream.object), "\(stream.file): \(error)")
            }
        }
        try directory.write(Array(list.utf8), to: "joined.txt")
        #expect(list.split(separator: "\n").count > 200)
        let complaints = try RProgram.run(
            checkPrelude + #"""

                for (file in readLines(file.path(dir, "joined.txt"))) guarded(file, {
                    x <- as.list(read(file)); y <- read(paste0(file, ".joined"))
                    if (!identical(names(x), names(y))) complain(file, ": names differ")
                    if (typeof(y) != "list" || length(x) != length(y)) complain(file, ": ", length(y), " elements")
                    else for (i in seq_along(x)) if (!same(x[[i]], y[[i]])) complain(file, ": element ", i, " differs")
                })
                """#, directory: directory.path)
        #expect(complaints == "")
    }

    @Test func everyItemStandsAlone() throws {
        let fixtures = try Fixtures.all()
        let directory = try ScratchDirectory()
        for object in ["nested", "sharing", "mutual", "closures", "records", "compactElements", "places", "pointers", "s4s"] {
            for form in ["v2x", "v3n"] {
                let stream = try fixtures.stream("\(object).\(form)")
                try directory.write(stream, to: "\(object).\(form)")
                var cutter = try RCutter(stream)
                // Backwards: no element may need another to be cut before it.
                for index in (0..<cutter.count).reversed() {
                    var items = RItems()
                    try cutter.cut(index..<index + 1, into: &items)
                    try RItem.check(items.bytes)
                    try directory.write(RItem.toStream(items[0]), to: "\(object).\(form).\(index + 1)")
                }
            }
        }
        let complaints = try RProgram.run(
            checkPrelude + #"""

                for (file in list.files(dir, "[.]v..$")) {
                    x <- read(file)
                    for (i in seq_along(x)) guarded(file, if (!same(x[[i]], read(paste0(file, ".", i)))) complain(file, ": element ", i))
                }
                """#, directory: directory.path)
        #expect(complaints == "")
    }

    @Test func elementsWithoutReferencesAreCopiedAsTheyAre() throws {
        var joiner = RJoiner()
        try joiner.append(RItem.doubles([1, nil]))
        try joiner.append(RItem.strings(["x"]))
        try joiner.append(RItem.null)
        let stream = try joiner.finish()
        #expect(stream.suffix(24 + 17 + 4) == RItem.doubles([1, nil]) + RItem.strings(["x"]) + RItem.null)
        var cutter = try RCutter(stream)
        #expect(try cutter.cut().ends == [24, 41, 45])
    }

    @Test func symbolsAreDefinedOnce() throws {
        var inner = RJoiner()
        try inner.append(RItem.integers([1]))
        let record = try RItem.fromStream(inner.finish(names: RItem.strings(["a"])))
        var joiner = RJoiner()
        for _ in 0..<3 { try joiner.append(record) }
        let stream = try joiner.finish(names: RItem.strings(["x", "y", "z"]))
        let names = Array("names".utf8)
        #expect(stream.indices.filter { stream[$0...].starts(with: names) }.count == 1)
        var cutter = try RCutter(stream)
        let items = try cutter.cut()
        #expect(items.count == 3 && items[0] == record[...] && items[2] == record[...])
        #expect(cutter.names == RItem.strings(["x", "y", "z"]))
    }

    @Test func nothingIsAVectorOfNone() throws {
        var cutter = try RCutter(RItem.toStream(RItem.null))
        #expect(cutter.count == 0 && cutter.names == nil)
        #expect(try cutter.cut().isEmpty)
    }
}
