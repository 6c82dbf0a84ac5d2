import DequeModule
import RoostModel

/// What the server says.
extension NodeMachine {
    mutating func serverSaid(_ message: ServerToNode, at now: Instant, into actions: inout [NodeAction]) {
        switch message {
        case .job(let spec):
            jobs[spec.id] = spec
            confirmed[spec.id] = contacts.epoch
            setups[spec.session]?.epoch = contacts.epoch
            // Its tasks may begin when the server has answered.
            if spec.policy.isStrict { sendHeartbeat(at: now, into: &actions) }
        case .grant(let run):
            queue.append(run)
        case .retract(let job, let count):
            actions.append(.send(.retracted(job: job, giveBack(job, atMost: Int(count)))))
        case .cancel(let attempts, let kill):
            for run in attempts { cancel(run, kill: kill, at: now, into: &actions) }
        case .acknowledge(let sequences):
            for sequence in sequences { acknowledged(sequence, into: &actions) }
        case .drop(let runs):
            guard sabotage != .ignoreDrop else { return }
            for run in runs { drop(run, at: now, into: &actions) }
        case .setup(let entry):
            setups[entry.session] = (max(setups[entry.session]?.count ?? 0, entry.number), contacts.epoch)
        case .forgetSession(let session):
            setups[session] = nil
            seats[session] = nil
        case .forget(let job):
            jobs[job] = nil
            confirmed[job] = nil
            meanNanoseconds[job] = nil
            watchedJobs.remove(job)
        case .watch(let job, let task, let on):
            watch(job, task: task, on: on, into: &actions)
        case .killWorker(let processID, let signal):
            actions.append(.signalWorker(processID: processID, signal: signal))
        case .drain:
            if drainReason == nil { drainReason = "the server asked for it" }
        case .shutDown(let reason):
            stop(reason: reason, into: &actions)
        case .heartbeat(let interval):
            heartbeatInterval = interval
            if let sent = heartbeatsSent.popFirst() { provenAt = sent }
        }
    }

    /// The server introduces a job again before the first grant on a new connection, and a job that it forgot
    /// meanwhile it will not mention.
    mutating func forgetUnusedJobs() {
        var used: [JobID: JobSpec] = [:]
        for job in queue.jobs { used[job] = jobs[job] }
        // What a worker leaves undone of a batch goes back into the queue.
        for case let worker? in workers { used[worker.job] = jobs[worker.job] }
        jobs = used
        let finished = Set(unacknowledged.values.map(\.batch.job))
        confirmed = confirmed.filter { used[$0.key] != nil || finished.contains($0.key) }
    }

    /// Takes up to `count` tasks of a job off the end of the queue, and says which.
    mutating func giveBack(_ job: JobID, atMost count: Int) -> [AttemptRun] {
        var runs = queue.giveBack(job, atMost: count, removes: sabotage != .keepRetracted)
        if sabotage == .giveBackRunning {
            var left = count - runs.reduce(0) { $0 + Int($1.tasks.count) }
            for case let worker? in workers where worker.job == job && left > 0 {
                runs.append(worker.attempts)
                left -= Int(worker.attempts.tasks.count)
            }
        }
        return runs
    }

    mutating func cancel(
        _ run: AttemptRun, kill: Bool, at now: Instant, into actions: inout [NodeAction]
    ) {
        for hit in queue.remove(run) {
            for task in hit.tasks.first..<hit.tasks.end {
                ended(hit, task: task, OutcomeCode(.cancelled, .neverRan), payload: [], nil, 0)
            }
        }
        for worker in workers.indices {
            guard let record = workers[worker], overlaps(record, run), !record.isDropped else { continue }
            workers[worker]?.cancelled.append(run.tasks)
            if record.stopping == .no {
                workers[worker]?.stopping = .cancelled
                beginStop(worker, with: kill ? .kill : .interrupt, at: now, into: &actions)
            } else if kill {
                beginStop(worker, with: .kill, at: now, into: &actions)
            }
        }
    }

    /// Whether something that the worker has is named.
    private func overlaps(_ worker: Worker, _ run: AttemptRun) -> Bool {
        let tasks = worker.attempts.tasks
        return worker.job == run.job && worker.attempts.number == run.number
            && worker.attempts.epoch == run.epoch && run.tasks.first < tasks.end && tasks.first < run.tasks.end
    }

    /// Whether all that the worker has is named. A batch of which only a part is, goes on: outcomes that
    /// nobody wants any more are counted and dropped.
    func matches(_ worker: Worker, _ run: AttemptRun) -> Bool {
        let tasks = worker.attempts.tasks
        return worker.job == run.job && worker.attempts.number == run.number
            && worker.attempts.epoch == run.epoch && run.tasks.first <= tasks.first && run.tasks.end >= tasks.end
    }

    mutating func drop(_ run: AttemptRun, at now: Instant, into actions: inout [NodeAction]) {
        _ = queue.remove(run)
        for worker in workers.indices {
            guard let record = workers[worker], matches(record, run), !record.isDropped else { continue }
            workers[worker]?.isDropped = true
            // A worker that outlives its tasks may be a seat's: it is only killed if it does not hear.
            if record.keepsWorkers {
                beginStop(worker, with: .interrupt, at: now, into: &actions)
            } else {
                actions.append(.signal(worker: worker, .kill))
            }
        }
    }

    mutating func watch(_ job: JobID, task: TaskIndex?, on: Bool, into actions: inout [NodeAction]) {
        if let task {
            if on {
                watches.insert(TaskID(job: job, index: task))
            } else {
                watches.remove(TaskID(job: job, index: task))
            }
        } else if on {
            watchedJobs.insert(job)
        } else {
            watchedJobs.remove(job)
        }
        for worker in workers.indices {
            guard let record = workers[worker], record.job == job,
                task == nil || record.attempts.tasks.first == task
            else { continue }
            // What the job's own reader is sent goes on.
            if !on, jobs[job]?.streamsOutput == true { continue }
            actions.append(.stream(worker: worker, on: on))
        }
    }
}
