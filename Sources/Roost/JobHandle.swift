public import RoostModel
import RoostWire
import Synchronization

/// A job of this client: where its outcomes come from.
public final class JobHandle: Sendable {
    public let id: JobID
    private let sink: JobSink
    private let pool: Pool
    private let isCancelledWithReader: Bool
    /// Tasks appended and not yet handed over, so that many small ones travel together.
    private let pending = Mutex(PayloadArray())

    init(id: JobID, sink: JobSink, pool: Pool, isCancelledWithReader: Bool = false) {
        self.id = id
        self.sink = sink
        self.pool = pool
        self.isCancelledWithReader = isCancelledWithReader
    }

    // MARK: Tasks

    /// Adds one task; it may wait a moment for others, see ``flush()``. Suspends while too much is on its way.
    /// - Throws: `.limit` when the argument is larger than ``Limits/payloadBytes``.
    public func append(_ argument: [UInt8]) async throws(RoostError) {
        guard argument.count <= Limits.payloadBytes else {
            throw RoostError(.limit, "an argument of \(argument.count) bytes; at most \(Limits.payloadBytes) are allowed")
        }
        let full: PayloadArray? = pending.withLock { pending in
            pending.append(argument)
            guard pending.count >= Limits.chunkTasks || pending.bytes.count >= Limits.chunkBytes else { return nil }
            defer { pending = PayloadArray() }
            return pending
        }
        if let full { try await append(full) }
    }

    /// Adds one command to a job that ``Pool/openCommands(environment:options:)`` opened.
    public func append(_ command: Command) async throws(RoostError) { try await append(command.argument.payload) }

    /// Adds many tasks at once, as one chunk.
    package func append(_ chunk: PayloadArray) async throws(RoostError) {
        guard !chunk.isEmpty else { return }
        pool.tell(.append(id, chunk))
        try await sink.waitForRoom(appending: chunk.submittedBytes)
    }

    /// Adds many tasks at once, for callers that cannot suspend and keep the number of their tasks in bounds
    /// themselves.
    package func post(_ chunk: PayloadArray) {
        guard !chunk.isEmpty else { return }
        pool.tell(.append(id, chunk))
        sink.appended(chunk.submittedBytes)
    }

    /// ``closeTasks()`` for callers of ``post(_:)``.
    package func postClose() { pool.tell(.close(id)) }

    /// Hands over what ``append(_:)-([UInt8])`` has kept back.
    public func flush() async throws(RoostError) {
        let rest = pending.withLock { pending in
            defer { pending = PayloadArray() }
            return pending
        }
        try await append(rest)
    }

    /// No more tasks: their number is known now.
    public func closeTasks() async throws(RoostError) {
        try await flush()
        pool.tell(.close(id))
    }

    /// Waits until the server has all tasks, and knows their number, after ``closeTasks()``. From then on a durable job needs this
    /// client no more: it is on the server's disk.
    /// - Returns: how far the job is.
    /// - Throws: why the server did not take the job, or lost it.
    @discardableResult
    public func waitUntilSubmitted() async throws(RoostError) -> JobProgress {
        // By its number: asked by its id, the job would be told with everything that was noted with it.
        let number = try await number()
        var pause = Duration.milliseconds(2)
        while true {
            if let error = sink.failure { throw error }
            // What is answered is on the disk; and it is answered behind what was sent before.
            switch await pool.query(.job(.numbers([number...number]))) {
            case .jobs(let jobs): if let progress = jobs.first?.progress, progress.isClosed { return progress }
            case .failed(let error): throw error
            case .pool, .explanation, .tokens, .token, .done: throw RoostError(.internal, "an unexpected answer")
            }
            do { try await Task.sleep(for: pause) } catch { throw RoostError(.cancelled, "waiting was cancelled; the job goes on") }
            pause = min(pause * 2, .milliseconds(250))
        }
    }

    // MARK: Outcomes

    /// The outcomes, each task's once, as they come or in order, as the job's options say. To be iterated once.
    public var results: Results { Results(job: self) }

    /// Outcomes of a job, as an asynchronous sequence. Cancelling the Swift task that iterates ends the iteration
    /// with an error, not the job; unless ``JobOptions/isCancelledWithReader`` asks for that.
    public struct Results: AsyncSequence, Sendable {
        public typealias Element = TaskOutcome
        public typealias Failure = RoostError

