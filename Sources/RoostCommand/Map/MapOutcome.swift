package import RoostModel

/// How one task ended, as `roost map` needs to know it: the fact that the pool's client reports.
package struct MapOutcome: Hashable, Sendable {
    /// The task's index in the job, from 0, in the order of submission.
    package var index: Int
    /// The attempt that decided it, from 1.
    package var attempt: Int
    package var kind: OutcomeKind
    /// What happened, in one sentence; empty for a success.
    package var reason: String
    /// The node's name; `:` is this machine, as in GNU parallel.
    package var host: String
    /// When the attempt started, in seconds since 1970.
    package var startSeconds: Double
    package var runSeconds: Double
    /// The exit status; -1 when there is none, because a limit of ours stopped it.
    package var exitStatus: Int32
    /// The signal that ended it; 0 for none.
    package var signal: Int32
    package var stdout: CapturedOutput
    package var stderr: CapturedOutput
    /// The slot it ran in, from 1; nil when not known.
    package var slot: Int?

    package init(
        index: Int, attempt: Int = 1, kind: OutcomeKind = .succeeded, reason: String = "", host: String = ":",
        startSeconds: Double = 0, runSeconds: Double = 0, exitStatus: Int32 = 0, signal: Int32 = 0,
        stdout: CapturedOutput = CapturedOutput(), stderr: CapturedOutput = CapturedOutput(), slot: Int? = nil
    ) {
        self.index = index
        self.attempt = attempt
        self.kind = kind
        self.reason = reason
        self.host = host
        self.startSeconds = startSeconds
        self.runSeconds = runSeconds
        self.exitStatus = exitStatus
        self.signal = signal
        self.stdout = stdout
        self.stderr = stderr
        self.slot = slot
    }
}

/// A piece of a running task's output.
package struct MapChunk: Hashable, Sendable {
    package var index: Int
    package var attempt: Int
    package var stream: OutputChunk.Stream
    /// Where in the attempt's stream it stands.
    package var offset: Int
    package var bytes: [UInt8]

    package init(index: Int, attempt: Int = 1, stream: OutputChunk.Stream, offset: Int, bytes: [UInt8]) {
        self.index = index
        self.attempt = attempt
        self.stream = stream
        self.offset = offset
        self.bytes = bytes
    }
}

/// Bytes to be written to our own standard output or standard error, now or at a task's turn.
package struct OutputWrite: Hashable, Sendable {
    package enum Place: Hashable, Sendable {
        case output
        /// A file of ours, behind what is there of the task's stream already.
        case kept(task: Int)
        /// No bytes of its own: everything that was kept of the task's stream is printed now, and not kept any longer.
        case printKept(task: Int, endsLine: Bool)
        /// It is not wanted any longer.
        case dropKept(task: Int)
    }

    package var stream: OutputChunk.Stream
    package var bytes: [UInt8]
    package var place: Place

    package init(_ stream: OutputChunk.Stream, _ bytes: [UInt8], _ place: Place = .output) {
        self.stream = stream
        self.bytes = bytes
        self.place = place
    }

    /// Whether our output stands in the middle of a line after this; nil: where it stood.
    var leavesMidLine: Bool? {
        switch place {
        case .output: bytes.last != UInt8(ascii: "\n")
        case .printKept(_, let endsLine): !endsLine
        case .kept, .dropKept: nil
        }
    }
}
