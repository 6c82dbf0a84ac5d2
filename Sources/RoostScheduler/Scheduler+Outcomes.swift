import RoostModel

extension Scheduler {
    /// A node reports ends of attempts. Exactly one outcome a task and round is recorded: that of the current
    /// attempt, from the node that has it. Everything else is late: counted and dropped.
    mutating func attemptsEnded(
        _ node: Int, sequence: UInt64, _ batch: OutcomeBatch, at now: Instant, into effects: inout Effects
    ) {
        // The same batch again, after a cut, while the first copy still waits for its client.
        if nodes[node].heldSequences.contains(sequence) { return }
        guard batch.count > 0, batch.epoch <= configuration.epoch else {
            counters.late += UInt64(batch.count)
            return acknowledge(sequence, node, of: nil)
        }
        guard let job = jobSlots[batch.job] else {
            if claim(batch, sequence: sequence, of: node, at: now) { return }
            counters.late += UInt64(batch.count)
            acknowledge(sequence, node, of: nil)
            return
        }
        // What becomes of the job is a person's to decide; until then its node keeps what it has.
        if jobs[job].damage != nil { return }
        // Of an earlier epoch, and its client has not brought all of its tasks yet.
        let count = jobs[job].tasks.count
        if batch.epoch < configuration.epoch, !jobs[job].isDurable, batch.tasks.contains(where: { $0.end > count }),
            claim(batch, sequence: sequence, of: node, at: now)
        {
            return
        }
        if keepsAgain(job, node, sequence: sequence, batch) { return }
        let open = jobs[job].tasks.progress.granted
        if recordAllSucceeded(job, node, sequence: sequence, batch, into: &effects) == false {
            recordOneByOne(job, node, sequence: sequence, batch, at: now, into: &effects)
        }
        let ended = Int(open) - Int(jobs[job].tasks.progress.granted)
        counters.finished += UInt64(ended)
        nodes[node].finished += UInt64(ended)
        applyHalt(job, at: now, into: &effects)
        noteProgress(job, at: now)
        noteNews(job)
    }

    /// Whether the batch stands in the log already, reported by a node that was given up since and is back: it
    /// goes on keeping its copy until the client has the outcomes.
    private mutating func keepsAgain(_ job: Int, _ node: Int, sequence: UInt64, _ batch: OutcomeBatch) -> Bool {
        guard jobs[job].spec.retention == .attached, let first = batch.tasks.first?.first,
            !jobs[job].tasks.isCurrent(first, attempt: batch.attempt(at: 0), epoch: batch.epoch, node: node)
        else { return false }
        var position = 0
        for run in batch.tasks {
            for task in run.first..<run.end {
                defer { position += 1 }
                guard task < jobs[job].tasks.nextFresh else { continue }
                let cell = jobs[job].tasks.cells[Int(task)]
                guard cell.attempt == batch.attempt(at: position), let logged = jobs[job].tasks.sequence(of: cell),
                    jobs[job].tasks.log[logged].batch.epoch == batch.epoch
                else { continue }
                let origin = OutcomeLog.Origin(nodeSlot: node, life: nodes[node].life, sequence: sequence)
                guard jobs[job].tasks.log.adopt(logged, by: origin) else { return false }
                nodes[node].heldSequences.insert(sequence)
                return true
            }
        }
        return false
    }

    /// The node may forget its batch: nobody needs it, or the server's disk will have what there was in it.
    private mutating func acknowledge(_ sequence: UInt64, _ node: Int, of job: Int?) {
        owe(
            OutcomeLog.Origin(nodeSlot: node, life: nodes[node].life, sequence: sequence),
            afterWrites: job.map { jobs[$0].isDurable } ?? false)
    }

