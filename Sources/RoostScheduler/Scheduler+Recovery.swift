package import RoostModel

/// After a start: who may still come back with what the last epoch granted.
struct Recovery {
    /// Nodes that were in the pool when the last epoch ended and are not back.
    var missing: Set<NodeID>
}

/// What a server makes of what the one before it left behind.
///
///     on disk: durable jobs, who was granted what     at nodes: attempts, outcomes     at clients: attached jobs
///          └──▶ granted tasks wait for their nodes ◀── inventory ──▶ claims wait for their clients ◀──┘
///
/// Nothing else waits. The wait ends when all nodes are back or known to be gone, and after the recovery window at the latest.
extension Scheduler {
    /// Takes over what a store holds. To be called once, before any event.
    package mutating func restore(_ pool: StoredPool, at now: Instant, into effects: inout Effects) {
        nextJobNumber = max(nextJobNumber, pool.lastJobNumber + 1)
        for stored in pool.setups {
            let session = stored.entry.session
            var record = setups[session] ?? SetupRecord(user: userSlot(stored.user))
            record.entries.append(stored.entry.payload)
            record.bytes += stored.entry.payload.count
            record.written += 1
            setups[session] = record
        }
        var known: [NodeID: StoredNode] = [:]
        for node in pool.nodes { known[node.id] = node }
        for job in pool.jobs { restore(job, known, at: now, into: &effects) }
        if !pool.nodes.isEmpty {
            recovery = Recovery(missing: Set(known.keys))
            schedule(.recovery, at: now + configuration.recoveryWindow)
        }
        if !setups.isEmpty && !areStrangersWatched {
            areStrangersWatched = true
            schedule(.strangers, at: now + configuration.clientGrace)
        }
    }

    private mutating func restore(
        _ stored: StoredJob, _ known: [NodeID: StoredNode], at now: Instant, into effects: inout Effects
    ) {
        var record = JobRecord(
            spec: stored.spec, number: stored.number, user: userSlot(stored.user), session: SessionID(rawValue: 0),
            submitted: now + (.zero - stored.age), epoch: configuration.epoch)
        record.damage = stored.damage
        record.isCancelled = stored.standing.isCancelled
        record.isStopped = stored.standing.isStopped
        record.isKilled = stored.standing.isKilled
        record.writtenStanding = stored.standing
        for chunk in stored.chunks { record.tasks.append(chunk, finished: []) }
        record.tasks.progress.isClosed = stored.standing.isClosed
        var places: [NodeID] = []
        for fact in stored.facts where configuration.sabotage != .forgetStoredOutcome || !fact.isOutcomes {
            record.restore(fact, &places)
        }
        var slots: [Int: Int] = [:]
        for cell in record.tasks.cells where cell.isGranted && slots[Int(cell.node)] == nil {
            guard let node = known[places[Int(cell.node)]] else { continue }
            slots[Int(cell.node)] = nodeSlots[node.id] ?? expect(node, at: now)
        }
        record.tasks.finishRestoring { slots[$0] }
        let slot = jobs.insert(record)
        jobSlots[stored.spec.id] = slot
        durableJobs.insert(stored.spec.id)
        jobNeedsSession(stored.spec, user: record.user)
        for index in slots.values.sorted() { inheritShare(of: slot, on: index, at: now) }
        jobs[slot].isEndAnnounced = record.isEnded
        if record.isEnded {
            scheduleForgetting(slot, endedFor: stored.endedAge ?? .zero, at: now)
        } else if record.damage == nil {
            rank(slot)
            // What was cancelled goes on being so: what waits will never run.
            if record.isCancelled { endWaiting(slot) }
        }
        noteNews(slot)
        if let damage = record.damage {
            effects.notices.append(.jobDamaged(number: record.number, reason: damage.message))
        } else {
            let progress = jobs[slot].tasks.progress
            effects.notices.append(.jobRestored(number: record.number, tasks: progress.tasks, done: progress.done))
        }
    }

    /// A node that has tasks, as far as the store knows, and is not here.
    private mutating func expect(_ node: StoredNode, at now: Instant) -> Int {
        let hello = NodeHello(node: node.id, incarnation: node.incarnation, name: node.name, offer: Resources())
        var record = NodeRecord(
            hello: hello, peer: "", life: nextLife, connection: ConnectionID(rawValue: -1), now: now)
        record.connection = nil
        record.suspectSince = now
        record.awaitedUntil = now + configuration.recoveryWindow
        nextLife += 1
        let slot = nodes.insert(record)
        nodeSlots[node.id] = slot
        schedule(
            .lease(node: slot, life: record.life, suspectSince: now), at: now + configuration.recoveryWindow)
        return slot
    }

