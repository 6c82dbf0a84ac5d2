import RSerialization
import Testing

/// What R code does not easily make, byte by byte.
@Suite struct HandmadeTests {
    private func word(_ value: Int32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * Int32($0))) } }
    private func char(_ text: String) -> [UInt8] { word(0x40009) + word(Int32(text.utf8.count)) + Array(text.utf8) }

    @Test func longLengthsAreRead() throws {
        let item = word(13) + word(-1) + word(0) + word(2) + word(7) + word(8)
        #expect(try RValue(item: item).array(of: Int.self) == [7, 8])
        var cutter = try RCutter(RItem.toStream(item))
        #expect(try cutter.cut()[1] == RItem.integers([8])[...])
    }

    @Test func lengthsBeyondTheBytesAllocateNothing() {
        for type: Int32 in [10, 13, 14, 15, 16, 19, 20, 24] {
            for length in [word(Int32.max), word(-1) + word(0xFFFF) + word(-1), word(-1) + word(-1) + word(0), word(-2)] {
                let stream = RItem.toStream(word(type) + length + word(0))
                #expect(throws: RSerializationError.self) { try RValue(stream: stream) }
                #expect(throws: RSerializationError.self) { try RCutter(stream) }
                #expect(throws: RSerializationError.self) { try RItem.fromStream(stream) }
            }
        }
    }

    @Test func mappedFilesAreRefusedByName() throws {
        let info = word(2) + word(1) + char("mmap_real") + word(2) + word(1) + char("base") + word(2) + RItem.integers([14]) + RItem.null
        let mapped = word(238) + info + RItem.null + RItem.null
        #expect {
            try RValue(item: mapped)
        } throws: { error in
            let error = error as? RSerializationError
            return error?.code == .unsupported && error?.message.contains("mmap_real") == true
        }
        #expect { try RCutter(RItem.toStream(mapped)) } throws: { ($0 as? RSerializationError)?.code == .needsAsList }
        // In a list it is passed on for R to open.
        let list = RItem.toStream(word(19) + word(1) + mapped)
        var cutter = try RCutter(list)
        #expect(try cutter.cut()[0] == mapped[...])
    }

    @Test func hugeSequencesAreCutButNotHeld() throws {
        let info =
            word(2) + word(1) + char("compact_realseq") + word(2) + word(1) + char("base") + word(2) + RItem.integers([14]) + RItem.null
        let sequence = word(238) + info + RItem.doubles([1e12, 1, 1]) + RItem.null
        var cutter = try RCutter(RItem.toStream(sequence))
        #expect(cutter.count == 1_000_000_000_000)
        var items = RItems()
        try cutter.cut(999_999_999_999..<1_000_000_000_000, into: &items)
        #expect(items[0] == RItem.doubles([1e12])[...])
        #expect { try RValue(item: sequence) } throws: { ($0 as? RSerializationError)?.code == .tooLarge }
    }

    @Test func persistentNamesAndWeakReferencesAreKept() throws {
        let names = word(247) + word(0) + word(1) + char("hook-1")
        let item = word(19) + word(4) + names + word(23) + word(0x1FF) + word(0x2FF)
        #expect(try RObject(item: item).item() == item)
        var cutter = try RCutter(RItem.toStream(item))
        let items = try cutter.cut()
        #expect(items[0] == names[...] && items[2] == names[...])
        #expect(items[1] == word(23)[...] && items[3] == word(23)[...])
    }

    @Test func referencesToNothingAreRefused() {
        for item in [word(0x1FF), word(19) + word(2) + word(0x2FF) + word(1) + char("a"), word(255) + word(0), word(255) + word(-1)] {
            #expect(throws: RSerializationError.self) { try RObject(item: item) }
            #expect(throws: RSerializationError.self) { try RCutter(RItem.toStream(word(19) + word(1) + item)) }
            var joiner = RJoiner()
            #expect(throws: RSerializationError.self) { try joiner.append(item) }
        }
    }

    @Test func elementsOfOneKindBecomeOneVector() throws {
        for vector in [RItem.doubles([1, nil, 3]), RItem.strings(["a", nil, "ü"]), RItem.logicals([true, nil]), RItem.raw([1, 2])] {
            var cutter = try RCutter(RItem.toStream(vector))
            #expect(try RJoiner.simplified(cutter.cut()) == RItem.toStream(vector))
        }
        var mixed = RItems()
        try mixed.append(RItem.doubles([1]))
        try mixed.append(RItem.integers([1]))
        #expect(try RJoiner.simplified(mixed) == nil)
        var named = RItems()
        try named.append(RItem.integers([5]))
        let stream = try #require(try RJoiner.simplified(named, names: RItem.strings(["n"])))
        #expect(try RValue(stream: stream).dictionary()["n"]?.scalar(Int.self) == 5)
    }
}
