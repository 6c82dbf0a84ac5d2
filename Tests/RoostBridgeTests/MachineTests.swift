import RSerialization
import RoostBridge
import Testing

/// Interrupted reads and writes of R cost a reconnect and nothing else.
final class MachineTests {
    private var machine = BridgeMachine(secret: "0123456789abcdef0123456789abcdef")
    private let secret = "0123456789abcdef0123456789abcdef"

    private func read(_ bytes: [UInt8]) throws -> BridgeFrame {
        var reader = BridgeFrameReader()
        return try #require(try reader.frames(bytes).first)
    }

    private func greet(reply: UInt64 = 0) throws -> (got: Double?, again: [UInt64]) {
        guard case .welcome(let answer, let again) = machine.hello(try read(hello(secret, reply: reply))) else { return (nil, []) }
        let frame = try answer.read()
        #expect(frame.header.sequence == 0)
        #expect(frame.control.flag("ok") == true)
        return (frame.control.number("got"), again.map(\.sequence))
    }

    private func request(_ sequence: UInt64, reply: UInt64 = 0) -> BridgeMachine.Verdict {
        machine.request(BridgeHeader(sequence: sequence, reply: reply, controlBytes: 0, blobBytes: 0))
    }

    /// The number of the frame that answers; nil when nobody waits for it.
    private func answer(_ request: UInt64, _ kind: BridgeMachine.Kind, parts: [[UInt8]] = [], isRead: Bool = true) -> UInt64? {
        machine.answer(request, kind, control: [], parts: parts, isRead: isRead)?.sequence
    }

    @Test("only the secret opens the session")
    func wrongSecret() throws {
        for said in ["", "0123456789abcdef0123456789abcdee", "0123456789abcdef0123456789abcdef0"] {
            guard case .refused = machine.hello(try read(hello(said))) else {
                Issue.record("'\(said)' was welcomed")
                continue
            }
        }
        #expect(try greet().got == 0)
    }

    @Test("a request that comes again is done once; its answer is sent again until R has it")
    func resending() throws {
        #expect(try greet().got == 0)
        #expect(request(1) == .new)
        #expect(answer(1, .final) == 1)
        // R lost the answer in the middle, connects anew and repeats its request to be sure.
        var back = try greet()
        #expect(back.got == 1)
        #expect(back.again == [1])
        #expect(request(1) == .seen)
        // It has it now, and says so with the next request.
        #expect(request(2, reply: 1) == .new)
        back = try greet(reply: 1)
        #expect(back.got == 2)
        #expect(back.again == [])
    }

    @Test("an answer that is ready while R is away waits for it")
    func away() throws {
        _ = try greet()
        #expect(request(1) == .new)
        #expect(answer(1, .progress) == 1)
        #expect(answer(1, .condition) == 2)
        #expect(answer(1, .final) == 3)
        // Progress would be stale.
        #expect(try greet().again == [2, 3])
        #expect(try greet(reply: 2).again == [3])
    }

    @Test("what was stopped is answered no more, and what was answered is over")
    func stopping() throws {
        _ = try greet()
        #expect(request(1) == .new)
        #expect(request(2) == .new)
        machine.stopped(1)
        #expect(answer(1, .final) == nil)
        #expect(answer(2, .final) == 1)
        #expect(answer(2, .progress) == nil)
    }

    @Test("a gap in the numbers ends the connection")
    func gap() throws {
        _ = try greet()
        #expect(request(1) == .new)
        guard case .fault = request(3) else {
            Issue.record("frame 3 came after frame 1")
            return
        }
        guard case .fault = request(0) else {
            Issue.record("a second hello")
            return
        }
    }

    @Test("conditions are kept within bounds, answers always")
    func bounds() throws {
        _ = try greet()
        #expect(request(1) == .new)
        let large = [UInt8](repeating: 0, count: BridgeLimits.conditionBytes / 2)
        for _ in 0..<4 { #expect(answer(1, .condition, parts: [large]) != nil) }
        #expect(answer(1, .final, parts: [large]) != nil)
        #expect(try greet().again == [1, 5])
        #expect(try greet(reply: 4).again == [5])
    }

    @Test("who does not read is sent no conditions beyond those that are kept, and no progress")
    func unread() throws {
        _ = try greet()
        #expect(request(1) == .new)
        let large = [UInt8](repeating: 0, count: BridgeLimits.conditionBytes / 2)
        #expect(answer(1, .condition, parts: [large], isRead: false) == 1)
        #expect(answer(1, .condition, parts: [large], isRead: false) == nil)
        #expect(answer(1, .progress, isRead: false) == nil)
        // What goes out at once need not be kept.
        #expect(answer(1, .condition, parts: [large]) == 2)
        #expect(answer(1, .final, parts: [large], isRead: false) == 3)
        #expect(try greet().again == [1, 3])
    }
}
