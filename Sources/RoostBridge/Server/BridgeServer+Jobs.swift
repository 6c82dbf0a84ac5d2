import NIOCore
import RSerialization
import Roost
import RoostModel

extension BridgeServer {
    private static var runtime: RuntimeName { RuntimeName(rawValue: "r") }

    // MARK: Submitting

    /// Opens a job over the elements of X. R is answered before all are cut.
    func submit(_ frame: BridgeFrame) async throws(BridgeFailure) -> (job: BridgeJob, answer: BridgeAnswer) {
        guard frame.parts.count == 2 else { throw .usage("'submit' has two parts: X and the common data") }
        let seed = try RandomSeed(frame.control)
        let cutter = try await Self.cutter(frame.parts[0], seed: seed?.next)
        if Task.isCancelled { throw .stopped }
        let (job, answer) = try open(frame, seed, cutter)
        job.madeBy = frame.header.sequence
        guard job.isDurable else { return (job, answer) }
        return (job, try await answerWhenOnDisk(job, answer))
    }

    /// Opens a job over what the cutter cuts.
    func open(
        _ frame: BridgeFrame, _ seed: RandomSeed?, _ cutter: TaskCutter
    ) throws(BridgeFailure) -> (job: BridgeJob, answer: BridgeAnswer) {
        var options = try JobOptions(frame.control)
        let isOpen = frame.control.flag("open") ?? false
        let isSingle = frame.control.flag("single") ?? false
        if options.retention == .durable {
            guard !isOpen, frame.control.text("op") == "submit" else {
                throw .usage("a durable job is submitted whole, and collected by a later request")
            }
            options.annotation = try Self.annotation(JobNote(names: cutter.names, encoding: cutter.nativeEncoding, isSingle: isSingle))
        }
        guard cutter.count <= BridgeLimits.tasksPerJob else {
            throw BridgeFailure(code: "limit", "\(cutter.count) tasks; a job has \(BridgeLimits.tasksPerJob) at most")
        }
        let handle: JobHandle
        do throws(RoostError) {
            handle = try pool.start(runtime: Self.runtime, common: frame.parts[1], options: options)
        } catch { throw BridgeFailure(error) }
        let job = BridgeJob(
            handle, isOwn: true, isDurable: options.retention == .durable, tasks: cutter.count,
            names: isOpen ? nil : cutter.names, isOpen: isOpen)
        job.isSingle = isSingle
        job.isTransient = isOpen && frame.control.flag("transient") ?? false
        job.holders = 1
        job.nativeEncoding = cutter.nativeEncoding
        jobs[job.id] = job
        if job.isTransient {
            lastBriefJob += 1
            job.brief = lastBriefJob
            briefJobs[lastBriefJob] = job.id
        }
        if options.streamsConditions {
            // On the pool's event loop, as outcomes are: what a task signalled comes before its outcome.
            handle.onCondition { condition in self.assumeIsolated { $0.heard(condition) } }
        }
        follow(job)
        feed(cutter, into: job, closing: !isOpen)
        endIfComplete(job)
        var answer = BridgeAnswer()
        answer.control.set("job", JobText.show(job.id))
        answer.control.set("n", Double(cutter.count))
        if job.isTransient { answer.control.set("brief", Double(job.brief)) }
        if var seed {
            seed.next = seed.next.advanced(by: cutter.count)
            job.seed = (seed.kind, seed.next)
            answer.control.set("seed_next", integers: seed.integers)
        }
        return (job, answer)
    }

    /// Tasks that are too many or too large to be appended at once; or none.
    func append(_ frame: BridgeFrame) async throws(BridgeFailure) -> BridgeAnswer {
        let job = try job(frame.control)
        guard job.isOpen else { throw Self.isClosed }
        let seed = try RandomSeed(frame.control)
        var cutter: TaskCutter?
        if let part = frame.parts.first { cutter = try await Self.cutter(part, seed: seed?.next ?? job.seed?.next) }
        try append(cutter, to: job, closing: frame.control.flag("close") ?? false)
        return appended(to: job)
    }