    /// The hot path: every attempt of the batch is current and succeeded. False, and nothing changed, otherwise.
    private mutating func recordAllSucceeded(
        _ job: Int, _ node: Int, sequence: UInt64, _ batch: OutcomeBatch, into effects: inout Effects
    ) -> Bool {
        guard batch.codes.isEmpty, batch.attempts.isEmpty, jobs[job].cancelRequested.isEmpty,
            batch.epoch == configuration.epoch
        else { return false }
        let logged = jobs[job].tasks.log.end
        // One run is checked as it is recorded; several must all be looked at first.
        if batch.tasks.count > 1 {
            for run in batch.tasks {
                for task in run.first..<run.end
                where !jobs[job].tasks.isCurrent(task, attempt: 1, epoch: batch.epoch, node: node) {
                    return false
                }
            }
            if hasDuplicates(batch.tasks) { return false }
        }
        var position = 0
        for run in batch.tasks {
            guard
                jobs[job].tasks.recordSuccesses(run, attempt: 1, node: node, sequence: logged, position: position)
            else { return false }
            freeArguments(job, run)
            position += Int(run.count)
        }
        if !jobs[job].crashes.isEmpty {
            for run in batch.tasks {
                for task in run.first..<run.end { noteCrashes(job, task, .succeeded, on: node, into: &effects) }
            }
        }
        release(job, node: node, count: batch.count)
        log(batch, job, node, sequence: sequence)
        jobs[job].measure(nanoseconds: batch.runNanoseconds, count: batch.count)
        return true
    }

    /// A hostile or confused node may name a task twice in one batch.
    private func hasDuplicates(_ runs: [TaskRange]) -> Bool {
        let sorted = runs.sorted { $0.first < $1.first }
        return zip(sorted, sorted.dropFirst()).contains { $0.end > $1.first }
    }

    /// Some of the batch failed, is late or was cancelled: each task is looked at, and what has an outcome goes
    /// into a batch of its own.
    private mutating func recordOneByOne(
        _ job: Int, _ node: Int, sequence: UInt64, _ batch: OutcomeBatch, at now: Instant,
        into effects: inout Effects
    ) {
        var kept = OutcomeBatch(job: batch.job, epoch: batch.epoch)
        let logged = jobs[job].tasks.log.end
        var position = 0
        for run in batch.tasks {
            for task in run.first..<run.end {
                defer { position += 1 }
                guard isAcceptable(job, task, attempt: batch.attempt(at: position), epoch: batch.epoch, node: node) else {
                    jobs[job].tasks.progress.late += 1
                    counters.late += 1
                    continue
                }
                var evidence = batch.postMortem(at: position)
                evidence?.node = nodes[node].hello.name
                evidence?.attempt = batch.attempt(at: position)
                if let evidence { jobs[job].keepEvidence(evidence, task: task) }
                let code = batch.code(at: position)
                noteCrashes(job, task, code.end, on: node, into: &effects)
                guard let outcome = decide(job, task, code.end, evidence, into: &effects) else {
                    returnFromNode(job, task, node: node, at: now)
                    continue
                }
                kept.append(
                    task: task, attempt: batch.attempt(at: position), code: outcome,
                    payload: batch.payloads[position], postMortem: evidence)
                jobs[job].tasks.record(task, outcome.kind, sequence: logged, position: kept.count - 1)
                // What did not succeed may have another round.
                if !jobs[job].isDurable || outcome.kind == .succeeded {
                    freeArguments(job, TaskRange(first: task, count: 1))
                }
                jobs[job].cancelRequested.remove(task)
                jobs[job].crashes[task] = nil
                releaseOne(job, node: node)
            }
        }
        if batch.count > 0 { jobs[job].measure(nanoseconds: batch.runNanoseconds, count: batch.count) }
        if kept.count > 0 {
            kept.runNanoseconds = batch.runNanoseconds
            log(kept, job, node, sequence: sequence)
        } else {
            acknowledge(sequence, node, of: job)
        }
    }

    private func isAcceptable(_ job: Int, _ task: TaskIndex, attempt: UInt32, epoch: Epoch, node: Int) -> Bool {
        if configuration.sabotage == .acceptStaleAttempt {
            return task < jobs[job].tasks.nextFresh && jobs[job].tasks.cells[Int(task)].isGranted
        }
        return jobs[job].tasks.isCurrent(task, attempt: attempt, epoch: epoch, node: node)
    }

