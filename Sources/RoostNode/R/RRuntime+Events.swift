import DequeModule
import Glibc
import NIOCore
import RSerialization
import RoostModel
import RoostWire

/// What R processes did.
extension RRuntime {
    func processDid(_ event: ProcessEvent) {
        switch event {
        case .started(let token, let pid):
            workers[token]?.processID = pid
            haveWorkersChanged = true
        case .output(let token, let stream, _, let bytes):
            printed(token, stream, bytes)
        case .frame(let token, let frame):
            received(token, frame)
        case .framesBroken(let token, let reason):
            workers[token]?.fault = reason
            reactor.signal(token: token, SIGKILL)
        case .framesClosed(let token):
            loop.assumeIsolated().scheduleTask(in: Self.calm) {
                if self.workers[token] != nil, self.workers[token]?.isEnding == false {
                    self.breakOff(token, "it closed its connection to the agent")
                }
            }
        case .couldNotStart(let token, _, let message):
            isBroken = true
            guard let worker = forget(token) else { return }
            let end = WorkerEnd(end: .couldNotStart, payload: [], postMortem: PostMortem(reason: message, node: node))
            if let run = worker.run { ended(run.slot, token, end) }
            vacate(worker, token, because: message)
        case .ended(let token, let end):
            guard let worker = forget(token) else { return }
            if !worker.isReady { isBroken = true }
            if let run = worker.run { ended(run.slot, token, worker.workerEnd(end, node: node)) }
            vacate(worker, token, because: worker.words(end))
        }
    }

    /// Hands over what the machine should hear.
    func flush() {
        if haveWorkersChanged {
            haveWorkersChanged = false
            told.append(.workersChanged(snapshots()))
        }
        guard !told.isEmpty else { return }
        let events = told
        told.removeAll(keepingCapacity: true)
        tell(events)
    }

    /// The workers that are processes already, in the order of their starts.
    func snapshots() -> [WorkerSnapshot] {
        let now = RoostModel::Clock.now()
        return workers.keys.sorted().compactMap { token in
            guard let pid = workers[token]?.processID, pid > 0 else { return nil }
            if workers[token]?.memory.map({ now - $0.at >= Self.memoryAge }) ?? true {
                workers[token]?.memory = ResidentMemory.bytes(of: pid).map { ($0, now) }
            }
            return workers[token]?.snapshot(at: now)
        }
    }

    private func printed(_ token: UInt64, _ stream: OutputChunk.Stream, _ bytes: [UInt8]) {
        if stream == .stderr, let caught = CaughtSignal.line(in: bytes) { workers[token]?.caught = caught }
        // No copy of the run is held: what it printed would be copied with every piece, a megabyte for a line.
        let known = workers[token]?.run.map { run in
            (
                slot: run.slot, offset: run.offset(of: stream), isRunning: run.isRunning,
                isSent: run.start.streams && run.start.tasks.count == 1
            )
        }
        guard let known, known.isRunning else { return }
        if stream == .stdout { bytes.withUnsafeBytes { workers[token]?.run?.printed.append($0) } }
        if known.isSent {
            told.append(.workerPrinted(worker: known.slot, stream, offset: known.offset, bytes: bytes))
        }
        workers[token]?.run?.advance(stream, by: bytes.count)
    }

    private func received(_ token: UInt64, _ frame: WorkerFrame) {
        guard workers[token] != nil else { return }
        switch frame.kind {
        case RBatch.FromWorker.ready:
            isBroken = false
            haveWorkersChanged = true
            workers[token]?.isReady = true
            let temporary = RBatch.temporaryDirectory(frame)
            let scratch = workers[token]?.scratch
            workers[token]?.temporary = temporary.flatMap { RTemporaryDirectory($0, besides: scratch) }
            workers[token]?.memory = nil
            workers[token]?.since = RoostModel::Clock.now()
            advance(token)
        case RBatch.FromWorker.settled: settled(token, frame)
        case RBatch.FromWorker.condition: signalled(token, frame)
        case RBatch.FromWorker.done: done(token, frame)
        default: breakOff(token, "it sent a frame of unknown kind \(frame.kind)")
        }
    }