    private static let isClosed = BridgeFailure(code: "conflict", "the job takes no more tasks: it was closed")

    /// Adds what the cutter cuts to an open job.
    /// - Parameter gathers: whether a few may wait a moment for others.
    func append(_ cutter: TaskCutter?, to job: BridgeJob, closing: Bool, gathers: Bool = false) throws(BridgeFailure) {
        guard job.isOpen else { throw Self.isClosed }
        if let cutter {
            let count = job.outcomes.taskCount + cutter.count
            guard count <= BridgeLimits.tasksPerJob else {
                throw BridgeFailure(code: "limit", "\(count) tasks; a job has \(BridgeLimits.tasksPerJob) at most")
            }
            job.outcomes.grow(to: count)
            if let seed = job.seed { job.seed = (seed.kind, seed.next.advanced(by: cutter.count)) }
        }
        if cutter != nil || closing { feed(cutter, into: job, closing: closing, gathers: gathers) }
        if closing {
            job.isOpen = false
            endIfComplete(job)
        }
    }

    func appended(to job: BridgeJob) -> BridgeAnswer {
        var answer = BridgeAnswer()
        answer.control.set("n", Double(job.outcomes.taskCount))
        if let seed = job.seed { answer.control.set("seed_next", integers: [seed.kind] + seed.next.integers) }
        return answer
    }

    private static func cutter(_ stream: [UInt8], seed: RStreamSeed?) async throws(BridgeFailure) -> TaskCutter {
        if stream.count <= BridgeLimits.inlineBytes { return try cutterHere(stream, seed: seed) }
        // Reading a long list takes time that the connections should not wait for.
        do throws(RSerializationError) {
            return try await cutterElsewhere(stream, seed: seed)
        } catch { throw BridgeFailure(error, in: "X") }
    }

    static func cutterHere(_ stream: [UInt8], seed: RStreamSeed?) throws(BridgeFailure) -> TaskCutter {
        do throws(RSerializationError) {
            return try TaskCutter(stream, seed: seed)
        } catch { throw BridgeFailure(error, in: "X") }
    }

    @concurrent
    private static func cutterElsewhere(
        _ stream: [UInt8], seed: RStreamSeed?
    ) async throws(RSerializationError) -> TaskCutter { try TaskCutter(stream, seed: seed) }

    /// Hands the tasks to the pool behind those of earlier calls: a few at once, many as the pool takes them.
    private func feed(_ cutter: TaskCutter?, into job: BridgeJob, closing: Bool, gathers: Bool = false) {
        if job.feeding == nil, var few = cutter, few.count <= BridgeLimits.inlineTasks, few.byteCount <= BridgeLimits.inlineBytes {
            do throws(RSerializationError) {
                while let chunk = try few.next() { if gathers { gather(chunk, of: job) } else { job.handle.post(chunk) } }
            } catch { return fail(job, BridgeFailure(error, in: "X")) }
            if closing { job.handle.postClose() }
            return
        }
        let before = job.feeding
        let handle = job.handle
        job.feeds += 1
        let feed = job.feeds
        // Ends when all is handed over, or the job takes no more; the end of the pool ends the job.
        job.feeding = Task {
            await before?.value
            do throws(BridgeFailure) {
                if let cutter { try await Self.hand(cutter, to: handle) }
                if closing { handle.postClose() }
            } catch { fail(job, error) }
            if job.feeds == feed { job.feeding = nil }
        }
    }

    @concurrent
    private static func hand(_ cutter: consuming TaskCutter, to handle: JobHandle) async throws(BridgeFailure) {
        var rest = consume cutter
        while true {
            let chunk: PayloadArray?
            do throws(RSerializationError) { chunk = try rest.next() } catch { throw BridgeFailure(error, in: "X") }
            guard let chunk else { return }
            do throws(RoostError) { try await handle.append(chunk) } catch { throw BridgeFailure(error) }
        }
    }

