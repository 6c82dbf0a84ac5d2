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
        record.leftCommon = stored.leftCommon
        record.damage = stored.damage
        record.isCancelled = stored.standing.isCancelled
        record.isStopped = stored.standing.isStopped
        record.isKilled = stored.standing.isKilled
        record.writtenStanding = stored.standing
        for chunk in stored.chunks { record.tasks.append(chunk.payloads, finished: [], isStored: chunk.isOnDisk) }
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
        cachedArgumentBytes += record.tasks.arguments.byteCount
        let slot = jobs.insert(record)
        jobSlots[stored.spec.id] = slot
        users[record.user].count(record)
        durableJobs.insert(stored.spec.id)
        jobNeedsSession(stored.spec, user: record.user)
        for index in slots.values.sorted() { inheritShare(of: slot, on: index, at: now) }
        jobs[slot].isEndAnnounced = record.isEnded
        if record.damage != nil {
            // It stays as it is until a person forgets it.
        } else if record.isEnded {
            scheduleForgetting(slot, endedFor: stored.endedAge ?? .zero, at: now)
        } else {
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
        for slot in jobs.slots where jobs[slot].awaitsNodes && now >= leaseOfEarlierEpochs(slot) { stopAwaitingNodes(slot) }
        effects.notices.append(.recovered(waited: now - started, nodesMissing: recovery.missing.count))
        noteAllHungry()
    }

    /// Until when a node that was cut off before this server's start may run tasks of an attached job of its client's: strict jobs
    /// wait for that, others do not.
    private func leaseOfEarlierEpochs(_ job: Int) -> Instant {
        jobs[job].spec.policy.isStrict ? started + jobs[job].spec.policy.lease : .zero
    }

    private mutating func stopAwaitingNodes(_ job: Int) {
        jobs[job].awaitsNodes = false
        noteNews(job)
    }

    /// A client has brought an attached job of an earlier epoch: nodes that are not back may run its tasks.
    mutating func awaitNodes(_ job: Int, at now: Instant) {
        let end = leaseOfEarlierEpochs(job)
        guard recovery != nil || now < end else { return }
        jobs[job].awaitsNodes = true
        if now < end { schedule(.strict(jobs[job].spec.id), at: end) }
    }

    mutating func strictLeaseEnded(_ id: JobID) {
        guard recovery == nil, let job = jobSlots[id], jobs[job].awaitsNodes else { return }
        stopAwaitingNodes(job)
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
            // What has an outcome may have another round, which nobody asked to cancel.
            if !cancelRequested.isEmpty { for range in batch.tasks { cancelRequested.subtract(range.first..<range.end) } }
            for item in batch.postMortems { keepEvidence(item.postMortem, task: batch.task(at: Int(item.position))) }
        case .charged(let task, _, _, _, let evidence):
            if let evidence { keepEvidence(evidence, task: task) }
        case .reopened: hadRounds = true
        case .cancelRequested(let ranges):
            for range in ranges { cancelRequested.formUnion(range.clamped(to: tasks.count)) }
        }
    }
}
