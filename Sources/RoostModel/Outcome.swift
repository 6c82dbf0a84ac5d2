/// How a task ended, as it is recorded.
public enum OutcomeKind: UInt8, Sendable, CaseIterable {
    case succeeded = 0
    case failed = 1
    case cancelled = 2
    /// Stopped with all evidence, for a person to look at.
    case held = 3
}

/// What happened to the attempt that decided the outcome.
public enum AttemptEnd: UInt8, Sendable, CaseIterable {
    case succeeded = 0
    /// The payload itself said so: a command's exit status other than 0.
    case failed = 1
    /// The worker died under it: a signal.
    case crashed = 2
    case timedOut = 3
    /// It asked for more memory than the job allows.
    case memoryExceeded = 4
    /// The worker could not be started: no such program, no permission.
    case couldNotStart = 5
    case cancelled = 6
    /// The node was drained or reclaimed under it; never the task's fault.
    case reclaimed = 7
    /// The node was lost.
    case nodeLost = 8
    /// Never started: its job was cancelled or halted first.
    case neverRan = 9
}

/// Kind and cause in one byte; a batch keeps one for each task.
public struct OutcomeCode: Hashable, Sendable, RawRepresentable {
    public var rawValue: UInt8

    public init(_ kind: OutcomeKind, _ end: AttemptEnd) { rawValue = kind.rawValue << 4 | end.rawValue }

    public init?(rawValue: UInt8) {
        guard OutcomeKind(rawValue: rawValue >> 4) != nil, AttemptEnd(rawValue: rawValue & 15) != nil else { return nil }
        self.rawValue = rawValue
    }

    public static let succeeded = OutcomeCode(.succeeded, .succeeded)

    public var kind: OutcomeKind {
        OutcomeKind(rawValue: rawValue >> 4) ?? { preconditionFailure("an outcome code is checked when made") }()
    }
    public var end: AttemptEnd {
        AttemptEnd(rawValue: rawValue & 15) ?? { preconditionFailure("an outcome code is checked when made") }()
    }
}

/// The evidence of an abnormal end, for people.
public struct PostMortem: Hashable, Sendable {
    /// One sentence: what happened, in words.
    public var reason: String
    public var node: String
    public var attempt: UInt32
    public var signal: Int32?
    public var exitStatus: Int32?
    /// Peak resident memory in bytes; nil when not known.
    public var peakMemoryBytes: UInt64?
    /// Whether the kernel's out-of-memory killer spoke; nil when it cannot be known here.
    public var outOfMemoryKilled: Bool?
    /// The last lines of output.
    public var lastOutput: String

    public init(
        reason: String, node: String = "", attempt: UInt32 = 0, signal: Int32? = nil, exitStatus: Int32? = nil,
        peakMemoryBytes: UInt64? = nil, outOfMemoryKilled: Bool? = nil, lastOutput: String = ""
    ) {
        self.reason = reason
        self.node = node
        self.attempt = attempt
        self.signal = signal
        self.exitStatus = exitStatus
        self.peakMemoryBytes = peakMemoryBytes
        self.outOfMemoryKilled = outOfMemoryKilled
        self.lastOutput = lastOutput
    }
}

/// Ends of attempts of one job, reported together; each task keeps its own code, payload and evidence.
///
/// A structure of arrays: position p of every array belongs to the same task. Arrays that would say the
/// same for every task are left empty, so a batch of a thousand successes carries ranges, payloads and
/// nothing else.
public struct OutcomeBatch: Equatable, Sendable {
    public var job: JobID
    /// The epoch in which the attempts were granted.
    public var epoch: Epoch
    /// The node's name; filled in by the server for clients.
    public var node: String
    /// The tasks, in the order of the payloads.
    public var tasks: [TaskRange]
    /// Attempt numbers; empty when all are 1.
    public var attempts: [UInt32]
    /// Codes; empty when all succeeded.
    public var codes: [OutcomeCode]
    /// What the tasks returned; a failed one may return something too (its output).
    public var payloads: PayloadArray
    /// Evidence of abnormal ends, by position, ascending.
    public var postMortems: [PositionedPostMortem]
    /// The time all these attempts ran, added up, in nanoseconds.
    public var runNanoseconds: UInt64

