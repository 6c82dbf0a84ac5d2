import RoostModel

/// Giving work to workers, and what becomes of it.
extension NodeMachine {
    mutating func startWorkers(at now: Instant, into actions: inout [NodeAction]) {
        // What waits is given back, as soon as there is somebody to give it to.
        guard drainReason == nil else { return }
        var position = 0
        var looked = 0
        while position < queue.count, looked < 64, unacknowledgedBytes < mostUnacknowledgedBytes {
            guard let spec = jobs[queue[position].job] else {
                // The server forgot the job; nobody waits for these tasks.
                queue.discard(at: position)
                continue
            }
            // Its setup may still be on its way: large, and in pieces.
            let fits =
                spec.setup > setups[spec.session]?.count ?? 0 || isSeatBusy(spec)
                ? false
                : sabotage == .overCommit ? running < 2 * workers.count + 2 : free.fits(spec.request, atMost: 1) > 0
            guard fits, mayBegin(spec, at: now) else {
                position += 1
                looked += 1
                continue
            }
            let count = min(batchSize(spec, isSingle: queue[position].isSingle), queue[position].count)
            start(queue.take(count, at: position), spec, at: now, into: &actions)
        }
    }

    /// A seat's tasks run one after the other: a second one would only hold a slot.
    private func isSeatBusy(_ spec: JobSpec) -> Bool {
        spec.seat != 0 && workers.contains { $0?.seat == spec.seat && $0?.session == spec.session }
    }

    /// How many tasks a worker is given at once: as many as take a moment, and one while nobody knows how long
    /// they are.
    private func batchSize(_ spec: JobSpec, isSingle: Bool) -> Int {
        if spec.runtime == .digest { return Self.batchTasks }
        guard spec.runtime.keepsWorkers, !isSingle, let mean = meanNanoseconds[spec.id] else { return 1 }
        var time = Self.batchTime
        // A batch that runs into the timeout is run again, task by task: that should not happen to short ones.
        if let timeout = spec.policy.timeout { time = min(time, timeout / 4) }
        return max(1, min(Int(Double(time.wholeNanoseconds) / max(mean, 1)), Self.batchTasks))
    }

    private mutating func start(
        _ run: GrantRun, _ spec: JobSpec, at now: Instant, into actions: inout [NodeAction]
    ) {
        let attempts = run.attempts
        var worker = Worker(
            job: spec.id, request: spec.request, keepsWorkers: spec.runtime.keepsWorkers, attempts: attempts, arguments: run.arguments,
            started: now, timeout: spec.policy.timeout,
            timeoutAt: spec.policy.timeout.map { now + $0 } ?? .never, grace: spec.policy.killGrace,
            strictLease: spec.policy.leaseAtNode)
        (worker.seat, worker.session) = (spec.seat, spec.session)
        free.subtract(spec.request)
        running += 1
        if spec.seat != 0 { seats[spec.session, default: [:]][spec.seat] = attempts.epoch }
        setups[spec.session]?.epoch = attempts.epoch
        let slot = workers.firstIndex { $0 == nil } ?? workers.count
        if slot == workers.count { workers.append(worker) } else { workers[slot] = worker }
        let isWatched =
            watchedJobs.contains(spec.id)
            || (!watches.isEmpty && watches.contains(TaskID(job: spec.id, index: attempts.tasks.first)))
        actions.append(
            .start(
                worker: slot,
                WorkerStart(
                    job: spec, epoch: attempts.epoch, attempt: attempts.number, tasks: attempts.tasks,
                    arguments: run.arguments, isWatched: isWatched)))
    }

    private mutating func freeWorker(_ worker: Int) -> Worker? {
        guard worker < workers.count, let record = workers[worker] else { return nil }
        workers[worker] = nil
        running -= 1
        if !record.isWaiting { free.add(record.request) }
        return record
    }

    /// Its worker serves another task of the session meanwhile, which has a slot of its own.
    mutating func workerWaits(_ worker: Int) {
        guard let record = workers[worker], !record.isWaiting else { return }
        workers[worker]?.isWaiting = true
        workers[worker]?.timeoutAt = .never
        free.add(record.request)
    }

    mutating func workerBegan(_ worker: Int, at now: Instant) {
        guard let record = workers[worker], record.isWaiting else { return }
        workers[worker]?.isWaiting = false
        workers[worker]?.started = now
        if record.stopping == .no { workers[worker]?.timeoutAt = record.timeout.map { now + $0 } ?? .never }
        free.subtract(record.request)
    }

