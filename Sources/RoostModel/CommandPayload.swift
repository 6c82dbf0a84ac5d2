/// The command runtime's common data: what all commands of a job share.
public struct CommandCommon: Hashable, Sendable {
    /// Whether commands see the environment of the agent (the embedded pool does: it is the caller's).
    public var inheritsEnvironment: Bool
    /// Variables set for every command, after the inherited ones.
    public var environment: [Variable]
    /// Where commands run; nil: a fresh directory for each, removed afterwards.
    public var workingDirectory: String?
    /// Of each of stdout and stderr, how much is kept with the outcome: first and last bytes.
    public var outputHeadBytes: Int
    public var outputTailBytes: Int
    /// Of a job whose output is streamed: only what goes beyond the head is, with the head first. So what is small comes
    /// once, with the outcome.
    public var streamsLargeOnly: Bool

    /// An environment variable.
    public struct Variable: Hashable, Sendable {
        public var name: String
        public var value: String
        public init(name: String, value: String) { self.name = name; self.value = value }
    }

    public init(
        inheritsEnvironment: Bool = false, environment: [Variable] = [], workingDirectory: String? = nil,
        outputHeadBytes: Int = Limits.outputHeadBytes, outputTailBytes: Int = Limits.outputTailBytes,
        streamsLargeOnly: Bool = false
    ) {
        self.inheritsEnvironment = inheritsEnvironment
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.outputHeadBytes = outputHeadBytes
        self.outputTailBytes = outputTailBytes
        self.streamsLargeOnly = streamsLargeOnly
    }
}

/// The command runtime's argument: one command line. Bytes, not text: file names need not be UTF-8.
public enum CommandArgument: Hashable, Sendable {
    /// Given to `/bin/sh -c`; to `bash -c` when the environment has functions that bash exported.
    case shell([UInt8])
    /// Program and arguments, executed without a shell.
    case direct([[UInt8]])

    /// Stands in a command where the node puts the number of the slot, which is known only there (`{%}`).
    public static let slotMarker: [UInt8] = Array("\u{1}roost-slot\u{1}".utf8)
}

/// The command runtime's result.
public struct CommandResult: Hashable, Sendable {
    /// 0 ... 255; nil when a signal ended it.
    public var exitStatus: Int32?
    public var signal: Int32?
    /// When it started, in nanoseconds since 1970, by the node's clock.
    public var startNanoseconds: Int64
    public var runNanoseconds: Int64
    public var userMicroseconds: Int64
    public var systemMicroseconds: Int64
    public var peakMemoryBytes: UInt64
    public var stdout: CapturedOutput
    public var stderr: CapturedOutput
    /// The slot of the node it ran in, from 1; 0 when it never ran.
    public var slot: UInt32

    public init(
        exitStatus: Int32?, signal: Int32? = nil, startNanoseconds: Int64 = 0, runNanoseconds: Int64 = 0,
        userMicroseconds: Int64 = 0, systemMicroseconds: Int64 = 0, peakMemoryBytes: UInt64 = 0,
        stdout: CapturedOutput = CapturedOutput(), stderr: CapturedOutput = CapturedOutput(), slot: UInt32 = 0
    ) {
        self.exitStatus = exitStatus
        self.signal = signal
        self.startNanoseconds = startNanoseconds
        self.runNanoseconds = runNanoseconds
        self.userMicroseconds = userMicroseconds
        self.systemMicroseconds = systemMicroseconds
        self.peakMemoryBytes = peakMemoryBytes
        self.stdout = stdout
        self.stderr = stderr
        self.slot = slot
    }
}

/// What a stream printed: its beginning, its end, and how long it was.
public struct CapturedOutput: Hashable, Sendable {
    public var head: [UInt8]
    /// The last bytes, when the stream was longer than the head.
    public var tail: [UInt8]
    public var totalBytes: UInt64

    public init(head: [UInt8] = [], tail: [UInt8] = [], totalBytes: UInt64? = nil) {
        self.head = head
        self.tail = tail
        self.totalBytes = totalBytes ?? UInt64(head.count + tail.count)
    }

    /// How many bytes the stream had in all.
    public var count: Int { Int(clamping: totalBytes) }

    /// Bytes between head and tail that were not kept.
    public var omittedBytes: UInt64 { totalBytes - UInt64(head.count) - UInt64(tail.count) }

    /// The whole stream, or its beginning and end with a line between them that says what is missing.
    package var shown: [UInt8] {
        omittedBytes == 0 ? head + tail : head + Array("\n[… \(omittedBytes) bytes not kept …]\n".utf8) + tail
    }
}

/// A piece of a running task's output.
public struct OutputChunk: Hashable, Sendable {
    public enum Stream: UInt8, Sendable, CaseIterable { case stdout = 1, stderr = 2 }

    public var job: JobID
    public var task: TaskIndex
    public var attempt: UInt32
    public var stream: Stream
    /// Where in the stream the bytes stand.
    public var offset: UInt64
    public var bytes: [UInt8]

    public init(job: JobID, task: TaskIndex, attempt: UInt32, stream: Stream, offset: UInt64, bytes: [UInt8]) {
        self.job = job
        self.task = task
        self.attempt = attempt
        self.stream = stream
        self.offset = offset
        self.bytes = bytes
    }
}
