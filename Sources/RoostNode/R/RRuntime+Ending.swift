import Glibc
import RoostModel

/// Ends of workers, sessions and jobs.
extension RRuntime {
    /// Ends a worker that runs nothing.
    func end(_ token: UInt64) {
        shelf.remove(token)
        haveWorkersChanged = true
        workers[token]?.isEnding = true
        workers[token]?.since = RoostModel::Clock.now()
        reactor.closeFrames(token: token)
    }

    func forget(_ token: UInt64) -> RWorker? {
        shelf.remove(token)
        guard let worker = workers.removeValue(forKey: token) else { return nil }
        haveWorkersChanged = true
        if let scratch = worker.scratch { DirectoryTree.remove(scratch) }
        worker.temporary?.remove()
        return worker
    }

    func signal(_ slot: Int, _ signal: WorkerSignal) {
        guard let token = tokens[slot] else { return }
        if let position = workers[token]?.waiting.firstIndex(where: { $0.slot == slot }) {
            // It only waits: whoever runs there is not meant.
            tokens[slot] = nil
            if let run = workers[token]?.waiting.remove(at: position) {
                var end = failure(of: run, "it waited for the worker of seat \(run.start.job.seat)")
                end.end = .cancelled
                told.append(.workerEnded(worker: slot, end))
            }
            return
        }
        switch signal {
        case .interrupt: reactor.signal(token: token, SIGINT)
        case .terminate: reactor.signal(token: token, SIGTERM)
        case .kill: reactor.signal(token: token, SIGKILL)
        }
    }

    /// Sends a signal to a worker, and to no other process.
    func signal(processID: Int32, _ signal: Int32) {
        guard let token = workers.first(where: { $0.value.processID == processID })?.key, processID > 0 else { return }
        reactor.signal(token: token, signal)
    }

    /// A server that does not keep up makes tasks that print wait.
    func pauseOutput(isLinkFull: Bool) {
        // All go on, also those whose batch has ended meanwhile: the next would print into a pipe that nobody reads.
        guard isLinkFull else { return workers.keys.forEach { reactor.resumeOutput(token: $0) } }
        for (token, worker) in workers where worker.run?.start.streams == true { reactor.pauseOutput(token: token) }
    }

    // MARK: Sessions and jobs

    func add(_ entry: SetupEntry) throws(RoostError) { try setups.add(entry) }

    func forget(_ job: JobID) {
        for token in workers.keys {
            for handle in workers[token]?.jobs.remove(job) ?? [] {
                reactor.send(token: token, RBatch.control(RBatch.ToWorker.forget, handle))
            }
        }
    }

    /// The session is over: its workers end. One that still runs something was told to drop it.
    func forget(_ session: SessionID) {
        setups.forget(session)
        seats.forget(session)
        for token in shelf.workers(of: session) {
            if workers[token]?.run != nil { reactor.signal(token: token, SIGKILL) } else { end(token) }
        }
    }
}
