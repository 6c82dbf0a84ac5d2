import RoostModel

/// Giving work to workers, and what becomes of it.
extension NodeMachine {
    mutating func startWorkers(at now: Instant, into actions: inout [NodeAction]) {
        // What waits is given back, as soon as there is somebody to give it to.
        guard drainReason == nil else { return }
        var position = 0
        var looked = 0
        while position < queue.count, looked < 64, unacknowledgedBytes < Limits.unacknowledgedBytes {
            guard let spec = jobs[queue[position].job] else {
                // The server forgot the job; nobody waits for these tasks.
                queue.discard(at: position)
                continue
            }
            let fits =
                sabotage == .overCommit ? running < 2 * workers.count + 2 : free.fits(spec.request, atMost: 1) > 0
            guard fits else {
                position += 1
                looked += 1
                continue
            }
            let count = spec.runtime == .digest ? min(Self.batchTasks, queue[position].count) : 1
            start(queue.take(count, at: position), spec, at: now, into: &actions)
        }
    }

    private mutating func start(
        _ run: GrantRun, _ spec: JobSpec, at now: Instant, into actions: inout [NodeAction]
    ) {
        let attempts = run.attempts
        let worker = Worker(
            job: spec.id, request: spec.request, attempts: attempts, started: now, timeout: spec.policy.timeout,
            timeoutAt: spec.policy.timeout.map { now + $0 } ?? .never, grace: spec.policy.killGrace)
        free.subtract(spec.request)
        running += 1
        let slot = workers.firstIndex { $0 == nil } ?? workers.count
        if slot == workers.count { workers.append(worker) } else { workers[slot] = worker }
        let streams =
            spec.streamsOutput || watchedJobs.contains(spec.id)
            || (!watches.isEmpty && watches.contains(TaskID(job: spec.id, index: attempts.tasks.first)))
        actions.append(
            .start(
                worker: slot,
                WorkerStart(
                    job: spec, epoch: attempts.epoch, attempt: attempts.number, tasks: attempts.tasks,
                    arguments: run.arguments, streams: streams)))
    }

    private mutating func freeWorker(_ worker: Int) -> Worker? {
        guard worker < workers.count, let record = workers[worker] else { return nil }
        workers[worker] = nil
        running -= 1
        free.add(record.request)
        return record
    }

    mutating func workerEnded(_ worker: Int, _ end: WorkerEnd, at now: Instant) {
        guard let record = freeWorker(worker), !record.isDropped else { return }
        let code: OutcomeCode
        switch (record.stopping, end.end) {
        case (_, .succeeded): code = .succeeded
        case (.cancelled, _): code = OutcomeCode(.cancelled, .cancelled)
        case (.timedOut, _): code = OutcomeCode(.failed, .timedOut)
        case (.no, .crashed): code = OutcomeCode(.held, .crashed)
        case (.no, _): code = OutcomeCode(.failed, end.end)
        }
        var evidence = end.postMortem
        if record.stopping == .timedOut {
            evidence?.reason = "ran longer than its timeout of \(record.timeout?.inSeconds ?? 0) s"
        }
        ended(
            record.attempts, task: record.attempts.tasks.first, code, payload: end.payload[...], evidence,
            end.runNanoseconds)
    }

    mutating func batchEnded(_ worker: Int, _ batch: OutcomeBatch) {
        guard let record = freeWorker(worker), !record.isDropped else { return }
        building.append(batch)
    }

    mutating func ended(
        _ run: AttemptRun, task: TaskIndex, _ code: OutcomeCode, payload: ArraySlice<UInt8>, _ evidence: PostMortem?,
        _ nanoseconds: UInt64
    ) {
        let position =
            building.firstIndex { $0.job == run.job && $0.epoch == run.epoch && $0.count < Self.batchTasks }
            ?? {
                building.append(OutcomeBatch(job: run.job, epoch: run.epoch))
                return building.count - 1
            }()
        building[position].append(
            task: task, attempt: run.number, code: code, payload: payload, postMortem: evidence)
        building[position].runNanoseconds += nanoseconds
    }

    mutating func sendOutcomes(into actions: inout [NodeAction]) {
        for batch in building {
            let sequence = nextSequence
            nextSequence += 1
            if sabotage != .forgetWhenSent || !isConnected {
                unacknowledged[sequence] = batch
                unacknowledgedBytes += batch.payloads.bytes.count
            }
            if isConnected { actions.append(.send(.outcomes(sequence: sequence, batch))) }
        }
        building.removeAll(keepingCapacity: true)
    }
}
