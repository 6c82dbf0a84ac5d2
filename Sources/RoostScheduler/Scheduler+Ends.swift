import DequeModule
import RoostModel

/// How jobs end: cancelled, stopped at their nodes, forgotten.
extension Scheduler {
    /// No task of the job starts any more; what runs is stopped (`kill`: at once).
    mutating func cancelJob(_ slot: Int, kill: Bool, at now: Instant, into effects: inout Effects) {
        guard jobs[slot].damage == nil, !jobs[slot].isEnded, !jobs[slot].isStopped || (kill && !jobs[slot].isKilled) else { return }
        let isNew = !jobs[slot].isCancelled
        jobs[slot].isCancelled = true
        jobs[slot].isStopped = true
        jobs[slot].isKilled = kill
        jobs[slot].tasks.progress.isClosed = true
        if isNew && configuration.sabotage != .forgetWaitingOnCancel { endWaiting(slot) }
        stopGranted(slot, kill: kill, into: &effects)
        // A node may have been saved up for it.
        if jobs[slot].reservation != nil { noteAllHungry() }
        noteProgress(slot, at: now)
        noteNews(slot)
    }

    /// Records an outcome, `cancelled` by default, for every task that waits.
    mutating func endWaiting(
        _ slot: Int, _ code: OutcomeCode = OutcomeCode(.cancelled, .neverRan), _ evidence: PostMortem? = nil
    ) {
        for task in jobs[slot].tasks.drainReturned() {
            if let evidence { jobs[slot].keepEvidence(evidence, task: task) }
            recordWithoutNode(slot, TaskRange(first: task, count: 1), code, evidence)
        }
        while true {
            let tasks = jobs[slot].tasks.takeNeverGranted(atMost: 65_536)
            guard tasks.count > 0 else { break }
            if let evidence { jobs[slot].keepEvidence(evidence, task: tasks.first) }
            recordWithoutNode(slot, tasks, code, evidence)
        }
    }

    /// Asks every node that has tasks of the job to stop them.
    func stopGranted(_ slot: Int, kill: Bool, into effects: inout Effects) {
        for node in 0..<nodes.end where nodes.isUsed(node) && nodes[node].share(of: slot) != nil {
            guard let connection = nodes[node].connection else { continue }
            let runs = attemptRuns(slot, node: node)
            if !runs.isEmpty { effects.send(.cancel(attempts: runs, kill: kill), to: connection) }
        }
    }

    /// Asks a node for all of a job that no worker of it has.
    func takeBack(_ slot: Int, node: Int, into effects: inout Effects) {
        guard nodes[node].share(of: slot) != nil, let connection = nodes[node].connection else { return }
        effects.send(.retract(job: jobs[slot].spec.id, count: .max), to: connection)
    }

    /// What a node has of a job, as runs.
    func attemptRuns(_ slot: Int, node: Int) -> [AttemptRun] {
        var runs: [AttemptRun] = []
        let table = jobs[slot].tasks
        for index in 0..<Int(table.nextFresh) {
            let cell = table.cells[index]
            guard cell.isGranted, cell.node == Int32(node) else { continue }
            let single = AttemptRun(
                job: jobs[slot].spec.id, epoch: table.epoch(of: TaskIndex(index)), number: cell.attempt,
                tasks: TaskRange(first: TaskIndex(index), count: 1))
            append(TaskIndex(index), of: single, to: &runs)
        }
        return runs
    }

    /// Remembers how far the attempts were numbered of a job that its client does not have all outcomes of: it
    /// may bring the job again, and a node out of contact an outcome of long ago. A durable one nobody brings.
    private mutating func rememberNumbers(_ slot: Int) {
        let job = jobs[slot].spec.id
        let highest = jobs[slot].tasks.highestNumber
        let isDelivered = jobs[slot].isEnded && jobs[slot].tasks.log.base == jobs[slot].tasks.log.end
        guard highest > 0, !isDelivered || jobs[slot].isDurable else { return }
        if forgottenNumbers.updateValue(highest, forKey: job) == nil { forgottenJobs.append(job) }
        if jobs[slot].isDurable { endedJobs.insert(job) }
        if forgottenJobs.count > Limits.forgottenJobs, let oldest = forgottenJobs.popFirst() {
            forgottenNumbers[oldest] = nil
            endedJobs.remove(oldest)
        }
    }

    /// The job leaves the server's memory, its attempts leave their nodes.
    mutating func forgetJob(_ slot: Int, into effects: inout Effects) {
        let job = jobs[slot].spec.id
        rememberNumbers(slot)
        for node in 0..<nodes.end where nodes.isUsed(node) {
            if let connection = nodes[node].connection {
                let runs = nodes[node].share(of: slot) == nil ? [] : attemptRuns(slot, node: node)
                if !runs.isEmpty { effects.send(.drop(runs), to: connection) }
                if nodes[node].knowsJob(slot) { effects.send(.forget(job: job), to: connection) }
            }
            removeShare(of: slot, from: node)
            nodes[node].jobsKnown.remove(slot)
        }
        var sequence = jobs[slot].tasks.log.base
        while sequence < jobs[slot].tasks.log.end {
            if let origin = jobs[slot].tasks.log[sequence].origin { owe(origin) }
            sequence += 1
        }
        for reader in jobs[slot].readers where !reader.isEndSent {
            let error = RoostError(.notFound, "job \(jobs[slot].number) was forgotten while it was read")
            effects.send(.refused(job: job, error), to: reader.connection)
        }
        if jobs[slot].reservation != nil { noteAllHungry() }
        users[jobs[slot].user].ranked.removeAll { $0 == slot }
        withheld.removeAll { $0 == slot }
        sessions[jobs[slot].session]?.jobs.remove(job)
        if jobs[slot].isDurable {
            write(.forgotten(job))
            durableJobsForgotten.append(job)
            cachedArgumentBytes -= jobs[slot].tasks.arguments.byteCount
        }
        jobSlots[job] = nil
        jobsWithNews.removeAll { $0 == slot }
        let spec = jobs[slot].spec
        users[jobs[slot].user].discount(jobs[slot])
        jobs.remove(slot)
        jobLeavesSession(spec, into: &effects)
    }

    // MARK: Keeping ended jobs

    /// A durable job that has ended is kept for a while.
    mutating func scheduleForgetting(_ job: Int, endedFor age: Duration, at now: Instant) {
        guard let keep = jobs[job].spec.policy.keep ?? configuration.keep else { return }
        jobs[job].keptUntil = now + (keep - age)
        schedule(.keep(jobs[job].spec.id), at: now + max(Duration.zero, keep - age))
    }

    mutating func keepingEnded(_ id: JobID, at now: Instant, into effects: inout Effects) {
        guard let job = jobSlots[id], jobs[job].isEnded, let until = jobs[job].keptUntil, until <= now else { return }
        forgetJob(job, into: &effects)
    }
}