    /// Appends to the job's log. The node keeps its copy of an attached job's batch until the client has it.
    private mutating func log(_ batch: OutcomeBatch, _ job: Int, _ node: Int, sequence: UInt64) {
        var batch = batch
        batch.node = nodes[node].hello.name
        let origin = OutcomeLog.Origin(nodeSlot: node, life: nodes[node].life, sequence: sequence)
        switch (jobs[job].spec.retention, configuration.sabotage) {
        case (.attached, .acknowledgeTooEarly):
            owe(origin)
            // Forgotten by the node, and lost here when the next connection of the client asks for it.
            if logLosesForSabotage(job) { batch.payloads = PayloadArray(batch.payloads.ends.map { _ in [] }) }
            jobs[job].tasks.log.append(batch, origin: nil)
        case (.attached, _):
            nodes[node].heldSequences.insert(sequence)
            jobs[job].tasks.log.append(batch, origin: origin)
        case (.durable, _):
            owe(origin, afterWrites: true)
            let logged = jobs[job].tasks.log.append(batch, origin: nil)
            write(job, .outcomes(sequence: logged, batch))
            noteCached(job, sequence: logged, bytes: batch.payloads.bytes.count)
        }
    }

    private func logLosesForSabotage(_ job: Int) -> Bool { jobs[job].readers.isEmpty }

    // MARK: Policy

    /// What an attempt's end means for its task: its outcome, or nil when it is to be tried again.
    private mutating func decide(
        _ job: Int, _ task: TaskIndex, _ end: AttemptEnd, _ evidence: PostMortem?, into effects: inout Effects
    ) -> OutcomeCode? {
        let wasCancelled = jobs[job].isCancelled || jobs[job].cancelRequested.contains(task)
        let policy = jobs[job].spec.policy
        switch end {
        case .succeeded:
            return .succeeded
        case .failed, .timedOut, .memoryExceeded, .couldNotStart:
            if wasCancelled { return OutcomeCode(.failed, end) }
            guard UInt32(jobs[job].tasks.cells[Int(task)].failures) < policy.retries else {
                return OutcomeCode(.failed, end)
            }
            charge(job, task, failures: 1, evidence)
            return nil
        case .crashed:
            if wasCancelled { return OutcomeCode(.cancelled, .cancelled) }
            charge(job, task, crashes: 1, evidence)
            guard
                UInt32(jobs[job].tasks.cells[Int(task)].crashes) >= policy.crashLimit,
                configuration.sabotage != .forgetCrashes
            else { return nil }
            effects.notices.append(
                .taskHeld(number: jobs[job].number, task: task, reason: evidence?.reason ?? "its workers died"))
            return OutcomeCode(.held, .crashed)
        case .cancelled:
            return wasCancelled ? OutcomeCode(.cancelled, .cancelled) : nil
        case .reclaimed, .nodeLost, .neverRan:
            return wasCancelled ? OutcomeCode(.cancelled, .neverRan) : nil
        }
    }

    /// A node on which several tasks crash that then succeed elsewhere is at fault, not they: it is drained.
    private mutating func noteCrashes(
        _ job: Int, _ task: TaskIndex, _ end: AttemptEnd, on node: Int, into effects: inout Effects
    ) {
        if end == .crashed {
            jobs[job].crashes[task, default: []].insert(nodes[node].life)
            return
        }
        guard !jobs[job].crashes.isEmpty, let lives = jobs[job].crashes.removeValue(forKey: task), end == .succeeded else { return }
        for slot in nodes.slots where slot != node && lives.contains(nodes[slot].life) && !nodes[slot].isDraining {
            nodes[slot].crashedHere += 1
            guard nodes[slot].crashedHere >= Limits.crashesOfNode, isWorseThanOthers(slot) else { continue }
            nodes[slot].isDraining = true
            noteAllHungry()
            nodes[slot].drainReason = "\(Limits.crashesOfNode) tasks crashed there that succeeded elsewhere"
            effects.notices.append(.nodeQuarantined(name: nodes[slot].hello.name, tasks: Limits.crashesOfNode))
            if let connection = nodes[slot].connection { effects.send(.drain, to: connection) }
        }
    }

    /// Whether tasks crash on the node far more often than on the others: else it is they, or bad luck everywhere.
    private func isWorseThanOthers(_ slot: Int) -> Bool {
        var (crashed, ended) = (1, 1)
        for other in nodes.slots where other != slot {
            crashed += nodes[other].crashedHere
            ended += Int(clamping: nodes[other].finished)
        }
        let here = Double(nodes[slot].crashedHere) / Double(max(nodes[slot].finished, 1))
        return here >= 5 * Double(crashed) / Double(ended)
    }