    mutating func workerEnded(_ worker: Int, _ end: WorkerEnd, at now: Instant) {
        guard var record = freeWorker(worker), !record.isDropped else { return }
        // This process was stopped while the lease ended, and the guard has seen to it.
        if end.end == .crashed, record.stopping == .no, expiry(of: record) <= now { record.stopping = .expired }
        let isBatch = record.attempts.tasks.count > 1
        // Nobody knows which of them it was: each for itself will show. None is charged.
        if isBatch, record.stopping != .expired, record.stopping == .timedOut || (record.stopping == .no && end.end == .crashed) {
            return queue.returnSingly(GrantRun(attempts: record.attempts, arguments: record.arguments))
        }
        let code: OutcomeCode
        switch (record.stopping, end.end) {
        case (_, .succeeded): code = .succeeded
        case (.cancelled, _): code = OutcomeCode(.cancelled, .cancelled)
        case (.timedOut, _): code = OutcomeCode(.failed, .timedOut)
        case (.expired, _): code = OutcomeCode(.cancelled, .reclaimed)
        case (.no, .crashed): code = OutcomeCode(.held, .crashed)
        case (.no, _): code = OutcomeCode(.failed, end.end)
        }
        var evidence = end.postMortem
        if record.stopping == .timedOut { evidence?.reason = Self.timedOut(record) }
        for task in record.attempts.tasks.first..<record.attempts.tasks.end {
            guard record.isMeant(task) else {
                putBackSingly(task, of: record)
                continue
            }
            ended(record.attempts, task: task, code, payload: end.payload[...], evidence, end.runNanoseconds)
        }
    }

    private static func timedOut(_ record: Worker) -> String {
        "ran longer than its timeout of \(record.timeout?.inSeconds ?? 0) s"
    }

    /// A worker has done all it was given. What it was interrupted in is cancelled or timed out, not failed.
    mutating func batchEnded(_ worker: Int, _ batch: OutcomeBatch) {
        guard let record = freeWorker(worker), !record.isDropped else { return }
        measure(batch)
        var batch = batch
        leftUndone(record, done: batch.count)
        if record.stopping != .no {
            let code =
                switch record.stopping {
                case .cancelled: OutcomeCode(.cancelled, .cancelled)
                case .expired: OutcomeCode(.cancelled, .reclaimed)
                case .timedOut, .no: OutcomeCode(.failed, .timedOut)
                }
            for position in batch.codes.indices where batch.codes[position].end == .failed {
                batch.codes[position] = code
            }
            if record.stopping == .cancelled { batch = withoutBystanders(batch, record) }
            if record.stopping == .timedOut {
                for index in batch.postMortems.indices { batch.postMortems[index].postMortem.reason = Self.timedOut(record) }
            }
        }
        if batch.count > 0 { building.append(batch) }
    }

    /// The interrupt was for one task of the batch, and may have met another: that runs again, alone.
    private mutating func withoutBystanders(_ batch: OutcomeBatch, _ record: Worker) -> OutcomeBatch {
        let first = record.attempts.tasks.first
        let isHit = { (position: Int) in batch.codes[position].end == .cancelled && !record.isMeant(first + UInt32(position)) }
        guard batch.codes.indices.contains(where: isHit) else { return batch }
        var rest = OutcomeBatch(job: batch.job, epoch: batch.epoch, node: batch.node)
        rest.runNanoseconds = batch.runNanoseconds
        for position in batch.codes.indices {
            let task = first + UInt32(position)
            if isHit(position) {
                putBackSingly(task, of: record)
            } else {
                rest.append(
                    task: task, attempt: record.attempts.number, code: batch.codes[position], payload: batch.payloads[position],
                    postMortem: batch.postMortem(at: position))
            }
        }
        return rest
    }

    private mutating func putBackSingly(_ task: TaskIndex, of record: Worker) {
        var attempts = record.attempts
        attempts.tasks = TaskRange(first: task, count: 1)
        let at = record.arguments.positions.lowerBound + Int(task - record.attempts.tasks.first)
        queue.returnSingly(GrantRun(attempts: attempts, arguments: record.arguments.base.slice(at..<(at + 1))))
    }

    /// The last tasks of a batch that no worker began wait again, unless they were to be stopped.
    private mutating func leftUndone(_ record: Worker, done: Int) {
        let tasks = record.attempts.tasks
        guard done < Int(tasks.count) else { return }
        var attempts = record.attempts
        attempts.tasks = TaskRange(first: tasks.first + UInt32(done), count: tasks.count - UInt32(done))
        if record.stopping == .no || record.stopping == .timedOut {
            let from = record.arguments.positions.lowerBound + done
            let rest = record.arguments.base.slice(from..<record.arguments.positions.upperBound)
            return queue.putBack(GrantRun(attempts: attempts, arguments: rest))
        }
        for task in attempts.tasks.first..<attempts.tasks.end {
            guard record.isMeant(task) else {
                putBackSingly(task, of: record)
                continue
            }
            ended(attempts, task: task, OutcomeCode(.cancelled, record.stopping == .expired ? .reclaimed : .cancelled), payload: [], nil, 0)
        }
    }

    /// Takes a batch's time into the mean of its job; a longer one counts at once.
    private mutating func measure(_ batch: OutcomeBatch) {
        guard jobs[batch.job]?.runtime.keepsWorkers == true, batch.count > 0 else { return }
        let sample = Double(batch.runNanoseconds) / Double(batch.count)
        let mean = meanNanoseconds[batch.job] ?? sample
        meanNanoseconds[batch.job] = mean + (sample > mean ? 0.5 : 0.3) * (sample - mean)
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
}
