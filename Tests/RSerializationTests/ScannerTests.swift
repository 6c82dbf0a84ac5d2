import RSerialization
import Testing

/// The scanner finds the end of whatever R writes, however it arrives.
@Suite struct ScannerTests {
    @Test(arguments: [1, 3, 64, 8096, .max])
    func endsAreFoundInPiecesOfAnySize(size: Int) throws {
        let fixtures = try Fixtures.all()
        for stream in fixtures.streams where size > 3 || stream.bytes.count < 200_000 {
            let bytes = stream.bytes + [0x0A, 0xFE, 0, 0, 0, 0]
            var scanner = RScanner()
            var position = 0
            var end: Int?
            while end == nil, position < bytes.count {
                let piece = bytes[position..<min(bytes.count, size == .max ? bytes.count : position + size)]
                end = try scanner.feed(piece).map { position + $0 }
                position += piece.count
            }
            #expect(end == stream.bytes.count, "\(stream.file)")
            #expect(scanner.bytesScanned == stream.bytes.count, "\(stream.file)")
            #expect(scanner.header?.version == (stream.file.contains(".v2") ? 2 : 3))
        }
    }

    @Test func largeVectorsAreNotLookedInto() throws {
        // Eight billion doubles: only the header of the vector ever comes.
        var stream = RItem.toStream([])
        stream += [14, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0, 0, 0, 0, 0]
        var scanner = RScanner()
        #expect(try scanner.feed(stream) == nil)
        #expect(!scanner.isComplete)
    }

    @Test func depthIsLimited() throws {
        // A list in a list in a list …, each with a neighbour.
        var stream = RItem.toStream([])
        for _ in 0..<50 { stream += [19, 0, 0, 0, 2, 0, 0, 0] }
        var limits = RLimits()
        limits.scanDepth = 20
        var scanner = RScanner(limits: limits)
        #expect { try scanner.feed(stream) } throws: { ($0 as? RSerializationError)?.code == .tooDeep }
    }

    @Test func itemsWithoutHeaderAreScannedToo() throws {
        var scanner = RScanner.forItem()
        #expect(try scanner.feed(RItem.strings(["a", nil]) + [1, 2, 3]) == 25)
    }

    @Test func whatIsNoStreamIsRefusedAtOnce() {
        for bytes in [Array("A\n2\n".utf8), Array("GET / HTTP".utf8), [0x58, 0x0A, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0]] {
            var scanner = RScanner()
            #expect(throws: RSerializationError.self) { try scanner.feed(bytes) }
        }
    }
}