    /// A setup entry or a job's data is in force, or is not.
    private func settled(_ token: UInt64, _ frame: WorkerFrame) {
        guard let awaited = workers[token]?.awaited.popFirst() else {
            return breakOff(token, "it answered what nobody asked")
        }
        let fault = Self.fault(in: frame.first)
        switch awaited {
        case .setup(let number):
            if let fault { setupFailed(token, number, fault) } else { workers[token]?.setup = number }
        case .job(let handle):
            // The tasks of the batch behind it say what is wrong. Later ones try again: the fault may have been an interrupt meant for
            // the batch, or a package that is installed by then.
            guard fault != nil else { break }
            workers[token]?.jobs.drop(handle)
            reactor.send(token: token, RBatch.control(RBatch.ToWorker.forget, handle))
        }
        advance(token)
    }

    private static func fault(in stream: [UInt8]) -> String? {
        guard case .list(let list) = try? RValue(stream: stream), list.elements.count == 2 else { return "no answer" }
        guard case .string(let text) = list.elements[1] else { return nil }
        return text.elements.first?.text ?? "an error"
    }

    /// The tasks fail, and the worker with half a setup goes: the next one tries it from the start.
    private func setupFailed(_ token: UInt64, _ number: UInt32, _ fault: String) {
        guard let run = workers[token]?.run else { return end(token) }
        workers[token]?.run = nil
        workers[token]?.awaited.removeAll()
        ended(
            run.slot, token,
            WorkerEnd(
                end: .failed, payload: [],
                postMortem: PostMortem(
                    reason: "the session's setup (entry \(number)) failed on this node: \(fault)", node: node,
                    attempt: run.start.attempt)))
        if let worker = workers[token] {
            vacate(worker, token, because: "entry \(number) of the session's setup failed there: \(fault)")
            workers[token]?.waiting.removeAll()
        }
        end(token)
    }

    private func signalled(_ token: UInt64, _ frame: WorkerFrame) {
        guard let run = workers[token]?.run, run.isRunning, !frame.second.isEmpty,
            case .list(let list) = try? RValue(stream: frame.first),
            case .integer(let position) = list.elements.first, let task = position.elements.first,
            (1...run.start.arguments.count).contains(Int(task)), let item = try? RItem.fromStream(frame.second)
        else { return }
        told.append(.workerSignalled(worker: run.slot, position: Int(task) - 1, bytes: item))
    }

    private func done(_ token: UInt64, _ frame: WorkerFrame) {
        guard let run = workers[token]?.run, run.isRunning else { return breakOff(token, "it answered what nobody asked") }
        let nanoseconds = UInt64(max(0, (RoostModel::Clock.now() - run.began).wholeNanoseconds))
        var batch: OutcomeBatch
        do throws(RoostError) {
            batch = try RBatch.outcomes(
                of: run.start, frame, printed: run.start.tasks.count == 1 ? run.printed.captured : nil, node: node,
                nanoseconds: nanoseconds)
        } catch {
            return breakOff(token, error.cause)
        }
        if run.start.job.request.memoryBytes > 0 { batch.noteMemoryLimit(run.start.job.request.memoryBytes) }
        workers[token]?.run = nil
        if run.start.job.policy.isStrict { reactor.limit(token: token, to: nil) }
        turned(token)
        workers[token]?.tasksDone += batch.count
        if tokens[run.slot] == token { tokens[run.slot] = nil }
        shelf.end(token)
        told.append(.batchEnded(worker: run.slot, batch))
        if isUsedUp(token) { end(token) } else { beginNext(token) }
        noteSpare()
    }

    private func isUsedUp(_ token: UInt64) -> Bool {
        // What a seat's worker holds is what the seat is for.
        guard let worker = workers[token], worker.seat == 0 else { return false }
        if let most = configuration.maxTasks, worker.tasksDone >= most { return true }
        guard let most = configuration.maxMemoryBytes, worker.processID > 0 else { return false }
        return ResidentMemory.bytes(of: worker.processID).map { $0 > most } ?? false
    }

    /// The worker does what it must not: it is killed, and what it ran is charged as a crash.
    private func breakOff(_ token: UInt64, _ reason: String) {
        workers[token]?.fault = reason
        reactor.signal(token: token, SIGKILL)
    }
}
