import RoostModel
import RoostNode
import Testing

/// Head and tail are the stream's own ends, however it was cut into pieces.
@Suite struct OutputCaptureTests {
    @Test(arguments: [(0, 0), (0, 5), (5, 0), (1, 1), (7, 3), (3, 16), (100, 100)])
    func headAndTailAreTheStreamsEnds(headLimit: Int, tailLimit: Int) {
        var generator = Pieces(state: UInt64(headLimit * 1000 + tailLimit + 1))
        for _ in 0..<200 {
            var capture = OutputCapture(headLimit: headLimit, tailLimit: tailLimit)
            var stream: [UInt8] = []
            for _ in 0..<generator.next(below: 12) {
                let piece = (0..<generator.next(below: 20)).map { _ in UInt8(generator.next(below: 256)) }
                stream += piece
                piece.withUnsafeBytes { capture.append($0) }
            }
            let captured = capture.captured
            #expect(captured.totalBytes == UInt64(stream.count))
            #expect(captured.head == Array(stream.prefix(headLimit)))
            #expect(captured.tail == Array(stream.dropFirst(headLimit).suffix(tailLimit)))
            #expect(captured.omittedBytes == UInt64(max(0, stream.count - headLimit - tailLimit)))
        }
    }

    /// The same sizes in every run.
    private struct Pieces {
        var state: UInt64
        mutating func next(below bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
    }
}
