import DequeModule

/// One frame to R. Its bytes are in pieces, so that a large blob is never copied to stand behind its header.
package struct OutgoingFrame: Sendable, Equatable {
    package var sequence: UInt64
    package var pieces: [[UInt8]]

    package init(sequence: UInt64, reply: UInt64, control: [UInt8], parts: [[UInt8]] = []) {
        self.sequence = sequence
        let header = BridgeHeader(
            sequence: sequence, reply: reply, controlBytes: control.count, blobBytes: parts.reduce(0) { $0 + $1.count })
        pieces = [header.bytes + control] + parts
    }

    package var byteCount: Int { pieces.reduce(0) { $0 + $1.count } }
}

/// The session with R across its connections: who is at the other end, which requests are new, what R has, what must be sent again.
/// Pure.
///
///     R → bridge   1 2 3 …          each done once, however often it comes        received: the highest
///     bridge → R   1 2 3 4 5 …      kept until R says that it has them; progress is not kept, it would be stale
///                      ╰ reply of R's next frame
package struct BridgeMachine {
    private let secret: [UInt8]
    /// The highest request that came whole.
    package private(set) var received: UInt64 = 0
    private var nextSequence: UInt64 = 1
    private var kept: Deque<OutgoingFrame> = []
    /// Bytes of kept frames that are no final answers.
    private var keptConditionBytes = 0
    private var conditionSizes: [UInt64: Int] = [:]
    /// Requests that have had no final answer.
    private var open: Set<UInt64> = []

    package init(secret: String) { self.secret = Array(secret.utf8) }

    // MARK: Greeting

    package enum Greeting: Equatable {
        /// The answer, then what R has not had.
        case welcome(OutgoingFrame, again: [OutgoingFrame])
        case refused(String)
    }

    /// A connection's first frame.
    package mutating func hello(_ frame: BridgeFrame) -> Greeting {
        guard frame.header.sequence == 0, frame.control.text("op") == "hello" else { return .refused("no hello") }
        guard let said = frame.control.text("secret"), isSecret(said) else { return .refused("a wrong secret") }
        guard frame.control.number("protocol") == 1 else { return .refused("another protocol than 1") }
        acknowledged(frame.header.reply)
        var control = ControlWriter()
        control.set("ok", true)
        control.set("got", Double(received))
        return .welcome(OutgoingFrame(sequence: 0, reply: 0, control: control.stream()), again: Array(kept))
    }

    /// Takes as long for any text of the right length.
    private func isSecret(_ text: String) -> Bool {
        let said = Array(text.utf8)
        guard said.count == secret.count else { return false }
        return zip(said, secret).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    // MARK: Requests

    package enum Verdict: Equatable {
        /// A request that has not been seen: to be answered.
        case new
        /// It came before; its answer was sent, or will be.
        case seen
        case fault(String)
    }

    /// A frame of a connection that was welcomed.
    package mutating func request(_ header: BridgeHeader) -> Verdict {
        acknowledged(header.reply)
        if header.sequence > 0 && header.sequence <= received { return .seen }
        guard header.sequence == received + 1 else {
            return .fault("frame \(header.sequence) came after frame \(received)")
        }
        guard open.count < BridgeLimits.openRequests else { return .fault("\(open.count) requests wait for their answers already") }
        received = header.sequence
        open.insert(header.sequence)
        return .new
    }

    /// R has all frames up to this one.
    private mutating func acknowledged(_ sequence: UInt64) {
        while let first = kept.first, first.sequence <= sequence {
            kept.removeFirst()
            keptConditionBytes -= conditionSizes.removeValue(forKey: first.sequence) ?? 0
        }
    }

    // MARK: Answers

    package enum Kind {
        /// Ends the request; kept until R has it.
        case final
        /// Kept, as long as there is room.
        case condition
        /// How far a job is: worth nothing later.
        case progress
    }

    /// A frame that answers `request`; nil when nobody waits for it any more, or it is one that R can do without and does not
    /// read now.
    /// - Parameter isRead: whether R takes what it is sent. If not, nothing is made but what is kept within bounds.
    package mutating func answer(
        _ request: UInt64, _ kind: Kind, control: [UInt8], parts: [[UInt8]] = [], isRead: Bool = true
    ) -> OutgoingFrame? {
        guard open.contains(request) else { return nil }
        let frame = OutgoingFrame(sequence: nextSequence, reply: request, control: control, parts: parts)
        switch kind {
        case .final:
            open.remove(request)
            kept.append(frame)
        case .condition:
            guard keptConditionBytes + frame.byteCount <= BridgeLimits.conditionBytes else {
                guard isRead else { return nil }
                break
            }
            keptConditionBytes += frame.byteCount
            conditionSizes[frame.sequence] = frame.byteCount
            kept.append(frame)
        case .progress: guard isRead else { return nil }
        }
        nextSequence += 1
        return frame
    }

    /// Nobody waits for the answer of `request` any more.
    package mutating func stopped(_ request: UInt64) { open.remove(request) }

    package func isOpen(_ request: UInt64) -> Bool { open.contains(request) }
}