    private mutating func inheritShare(of job: Int, on node: Int, at now: Instant) {
        let granted = jobs[job].tasks.cells.reduce(0) { $0 + ($1.isGranted && $1.node == Int32(node) ? 1 : 0) }
        guard granted > 0 else { return }
        nodes[node].shares.append(NodeRecord.Share(job: job, granted: granted, lanes: 0, isInherited: true))
        if jobs[job].spec.policy.isStrict, let since = nodes[node].suspectSince {
            schedule(
                .lease(node: node, life: nodes[node].life, suspectSince: since), at: now + jobs[job].spec.policy.lease)
        }
    }

    /// Until when the job's tasks stay with a node out of contact.
    ///
    /// After a restart the lease is cut to the recovery window: a node that lives comes back at once. Not so when two
    /// attempts must never run at once.
    func leaseEnd(of job: Int, on node: Int, _ suspectSince: Instant) -> Instant {
        let end = suspectSince + jobs[job].spec.policy.lease
        guard let awaited = nodes[node].awaitedUntil, !jobs[job].spec.policy.isStrict else { return end }
        return min(end, awaited)
    }

    // MARK: Nodes coming back

    /// A node that was expected is here: what it really offers is known now.
    mutating func meetIfAwaited(_ slot: Int, _ hello: NodeHello, at now: Instant) {
        guard nodes[slot].awaitedUntil != nil else { return }
        nodes[slot].awaitedUntil = nil
        nodes[slot].hello = hello
        nodes[slot].hello.inventory = []
        nodes[slot].joined = now
        nodes[slot].free = hello.offer
        for share in nodes[slot].shares {
            nodes[slot].free.subtract(jobs[share.job].spec.request, times: share.lanes)
        }
    }

    mutating func noteReturn(of node: NodeID, at now: Instant, into effects: inout Effects) {
        guard recovery?.missing.remove(node) != nil, recovery?.missing.isEmpty == true else { return }
        endRecovery(at: now, into: &effects)
    }

    /// The guard says that an agent is dead that has not been seen in this epoch.
    mutating func noteDeath(_ report: GuardReport, at now: Instant, into effects: inout Effects) {
        guard recovery?.missing.contains(report.node) == true, nodeSlots[report.node] == nil else { return }
        write(.nodeGone(report.node))
        noteReturn(of: report.node, at: now, into: &effects)
    }

    /// All are back, or had time enough: whatever waits may run anywhere.
    mutating func endRecovery(at now: Instant, into effects: inout Effects) {
        guard let recovery else { return }
        self.recovery = nil
        for node in recovery.missing.sorted() where nodeSlots[node] == nil { write(.nodeGone(node)) }
        for slot in jobs.slots where jobs[slot].awaitsNodes {
            jobs[slot].awaitsNodes = false
            noteNews(slot)
        }
        effects.notices.append(.recovered(waited: now - started, nodesMissing: recovery.missing.count))
        noteAllHungry()
    }

    /// What came with the node holds as much of it as runs there.
    mutating func inheritLanes(_ node: Int, _ inventory: [InventoryRun]) {
        for share in nodes[node].shares.indices where nodes[node].shares[share].isInherited {
            let job = nodes[node].shares[share].job
            let id = jobs[job].spec.id
            let running = inventory.reduce(0) {
                $0 + ($1.attempts.job == id && $1.state == .running ? Int($1.attempts.tasks.count) : 0)
            }
            let wanted = min(max(running, 1), nodes[node].shares[share].granted) - nodes[node].shares[share].lanes
            let lanes = min(wanted, nodes[node].free.fits(jobs[job].spec.request, atMost: max(wanted, 0)))
            guard lanes > 0 else { continue }
            nodes[node].shares[share].lanes += lanes
            nodes[node].free.subtract(jobs[job].spec.request, times: lanes)
            jobs[job].lanes += lanes
            users[jobs[job].user].milliCPUs += jobs[job].spec.request.milliCPUs * Int64(lanes)
        }
    }

    // MARK: Claims: attached jobs of an earlier epoch

