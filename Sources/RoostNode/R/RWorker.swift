import DequeModule
import Glibc
import RoostModel

/// One R process, as the runtime knows it.
struct RWorker {
    var processID: Int32 = 0
    /// Whether it has said that it is there.
    var isReady = false
    var isEnding = false
    /// Why it was killed, when it did what a worker must not.
    var fault: String?
    var session: SessionID?
    /// How much of its session's setup it has run.
    var setup: UInt32 = 0
    var jobs = KnownJobs()
    /// What it was sent that it answers, in order.
    var awaited: Deque<Awaited> = []
    var run: Run?
    /// The seat that is bound to it; 0: none.
    var seat: UInt32 = 0
    /// What its seat is to run next.
    var waiting: Deque<Run> = []
    var tasksDone = 0
    /// The most memory it may have just now, in bytes; 0: no limit.
    var memoryLimit: Int64 = 0
    /// What R said when a signal caught it: its traceback may push that out of the last lines.
    var caught: String?
    /// Since when it has been doing what it does.
    var since: Instant
    /// Resident, when last looked at.
    var memory: (bytes: UInt64, at: Instant)?
    /// A directory of its own, to be removed after it.
    let scratch: String?
    /// R's own, which a killed R leaves behind.
    var temporary: RTemporaryDirectory?

    enum Awaited { case setup(UInt32), job(handle: Int32) }

    init(scratch: String?, at now: Instant) {
        self.scratch = scratch
        since = now
    }

    /// As the pool is shown it.
    func snapshot(at now: Instant) -> WorkerSnapshot {
        WorkerSnapshot(
            processID: processID, session: session ?? SessionID(rawValue: 0), seat: seat,
            state: isEnding ? .ending : !isReady ? .starting : run == nil ? .idle : .busy,
            task: run.map { TaskID(job: $0.start.job.id, index: $0.start.tasks.first) },
            seconds: max(0, (now - since).inSeconds), memoryBytes: memory?.bytes ?? 0, tasksDone: UInt64(tasksDone))
    }

    /// A batch in the worker's hands.
    struct Run {
        let slot: Int
        let start: WorkerStart
        /// Whether the worker has been sent it.
        var isRunning = false
        var began = Instant.zero
        var printed = OutputCapture(headLimit: Limits.outputHeadBytes, tailLimit: Limits.outputTailBytes)
        private var stdoutBytes: UInt64 = 0
        private var stderrBytes: UInt64 = 0

        init(slot: Int, start: WorkerStart) {
            self.slot = slot
            self.start = start
        }

        func offset(of stream: OutputChunk.Stream) -> UInt64 { stream == .stdout ? stdoutBytes : stderrBytes }

        mutating func advance(_ stream: OutputChunk.Stream, by count: Int) {
            if stream == .stdout { stdoutBytes += UInt64(count) } else { stderrBytes += UInt64(count) }
        }
    }

    /// What the worker needs next for the batch it has.
    mutating func nextStep() -> Step {
        guard isReady, let run, !run.isRunning, awaited.isEmpty else { return .none }
        let job = run.start.job
        if setup < job.setup { return .setup((setup + 1)...job.setup) }
        return jobs.handle(of: job).map { .batch(handle: $0) } ?? .jobThenBatch
    }

    enum Step {
        case none
        /// These entries of its session's setup.
        case setup(ClosedRange<UInt32>)
        case jobThenBatch
        /// The job is known there by this number.
        case batch(handle: Int32)
    }

    /// How it ended, after "the worker has ended:".
    func words(_ end: ProcessEnd) -> String { fault ?? end.words }

    /// What its death means for the batch it had.
    func workerEnd(_ end: ProcessEnd, node: String) -> WorkerEnd {
        var evidence = PostMortem(of: end, node: node, attempt: run?.start.attempt ?? 0)
        if let caught, !evidence.lastOutput.contains(caught) {
            evidence.lastOutput =
                caught + "\n[…]\n"
                + LastLines.of(end.stderr, else: end.stdout, atMost: Limits.postMortemOutputBytes - caught.utf8.count - 8)
        }
        if let fault {
            evidence.reason = "the R process was ended: \(fault)"
        } else if case .exited = end.exit {
            evidence.reason = "the R process ended with \(end.words)\(isReady ? ": the task called quit(), or R gave up" : "")"
        } else {
            evidence.reason = "the R process was \(end.words)"
        }
        if memoryLimit > 0, fault == nil { evidence.reason += "; the task's memory limit was \(memoryLimit >> 20) MiB" }
        guard isReady else {
            evidence.reason = "R did not start: \(evidence.reason)"
            // A signal that is not ours is no fault of this R or the task: the kernel lacks memory, say. It is tried again elsewhere.
            let wasStruck = if case .signalled = end.exit { fault == nil } else { false }
            return WorkerEnd(end: wasStruck ? .crashed : .couldNotStart, payload: [], postMortem: evidence)
        }
        return WorkerEnd(
            end: .crashed, payload: [], postMortem: evidence,
            runNanoseconds: run.map { UInt64(max(0, (RoostModel::Clock.now() - $0.began).wholeNanoseconds)) } ?? 0)
    }
}

/// What a process has in memory.
enum ResidentMemory {
    static func bytes(of pid: Int32) -> UInt64? {
        guard let text = TextFile.text("/proc/\(pid)/statm") else { return nil }
        let fields = text.split(separator: " ")
        guard fields.count > 1, let pages = UInt64(fields[1]) else { return nil }
        return pages * UInt64(sysconf(Int32(_SC_PAGESIZE)))
    }
}