    /// A post-mortem and the position of its task in the batch.
    public struct PositionedPostMortem: Hashable, Sendable {
        public var position: UInt32
        public var postMortem: PostMortem
        public init(position: UInt32, postMortem: PostMortem) { self.position = position; self.postMortem = postMortem }
    }

    public init(job: JobID, epoch: Epoch, node: String = "") {
        self.job = job
        self.epoch = epoch
        self.node = node
        tasks = []
        attempts = []
        codes = []
        payloads = PayloadArray()
        postMortems = []
        runNanoseconds = 0
    }

    public var count: Int { payloads.count }

    /// The task whose outcome stands at `position`.
    public func task(at position: Int) -> TaskIndex {
        var left = position
        for run in tasks {
            if left < Int(run.count) { return run.first + TaskIndex(left) }
            left -= Int(run.count)
        }
        preconditionFailure("a position of the batch")
    }

    public func attempt(at position: Int) -> UInt32 { attempts.isEmpty ? 1 : attempts[position] }
    public func code(at position: Int) -> OutcomeCode { codes.isEmpty ? .succeeded : codes[position] }
    public func postMortem(at position: Int) -> PostMortem? {
        postMortems.first { $0.position == UInt32(position) }?.postMortem
    }

    /// Adds one task's end. `payload` is what it returned.
    public mutating func append(
        task: TaskIndex, attempt: UInt32, code: OutcomeCode, payload: ArraySlice<UInt8>, postMortem: PostMortem? = nil
    ) {
        appendHeader(task: task, attempt: attempt, code: code)
        if let postMortem {
            postMortems.append(PositionedPostMortem(position: UInt32(payloads.count), postMortem: postMortem))
        }
        payloads.append(payload)
    }

    /// Adds one task's end. `write` appends what it returned to the bytes, and touches nothing that is there.
    package mutating func append(
        task: TaskIndex, attempt: UInt32, code: OutcomeCode, postMortem: PostMortem?, writing write: (inout [UInt8]) -> Void
    ) {
        appendHeader(task: task, attempt: attempt, code: code)
        if let postMortem {
            postMortems.append(PositionedPostMortem(position: UInt32(payloads.count), postMortem: postMortem))
        }
        payloads.append(writing: write)
    }

    /// Adds a success that returned the eight bytes of `value`.
    public mutating func append(task: TaskIndex, attempt: UInt32, littleEndian value: UInt64) {
        appendHeader(task: task, attempt: attempt, code: .succeeded)
        payloads.append(littleEndian: value)
    }

    private mutating func appendHeader(task: TaskIndex, attempt: UInt32, code: OutcomeCode) {
        if let last = tasks.last, last.end == task {
            tasks[tasks.count - 1].count += 1
        } else {
            tasks.append(TaskRange(first: task, count: 1))
        }
        if attempt != 1 || !attempts.isEmpty {
            if attempts.isEmpty { attempts = Array(repeating: 1, count: payloads.count) }
            attempts.append(attempt)
        }
        if code != .succeeded || !codes.isEmpty {
            if codes.isEmpty { codes = Array(repeating: .succeeded, count: payloads.count) }
            codes.append(code)
        }
    }

    /// Whether the arrays agree in length: what a decoder checks before anybody else sees the batch.
    public var isConsistent: Bool {
        var total = 0
        for range in tasks {
            let (end, overflow) = range.first.addingReportingOverflow(range.count)
            if overflow || end > Limits.tasksPerJob || range.count == 0 { return false }
            total += Int(range.count)
        }
        return total == payloads.count
            && (attempts.isEmpty || attempts.count == total)
            && (codes.isEmpty || codes.count == total)
            && postMortems.allSatisfy { $0.position < UInt32(total) }
    }
}