        let job: JobHandle

        public func makeAsyncIterator() -> Iterator { Iterator(job: job) }

        public struct Iterator: AsyncIteratorProtocol {
            private let job: JobHandle
            private var batch: OutcomeBatch?
            private var position = 0
            private var run = 0
            private var task: TaskIndex = 0

            init(job: JobHandle) { self.job = job }

            public mutating func next() async throws(RoostError) -> TaskOutcome? {
                try await next(isolation: #isolation)
            }

            public mutating func next(
                isolation actor: isolated (any Actor)?
            ) async throws(RoostError) -> TaskOutcome? {
                if batch == nil || position == batch?.count {
                    // Whoever asks for the next one has used the last: the server may let the batch go.
                    if let used = batch?.count { job.used(used) }
                    batch = nil
                    batch = try await job.nextBatch()
                    position = 0
                    run = 0
                    if let first = batch?.tasks.first { task = first.first }
                }
                guard let batch else { return nil }
                if task == batch.tasks[run].end {
                    run += 1
                    task = batch.tasks[run].first
                }
                defer {
                    position += 1
                    task += 1
                }
                return TaskOutcome(batch, task: task, position: position)
            }
        }
    }

    /// Outcomes by the batch, for those who count in millions.
    package func nextBatch() async throws(RoostError) -> OutcomeBatch? {
        do throws(RoostError) {
            return try await sink.nextBatch()
        } catch {
            await cancelIfAsked()
            throw error
        }
    }

    /// Calls `handler` on the pool's event loop with every batch, and with the failure should one end the job: for a
    /// reader that has a thread of its own and need not be woken through a Swift task. In place of ``nextBatch()``.
    package func onOutcomes(_ handler: @escaping @Sendable (Result<OutcomeBatch, RoostError>) -> Void) {
        pool.hear(sink, handler)
    }

    package func used(_ tasks: Int) { pool.tell(.consumed(id, tasks: tasks)) }

    // MARK: Watching and steering

    /// How far the job is, as last heard.
    public var progress: JobProgress { sink.currentProgress }

    /// Whether the job has ended, well or not, as far as this client has heard.
    package var hasEnded: Bool { sink.hasEnded }

    /// Called with every chunk of output of running tasks; needs ``JobOptions/streamsOutput``. The first
    /// ``Limits/earlyOutputBytes`` of what came before this call come with it.
    public func onOutput(_ handler: @escaping @Sendable (OutputChunk) -> Void) { sink.onOutput(handler) }

    /// Called with everything that running tasks signal; needs ``JobOptions/streamsConditions`` or ``JobOptions/streamsOutput``.
    package func onCondition(_ handler: @escaping @Sendable (TaskCondition) -> Void) { sink.onCondition(handler) }

    /// Called whenever the server says how far the job is, about twice a second.
    public func onProgress(_ handler: @escaping @Sendable (JobProgress) -> Void) { sink.onProgress(handler) }

    /// The job's number on its server, for people.
    /// - Throws: why the server did not take the job.
    public func number() async throws(RoostError) -> UInt32 { try await sink.waitForNumber() }

    /// Waits for the end of the job. Outcomes must be read meanwhile (or the job be one that the server keeps).
    public func wait() async throws(RoostError) -> JobProgress {
        do throws(RoostError) {
            return try await sink.waitForEnd()
        } catch {
            await cancelIfAsked()
            throw error
        }
    }

    /// After waiting has failed: was it because nobody wants the job any more?
    private func cancelIfAsked() async {
        if isCancelledWithReader && Task.isCancelled { _ = await pool.query(.cancel(.id(id), tasks: [], kill: false)) }
    }

    /// Cancels the job: waiting tasks never start, running ones are stopped with INT, TERM, KILL (`kill`: KILL at
    /// once). Their outcomes still arrive.
    public func cancel(kill: Bool = false) async throws(RoostError) {
        switch await pool.query(.cancel(.id(id), tasks: [], kill: kill)) {
        case .failed(let error): throw error
        case .pool, .jobs, .explanation, .tokens, .token, .done: break
        }
    }
}
