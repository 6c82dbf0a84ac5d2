import RoostModel

/// Claims: what nodes have of attached jobs of an earlier epoch waits for the clients that may bring the tasks again.
extension Scheduler {
    /// Until when clients are waited for whose jobs nodes still have something of.
    private var claimsEnd: Instant { started + configuration.clientGrace }

    /// Keeps what a node has of a job of an earlier epoch whose tasks are not here, if its client may still bring them.
    mutating func claim(_ run: InventoryRun, of node: Int, at now: Instant) -> Bool {
        let attempts = run.attempts
        guard attempts.epoch < configuration.epoch, now < claimsEnd, configuration.sabotage != .dropClaims,
            mayBeAwaited(max(attempts.epoch, run.confirmed), of: node), !endedJobs.contains(attempts.job)
        else { return false }
        if let job = jobSlots[attempts.job] {
            guard !jobs[job].isDurable else { return false }
            inherit(run, job: job, from: 0, node: node, at: now)
            // The tasks that are not here may come; of the others the node is told what it may go on with.
            return attempts.tasks.end > jobs[job].tasks.count && !jobs[job].tasks.progress.isClosed
                ? keep(run, of: node) : false
        }
        return keep(run, of: node)
    }

    /// Whether clients have not had their time to come for what the node has of this epoch and no later one knew of: under this
    /// server and, when servers start often, under earlier ones.
    func mayBeAwaited(_ epoch: Epoch, of node: Int) -> Bool {
        nodes[node].hello.contactTime(after: epoch) < configuration.clientGrace
    }

    private mutating func keep(_ run: InventoryRun, of node: Int) -> Bool {
        nodes[node].claims[run.attempts.job, default: NodeRecord.Claim()].runs.append(run)
        if !areStrangersWatched {
            areStrangersWatched = true
            schedule(.strangers, at: claimsEnd)
        }
        return true
    }

    /// Keeps outcomes that a node brings of such a job.
    mutating func claim(_ batch: OutcomeBatch, sequence: UInt64, of node: Int, at now: Instant) -> Bool {
        guard batch.epoch < configuration.epoch, now < claimsEnd, configuration.sabotage != .dropClaims,
            nodes[node].claims[batch.job] != nil, nodes[node].claimedBytes + batch.payloads.bytes.count <= Limits.unacknowledgedBytes
        else { return false }
        nodes[node].claimedBytes += batch.payloads.bytes.count
        nodes[node].claims[batch.job]?.batches.append((sequence, batch))
        nodes[node].heldSequences.insert(sequence)
        return true
    }

    /// The node says anew what it has.
    mutating func forgetClaimedRuns(of node: Int) {
        for job in nodes[node].claims.keys { nodes[node].claims[job]?.runs.removeAll() }
    }

    /// The client has brought the job's tasks from `first` on: whoever has something of them goes on with it.
    mutating func takeClaims(_ job: Int, from first: TaskIndex, at now: Instant, into effects: inout Effects) {
        let id = jobs[job].spec.id
        for node in nodes.slots {
            guard let claim = nodes[node].claims[id] else { continue }
            for run in claim.runs { inherit(run, job: job, from: first, node: node, at: now) }
            inheritLanes(node, claim.runs)
            if let connection = nodes[node].connection, nodes[node].share(of: job) != nil {
                introduce(job, to: node, over: connection, into: &effects)
            }
            let count = jobs[job].tasks.count
            // Another node came first with these tasks, or nobody wants them any more.
            drop(unwanted(claim.runs, on: node, of: first..<count), by: node, into: &effects)
            let ripe = claim.batches.filter { $0.batch.tasks.allSatisfy { $0.end <= count } }
            nodes[node].claims[id]?.batches.removeAll { batch in ripe.contains { $0.sequence == batch.sequence } }
            for (sequence, batch) in ripe {
                nodes[node].claimedBytes -= batch.payloads.bytes.count
                nodes[node].heldSequences.remove(sequence)
                attemptsEnded(node, sequence: sequence, batch, at: now, into: &effects)
            }
        }
    }

    private mutating func inherit(_ run: InventoryRun, job: Int, from first: TaskIndex, node: Int, at now: Instant) {
        guard mayGoOnWithSeat(of: job, run.attempts.epoch, on: node) else { return }
        var count = 0
        for task in run.attempts.tasks.clamped(to: jobs[job].tasks.count) where task >= first {
            guard
                jobs[job].tasks.inherit(
                    task, number: run.attempts.number, epoch: run.attempts.epoch, node: node,
                    isRunning: run.state == .running)
            else { continue }
            count += 1
        }
        guard count > 0 else { return }
        keepSeat(of: job, on: node)
        counters.granted += UInt64(count)
        if let share = nodes[node].share(of: job) {
            nodes[node].shares[share].granted += count
            nodes[node].shares[share].isInherited = true
        } else {
            nodes[node].shares.append(NodeRecord.Share(job: job, granted: count, lanes: 0, isInherited: true))
        }
        noteProgress(job, at: now)
    }

    /// Clients had their time: what nodes still have of jobs that nobody brought is not wanted any more.
    mutating func forgetClaims(of node: Int, into effects: inout Effects) {
        let claims = nodes[node].claims
        nodes[node].claims.removeAll()
        nodes[node].claimedBytes = 0
        for id in claims.keys.sorted() {
            guard let claim = claims[id] else { continue }
            for batch in claim.batches {
                counters.late += UInt64(batch.batch.count)
                owe(OutcomeLog.Origin(nodeSlot: node, life: nodes[node].life, sequence: batch.sequence))
            }
            drop(unwanted(claim.runs, on: node, of: 0..<TaskIndex.max), by: node, into: &effects)
        }
    }

    /// What the node still has of these tasks, and should not.
    private func unwanted(_ runs: [InventoryRun], on node: Int, of tasks: Range<TaskIndex>) -> [AttemptRun] {
        var unwanted: [AttemptRun] = []
        for run in runs where run.state != .finished {
            let attempts = run.attempts
            for task in (attempts.tasks.first..<attempts.tasks.end).clamped(to: tasks) {
                let isWanted =
                    jobSlots[attempts.job].map {
                        jobs[$0].tasks.isCurrent(task, attempt: attempts.number, epoch: attempts.epoch, node: node)
                    } ?? false
                if !isWanted { append(task, of: attempts, to: &unwanted) }
            }
        }
        return unwanted
    }

    private func drop(_ unwanted: [AttemptRun], by node: Int, into effects: inout Effects) {
        guard !unwanted.isEmpty, let connection = nodes[node].connection else { return }
        effects.send(.drop(unwanted), to: connection)
    }
}