    func fail(_ job: BridgeJob, _ failure: BridgeFailure) {
        if job.failure == nil { job.failure = failure }
        job.isOpen = false
        end(job)
        quit(job)
    }

    // MARK: Outcomes

    /// Takes a job's outcomes as they come, until there are no more.
    func follow(_ job: BridgeJob) {
        let id = job.id
        job.handle.onOutcomes { result in self.assumeIsolated { $0.took(result, of: id) } }
        guard job.isDurable else { return }
        // How many tasks another's job has only its server knows. Ends with the job; the end of the pool ends that.
        Task {
            if let progress = try? await job.handle.wait() { job.outcomes.grow(to: Int(progress.tasks)) }
            end(job)
            leaveIfOver(job)
        }
    }

    private func took(_ result: Result<OutcomeBatch, RoostError>, of id: JobID) {
        switch result {
        case .success(let batch):
            // They are here now: the pool may let them go, whenever R comes for them.
            pool.tell(.consumed(id, tasks: batch.count))
            guard let job = jobs[id] else { return }
            job.outcomes.take(batch)
            answerCalls(of: job)
            answerNexts(of: job)
            endIfComplete(job)
            wake(for: job)
        case .failure(let error):
            guard let job = jobs[id] else { return }
            if job.failure == nil { job.failure = BridgeFailure(error) }
            end(job)
        }
    }

    /// A job of this session is over when each of its tasks has an outcome, and no more tasks can come.
    private func endIfComplete(_ job: BridgeJob) {
        if job.isOwn && !job.isOpen && job.outcomes.isComplete && !job.isOver { end(job) }
    }

    func end(_ job: BridgeJob) {
        job.isOver = true
        answerCalls(of: job)
        answerNexts(of: job)
        wake(for: job)
        finishRun(job)
    }

    // MARK: Steering

    /// Cancels a job, or some of its tasks.
    func cancel(_ control: Control) async throws(BridgeFailure) -> BridgeAnswer {
        let job = try job(control)
        let ranges = try control.has("tasks") ? TaskRange.ranges(control.numbers("tasks")) : []
        if control.has("tasks") && ranges.isEmpty { return BridgeAnswer() }
        if ranges.isEmpty { job.isOpen = false }
        _ = try await ask(.cancel(.id(job.id), tasks: ranges, kill: control.flag("kill") ?? false))
        return BridgeAnswer()
    }

    /// R knows the job no longer, or has never learnt its name.
    func drop(_ job: BridgeJob) {
        failWaiting(for: job)
        jobs[job.id] = nil
        briefJobs[job.brief] = nil
        // A durable one that has ended lies on the server's disk.
        if job.isDurable || !job.isOver { quit(job) }
    }

    func quit(_ job: BridgeJob) {
        let (handle, feeding) = (job.handle, job.feeding)
        guard job.isOwn else { return }
        // Ends with the pool's answer, or with the pool.
        Task {
            try? await handle.cancel()
            await feeding?.value
            handle.postClose()
            // Nobody has learnt its name: it would lie on the server's disk for nothing.
            if job.isDurable, (try? await handle.wait()) != nil { _ = await pool.query(.forget(.id(handle.id))) }
        }
    }
}

extension TaskRange {
    /// Runs of consecutive tasks, of indices from 1.
    fileprivate static func ranges(_ numbers: [Double]?) throws(BridgeFailure) -> [TaskRange] {
        guard let numbers else { throw .usage("'tasks' are indices, from 1") }
        var ranges: [TaskRange] = []
        for number in Set(numbers).sorted() {
            guard let index = TaskIndex(exactly: number), index >= 1, index <= Limits.tasksPerJob else {
                throw .usage("'tasks' are indices, from 1; not \(number)")
            }
            if let last = ranges.last, last.end == index - 1 {
                ranges[ranges.count - 1].count += 1
            } else {
                ranges.append(TaskRange(first: index - 1, count: 1))
            }
        }
        return ranges
    }
}