    /// Until when clients are waited for whose jobs nodes still have something of.
    private var claimsEnd: Instant { started + configuration.clientGrace }

    /// Keeps what a node has of a job of an earlier epoch whose tasks are not here, if its client may still bring them.
    mutating func claim(_ run: InventoryRun, of node: Int, at now: Instant) -> Bool {
        let attempts = run.attempts
        guard attempts.epoch < configuration.epoch, now < claimsEnd, configuration.sabotage != .dropClaims else { return false }
        if let job = jobSlots[attempts.job] {
            guard !jobs[job].isDurable else { return false }
            inherit(run, job: job, from: 0, node: node, at: now)
            // The tasks that are not here may come; of the others the node is told what it may go on with.
            return attempts.tasks.end > jobs[job].tasks.count && !jobs[job].tasks.progress.isClosed
                ? keep(run, of: node) : false
        }
        return keep(run, of: node)
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
            nodes[node].claims[batch.job] != nil
        else { return false }
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
            let count = jobs[job].tasks.count
            let ripe = claim.batches.filter { $0.batch.tasks.allSatisfy { $0.end <= count } }
            nodes[node].claims[id]?.batches.removeAll { batch in ripe.contains { $0.sequence == batch.sequence } }
            for (sequence, batch) in ripe {
                nodes[node].heldSequences.remove(sequence)
                attemptsEnded(node, sequence: sequence, batch, at: now, into: &effects)
            }
        }
    }

    private mutating func inherit(_ run: InventoryRun, job: Int, from first: TaskIndex, node: Int, at now: Instant) {
        var count = 0
        var running = 0
        for task in run.attempts.tasks.clamped(to: jobs[job].tasks.count) where task >= first {
            guard
                jobs[job].tasks.inherit(
                    task, number: run.attempts.number, epoch: run.attempts.epoch, node: node,
                    isRunning: run.state == .running)
            else { continue }
            count += 1
            if run.state == .running { running += 1 }
        }
        guard count > 0 else { return }
        counters.granted += UInt64(count)
        if let share = nodes[node].share(of: job) {
            nodes[node].shares[share].granted += count
            nodes[node].shares[share].isInherited = true
        } else {
            nodes[node].shares.append(NodeRecord.Share(job: job, granted: count, lanes: 0, isInherited: true))
        }
        inheritLanes(node, running > 0 ? [run] : [])
        noteProgress(job, at: now)
    }

    /// Clients had their time: what nodes still have of jobs that nobody brought is not wanted any more.
    mutating func forgetClaims(of node: Int, into effects: inout Effects) {
        let claims = nodes[node].claims
        nodes[node].claims.removeAll()
        for id in claims.keys.sorted() {
            guard let claim = claims[id] else { continue }
            for batch in claim.batches {
                counters.late += UInt64(batch.batch.count)
                owe(OutcomeLog.Origin(nodeSlot: node, life: nodes[node].life, sequence: batch.sequence))
            }
            var unwanted: [AttemptRun] = []
            for run in claim.runs where run.state != .finished {
                for task in run.attempts.tasks.first..<run.attempts.tasks.end {
                    let isWanted =
                        jobSlots[id].map {
                            jobs[$0].tasks.isCurrent(
                                task, attempt: run.attempts.number, epoch: run.attempts.epoch, node: node)
                        } ?? false
                    if !isWanted { append(task, of: run.attempts, to: &unwanted) }
                }
            }
            if !unwanted.isEmpty, let connection = nodes[node].connection {
                effects.send(.drop(unwanted), to: connection)
            }
        }
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

extension TaskFact {
    fileprivate var isOutcomes: Bool { if case .outcomes = self { true } else { false } }
}

extension JobRecord {
    fileprivate mutating func restore(_ fact: TaskFact, _ places: inout [NodeID]) {
        tasks.restore(fact, nodes: &places)
        switch fact {
        case .granted: break
        case .outcomes(_, let batch):
            for item in batch.postMortems { keepEvidence(item.postMortem, task: batch.task(at: Int(item.position))) }
        case .charged(let task, _, _, _, let evidence):
            if let evidence { keepEvidence(evidence, task: task) }
        case .reopened: hadRounds = true
        case .cancelRequested(let ranges):
            for range in ranges { cancelRequested.formUnion(range.clamped(to: tasks.count)) }
        }
    }
}
