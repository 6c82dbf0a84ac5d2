import RSerialization
import Testing

/// What was read and written again is the same to R, in each version and order of bytes.
@Suite struct RoundTripTests {
    @Test func whatIsWrittenIsWhatWasRead() throws {
        let fixtures = try Fixtures.all()
        let directory = fixtures.directory
        var list = ""
        for stream in fixtures.streams {
            let object = try RObject(stream: stream.bytes)
            for (suffix, header) in [
                ("v2x", RStreamHeader(byteOrder: .bigEndian, version: 2)), ("v2n", RStreamHeader(version: 2)),
                ("v3x", RStreamHeader(byteOrder: .bigEndian)), ("v3n", RStreamHeader()),
            ] {
                let name = "\(stream.file).\(suffix).again"
                try directory.write(try object.stream(header: header), to: name)
                list += "\(stream.file) \(name)\n"
            }
            // A stream of version 3 without compact vectors is written byte for byte.
            if stream.file.hasSuffix(".v2n") {
                let again = try object.stream(header: RStreamHeader(version: 2))
                #expect(again.dropFirst(14) == stream.bytes.dropFirst(14), "\(stream.file)")
            }
        }
        try directory.write(Array(list.utf8), to: "again.txt")
        let complaints = try RProgram.run(
            checkPrelude + #"""

                for (pair in strsplit(readLines(file.path(dir, "again.txt")), " ")) guarded(pair[2],
                    if (!same(read(pair[1]), read(pair[2]))) complain(pair[2], " differs"))
                """#, directory: directory.path)
        #expect(complaints == "")
    }

    @Test func goldenBytesOfAList() throws {
        // serialize(list(a = 1L, b = NA_character_), NULL, xdr = FALSE), from R 4.2.2.
        let stream: [UInt8] =
            [0x42, 0x0A, 3, 0, 0, 0, 2, 2, 4, 0, 0, 5, 3, 0, 5, 0, 0, 0] + Array("UTF-8".utf8)
            + [0x13, 2, 0, 0, 2, 0, 0, 0, 0x0D, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0x10, 0, 0, 0, 1, 0, 0, 0]
            + [9, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 2, 4, 0, 0, 1, 0, 0, 0, 9, 0, 4, 0, 5, 0, 0, 0]
            + Array("names".utf8) + [0x10, 0, 0, 0, 2, 0, 0, 0, 9, 0, 4, 0, 1, 0, 0, 0, 0x61]
            + [9, 0, 4, 0, 1, 0, 0, 0, 0x62, 0xFE, 0, 0, 0]
        let value = try RValue(stream: stream)
        #expect(try value.stream() == stream)
        guard case .list(let list) = value, case .string(let names)? = list.meta["names"] else {
            Issue.record("not a named list")
            return
        }
        #expect(names.elements == ["a", "b"])
        guard case .integer(let a) = list.elements[0], case .string(let b) = list.elements[1] else {
            Issue.record("not an integer and a string")
            return
        }
        #expect(a.elements == [1] && b.elements == [.na])
    }

    @Test func environmentsKeepTheirIdentity() throws {
        let object = try RObject(stream: Fixtures.all().stream("cycle.v3x"))
        guard case .shared(let reference) = object.value, case .environment(let environment) = object.shared[reference.index] else {
            Issue.record("not an environment")
            return
        }
        let variables = environment.variables
        #expect(Set(variables.map(\.name)) == ["self", "list"])
        guard case .shared(reference)? = variables.first(where: { $0.name == "self" })?.value else {
            Issue.record("the environment does not contain itself")
            return
        }
    }

    @Test func depthIsLimitedWithoutRecursionAlongPairlists() async throws {
        let nested = { (depth: Int) -> [UInt8] in
            var bytes: [UInt8] = []
            for _ in 0..<depth { bytes += [19, 0, 0, 0, 1, 0, 0, 0] }
            return bytes + RItem.null
        }
        // On a thread of the concurrency pool, whose stack is the smaller one.
        try await Task.detached {
            let deep = try RObject(item: nested(1990))
            #expect(try deep.item() == nested(1990))
            #expect { try RObject(item: nested(3000)) } throws: { ($0 as? RSerializationError)?.code == .tooDeep }
            var pairlist: [UInt8] = []
            for _ in 0..<1_000_000 { pairlist += [2, 0, 0, 0] + RItem.null }
            pairlist += RItem.null
            #expect(try RObject(item: pairlist).item() == pairlist)
        }.value
    }

    @Test func numbersReadAsRWritesThem() {
        for (value, text) in [
            (1.0, "1"), (100_000, "1e+05"), (123_456, "123456"), (0.1 + 0.2, "0.3"), (1e-5, "1e-05"), (0.0001, "1e-04"), (-2.5, "-2.5"),
            (1.0 / 3, "0.333333333333333"), (2.0 / 3, "0.666666666666667"), (1e22, "1e+22"), (1e300, "1e+300"), (123456.7, "123456.7"),
            (999_999_999_999_999.9, "1e+15"), (.nan, "NaN"), (RNumbers.naDouble, "NA"), (-.infinity, "-Inf"), (-0.0, "0"),
        ] { #expect(RNumbers.text(value) == text) }
    }
}
