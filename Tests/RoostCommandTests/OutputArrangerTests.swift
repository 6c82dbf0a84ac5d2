import RoostCommand
import RoostModel
import Testing

@Suite("Output is printed in the order that was asked for")
struct OutputArrangerTests {
    private func chunk(
        _ index: Int, _ offset: Int, _ content: String, _ stream: OutputChunk.Stream = .stdout, attempt: Int = 1
    )
        -> MapChunk
    {
        MapChunk(index: index, attempt: attempt, stream: stream, offset: offset, bytes: bytes(content))
    }

    /// Plays chunks (`index@offset:text`) and ends (`index=whole output`) and returns what was printed after each.
    private func play(
        _ mode: OutputArranger.Mode, ordered: Bool = false, tagged: Bool = false, _ steps: Step...
    ) -> [String] {
        var arranger = OutputArranger(mode: mode, isOrdered: ordered)
        var paper = Paper()
        return steps.map { step in
            var writes: [OutputWrite] = []
            func tag(_ index: Int) -> [UInt8] { tagged ? bytes("t\(index)|") : [] }
            switch step {
            case .piece(let index, let offset, let content):
                arranger.chunk(chunk(index, offset, content), tag: tag(index), into: &writes)
            case .end(let index, let content):
                _ = arranger.ended(
                    index: index, sequence: index + 1, attempt: 1, tag: tag(index),
                    stdout: CapturedOutput(head: bytes(content)),
                    stderr: CapturedOutput(), into: &writes)
            }
            let before = paper.printed[.stdout]?.count ?? 0
            paper.take(writes)
            return text((paper.printed[.stdout] ?? []).dropFirst(before))
        }
    }

    enum Step {
        case piece(Int, Int, String)
        case end(Int, String)
    }

    @Test("Grouped: a task's output at its end, stdout before stderr")
    func grouped() {
        #expect(play(.grouped, .piece(0, 0, "a"), .end(1, "b\n"), .end(0, "a\n")) == ["", "b\n", "a\n"])
        var arranger = OutputArranger(mode: .grouped, isOrdered: false)
        var writes: [OutputWrite] = []
        _ = arranger.ended(
            index: 0, sequence: 1, attempt: 1, tag: [], stdout: CapturedOutput(head: bytes("out")),
            stderr: CapturedOutput(head: bytes("err")), into: &writes)
        #expect(writes == [OutputWrite(.stdout, bytes("out")), OutputWrite(.stderr, bytes("err"))])
    }

