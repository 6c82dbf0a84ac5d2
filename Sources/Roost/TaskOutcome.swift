public import RoostModel
import RoostWire

/// How one task ended, with what it returned.
public struct TaskOutcome: Sendable {
    /// The task's index in its job.
    public var task: Int
    public var kind: OutcomeKind
    /// What happened to the attempt that decided.
    public var end: AttemptEnd
    /// The number of that attempt, counted from 1; 0 when the task never ran.
    public var attempt: Int
    /// The node it ran on; empty when it never ran.
    public var node: String
    /// What the runtime returned.
    public var payload: ArraySlice<UInt8>
    /// The evidence of an abnormal end.
    public var postMortem: PostMortem?

    package init(_ batch: OutcomeBatch, task: TaskIndex, position: Int) {
        let code = batch.code(at: position)
        self.task = Int(task)
        kind = code.kind
        end = code.end
        attempt = Int(batch.attempt(at: position))
        node = batch.node
        payload = batch.payloads[position]
        postMortem = batch.postMortems.isEmpty ? nil : batch.postMortem(at: position)
    }

    /// The result of a command; nil for other runtimes, and for commands that never ran.
    public var command: CommandResult? { try? CommandResult(payload: payload) }

    /// What a command wrote to its standard output, as text. Of long output its middle is missing:
    /// ``CommandResult/stdout`` says how much.
    public var output: String { Self.text(command?.stdout) }

    /// What a command wrote to its standard error.
    public var errorOutput: String { Self.text(command?.stderr) }

    private static func text(_ captured: CapturedOutput?) -> String {
        captured.map { String(decoding: $0.head + $0.tail, as: UTF8.self) } ?? ""
    }

    public var isSuccess: Bool { kind == .succeeded }
}