    /// Changes the charges of a task, for good.
    mutating func charge(
        _ job: Int, _ task: TaskIndex, failures: UInt8 = 0, crashes: UInt8 = 0, losses: UInt8 = 0, _ evidence: PostMortem?
    ) {
        jobs[job].tasks.charge(task, failures: failures, crashes: crashes, losses: losses)
        let cell = jobs[job].tasks.cells[Int(task)]
        write(job, .charged(task, failures: cell.failures, crashes: cell.crashes, losses: cell.losses, evidence))
    }

    /// Stops a waiting task, with all evidence, for a person to look at.
    mutating func hold(_ job: Int, _ task: TaskIndex, _ evidence: PostMortem, into effects: inout Effects) {
        recordWithoutNode(job, TaskRange(first: task, count: 1), OutcomeCode(.held, .nodeLost), evidence)
        effects.notices.append(.taskHeld(number: jobs[job].number, task: task, reason: evidence.reason))
    }

    /// Records the same outcome for tasks that wait, or were granted and never sent, without any node's report.
    mutating func recordWithoutNode(_ job: Int, _ tasks: TaskRange, _ code: OutcomeCode, _ evidence: PostMortem?) {
        var batch = OutcomeBatch(job: jobs[job].spec.id, epoch: configuration.epoch)
        let logged = jobs[job].tasks.log.end
        for task in tasks.first..<tasks.end {
            let attempt = jobs[job].tasks.cells[Int(task)].attempt
            batch.append(task: task, attempt: attempt, code: code, payload: [], postMortem: evidence)
            jobs[job].tasks.record(task, code.kind, sequence: logged, position: batch.count - 1)
            jobs[job].cancelRequested.remove(task)
            if !jobs[job].crashes.isEmpty { jobs[job].crashes[task] = nil }
        }
        if !jobs[job].isDurable { freeArguments(job, tasks) }
        jobs[job].tasks.log.append(batch, origin: nil)
        write(job, .outcomes(sequence: logged, batch))
        noteNews(job)
    }

    /// What should be given to these tasks is not on disk as it was written: they fail, and nothing else of their job does.
    mutating func grantNotSent(
        _ node: Int, _ attempts: AttemptRun, _ error: RoostError, at now: Instant, into effects: inout Effects
    ) {
        guard let job = jobSlots[attempts.job] else { return }
        for task in attempts.tasks.first..<attempts.tasks.end
        where jobs[job].tasks.isCurrent(task, attempt: attempts.number, epoch: attempts.epoch, node: node) {
            let evidence = PostMortem(reason: error.message, attempt: attempts.number)
            jobs[job].keepEvidence(evidence, task: task)
            recordWithoutNode(
                job, TaskRange(first: task, count: 1), OutcomeCode(.failed, .couldNotStart), evidence)
            releaseOne(job, node: node)
        }
        applyHalt(job, at: now, into: &effects)
        noteProgress(job, at: now)
    }

    /// GNU parallel's `--halt`.
    private mutating func applyHalt(_ job: Int, at now: Instant, into effects: inout Effects) {
        guard let rule = jobs[job].spec.policy.halt, !jobs[job].isCancelled else { return }
        let progress = jobs[job].tasks.progress
        let reached: UInt32
        switch rule.condition {
        case .failed: reached = progress.failed + progress.held
        case .succeeded: reached = progress.succeeded
        case .done: reached = progress.done
        }
        switch rule.threshold {
        case .count(let count):
            guard reached >= count else { return }
        case .percent(let percent):
            // As GNU parallel: a share of all tasks known, and never before three have ended.
            guard progress.tasks > 0, progress.done >= 3,
                UInt64(reached) * 100 >= UInt64(percent) * UInt64(progress.tasks)
            else { return }
        }
        switch rule.urgency {
        case .now:
            cancelJob(job, kill: true, at: now, into: &effects)
        case .soon:
            jobs[job].isCancelled = true
            jobs[job].tasks.progress.isClosed = true
            endWaiting(job)
            // What runs goes on; what waits at nodes does not start.
            for node in 0..<nodes.end where nodes.isUsed(node) { takeBack(job, node: node, into: &effects) }
        }
    }
}