    @Test("In order: later tasks wait, and all that is due comes at once")
    func ordered() {
        #expect(
            play(.grouped, ordered: true, .end(2, "c"), .end(1, "b"), .end(0, "a"), .end(3, "d")) == [
                "", "", "abc", "d",
            ])
    }

    @Test("Line-buffered: whole lines as they come, the rest at the end, nothing twice")
    func lines() {
        #expect(
            play(
                .lines, .piece(0, 0, "a1"), .piece(1, 0, "b1\nb"), .piece(0, 2, "\na2"), .end(0, "a1\na2"),
                .end(1, "b1\nb2\n"))
                == ["", "b1\n", "a1\n", "a2", "b2\n"])
    }

    @Test("A piece that comes twice or after a hole is put right at the end")
    func holes() {
        #expect(
            play(.lines, .piece(0, 0, "a\n"), .piece(0, 0, "a\n"), .piece(0, 4, "c\n"), .end(0, "a\nb\nc\n"))
                == ["a\n", "", "", "b\nc\n"])
    }

    @Test("Line-buffered in order: only the first unfinished task is live")
    func orderedLines() {
        #expect(
            play(
                .lines, ordered: true, .piece(1, 0, "b1\n"), .piece(0, 0, "a1\n"), .end(0, "a1\na2\n"),
                .piece(1, 3, "b2\n"),
                .end(1, "b1\nb2\n")) == ["", "a1\n", "a2\nb1\n", "b2\n", ""])
    }

    @Test("Ungrouped: every piece at once, without tags")
    func raw() {
        #expect(
            play(.raw, tagged: true, .piece(0, 0, "a"), .piece(1, 0, "b"), .end(0, "aA"), .end(1, "b")) == [
                "a", "b", "A", "",
            ])
    }

    @Test("Tags stand before each line that has something in it, also after a carriage return")
    func tags() {
        #expect(play(.grouped, tagged: true, .end(0, "a\n\nb\rc\n")) == ["t0|a\nt0|\nt0|b\rt0|c\n"])
        #expect(play(.grouped, tagged: true, .end(0, "")) == [""])
        #expect(play(.lines, tagged: true, .piece(0, 0, "a\nb"), .end(0, "a\nb")) == ["t0|a\n", "t0|b"])
    }

    @Test("A new attempt's output is shown from its beginning; a late piece of the old one is not")
    func attempts() {
        var arranger = OutputArranger(mode: .lines, isOrdered: false)
        var writes: [OutputWrite] = []
        arranger.chunk(chunk(0, 0, "old\npart"), tag: [], into: &writes)
        arranger.chunk(chunk(0, 0, "new\n", attempt: 2), tag: [], into: &writes)
        arranger.chunk(chunk(0, 8, "late\n"), tag: [], into: &writes)
        _ = arranger.ended(
            index: 0, sequence: 1, attempt: 2, tag: [], stdout: CapturedOutput(head: bytes("new\nend\n")),
            stderr: CapturedOutput(),
            into: &writes)
        #expect(text(writes.flatMap(\.bytes)) == "old\npartnew\nend\n")
    }

    @Test("What nobody kept is told on stderr, and only if it was not printed live")
    func omitted() {
        let captured = CapturedOutput(head: bytes("head"), tail: bytes("tail"), totalBytes: 20)
        var arranger = OutputArranger(mode: .grouped, isOrdered: false)
        var writes: [OutputWrite] = []
        _ = arranger.ended(
            index: 0, sequence: 7, attempt: 1, tag: [], stdout: captured, stderr: CapturedOutput(), into: &writes)
        #expect(writes.map(\.stream) == [.stdout, .stderr, .stdout])
        #expect(
            text(writes[1].bytes)
                == "roost: task 7: 12 bytes of its stdout are left out here; --results DIR keeps everything\n")
        var live = OutputArranger(mode: .raw, isOrdered: false)
        writes = []
        live.chunk(chunk(0, 0, "head............ta"), tag: [], into: &writes)
        _ = live.ended(
            index: 0, sequence: 7, attempt: 1, tag: [], stdout: captured, stderr: CapturedOutput(), into: &writes)
        #expect(text(writes.flatMap(\.bytes)) == "head............tail")
    }

    @Test("Grouped: what comes while the task runs is kept, with its tags, and printed with the rest at its end")
    func kept() {
        var arranger = OutputArranger(mode: .grouped, isOrdered: true)
        var (paper, writes) = (Paper(), [OutputWrite]())
        let tag = bytes("t|")
        arranger.chunk(chunk(1, 0, "one\nt"), tag: tag, into: &writes)
        arranger.chunk(chunk(1, 0, "e", .stderr), tag: tag, into: &writes)
        arranger.chunk(chunk(1, 5, "wo\nth"), tag: tag, into: &writes)
        arranger.chunk(chunk(1, 5, "wo\nth"), tag: tag, into: &writes)
        paper.take(writes)
        #expect(paper.printed.isEmpty)
        writes = []
        let whole = CapturedOutput(head: bytes("one"), tail: bytes("\nthree\n"), totalBytes: 14)
        #expect(
            arranger.ended(
                index: 1, sequence: 2, attempt: 1, tag: tag, stdout: whole, stderr: CapturedOutput(head: bytes("e")),
                into: &writes) == [])
        #expect(
            arranger.ended(
                index: 0, sequence: 1, attempt: 1, tag: tag, stdout: CapturedOutput(head: bytes("zero\n")),
                stderr: CapturedOutput(), into: &writes) == [0, 1])
        paper.take(writes)
        #expect(paper.text() == "t|zero\nt|one\nt|two\nt|three\n")
        #expect(paper.text(.stderr) == "t|e")
        #expect(paper.keepsNothing)
    }

    @Test("What was kept of an attempt that was made again is not printed")
    func keptAttempts() {
        var arranger = OutputArranger(mode: .grouped, isOrdered: false)
        var (paper, writes) = (Paper(), [OutputWrite]())
        arranger.chunk(chunk(0, 0, "old"), tag: [], into: &writes)
        arranger.chunk(chunk(0, 0, "ne", attempt: 2), tag: [], into: &writes)
        arranger.chunk(chunk(0, 3, "er"), tag: [], into: &writes)
        _ = arranger.ended(
            index: 0, sequence: 1, attempt: 2, tag: [], stdout: CapturedOutput(head: bytes("new")),
            stderr: CapturedOutput(), into: &writes)
        arranger.chunk(chunk(1, 0, "old"), tag: [], into: &writes)
        _ = arranger.ended(
            index: 1, sequence: 2, attempt: 2, tag: [], stdout: CapturedOutput(head: bytes("er")),
            stderr: CapturedOutput(), into: &writes)
        paper.take(writes)
        #expect(paper.text() == "newer")
        #expect(paper.keepsNothing)
    }

    @Test("Live output held for later tasks is bounded; beyond that it is kept, and nothing is lost")
    func bounded() {
        var arranger = OutputArranger(mode: .lines, isOrdered: true)
        var (paper, writes) = (Paper(), [OutputWrite]())
        func flush() {
            paper.take(writes)
            writes = []
        }
        let size = 1 << 20
        for number in 0..<80 {
            let line = [UInt8](repeating: UInt8(33 + number), count: size - 1) + [UInt8(ascii: "\n")]
            arranger.chunk(
                MapChunk(index: 1, stream: .stdout, offset: number * size, bytes: line), tag: [], into: &writes)
            flush()
        }
        #expect(arranger.heldBytes <= MapLimits.heldOutputBytes)
        #expect(paper.printed.isEmpty)
        _ = arranger.ended(
            index: 0, sequence: 1, attempt: 1, tag: [], stdout: CapturedOutput(), stderr: CapturedOutput(),
            into: &writes)
        // From now on it is live.
        arranger.chunk(chunk(1, 80 * size, "last\nwords"), tag: [], into: &writes)
        flush()
        #expect(paper.printed[.stdout]?.count == 80 * size + 5)
        _ = arranger.ended(
            index: 1, sequence: 2, attempt: 1, tag: [],
            stdout: CapturedOutput(tail: bytes("ds"), totalBytes: UInt64(80 * size + 10)), stderr: CapturedOutput(),
            into: &writes)
        flush()
        let printed = paper.printed[.stdout] ?? []
        #expect(printed.count == 80 * size + 10)
        #expect((0..<80).allSatisfy { printed[$0 * size] == UInt8(33 + $0) && printed[($0 + 1) * size - 1] == 10 })
        #expect(text(printed.suffix(10)) == "last\nwords")
        #expect(arranger.heldBytes == 0 && paper.keepsNothing)
    }
}
