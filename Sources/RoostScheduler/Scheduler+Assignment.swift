import RoostModel

extension Scheduler {
    /// Grants ready tasks to nodes that may take more.
    ///
    /// Nodes take turns, one lane each, so that work spreads; each picks by rank:
    ///
    ///     users by CPUs held over weight  ▸  a user's jobs by priority, then age  ▸  what fits here
    ///
    /// Granting more to a lane that runs dry needs no new resources, but it too yields to whoever ranks better
    /// and could use the lane: otherwise a long job of short tasks would keep its lanes for ever.
    mutating func assign(at now: Instant, into effects: inout Effects) {
        guard !hungryNodes.isEmpty else { return }
        bindSeats(at: now)
        let poolSlots = self.poolSlots
        var round = hungryNodes
        hungryNodes.removeAll(keepingCapacity: true)
        for slot in round { nodes[slot].isHungry = false }
        var hasIdleNode = false
        while !round.isEmpty {
            var next: [Int] = []
            for slot in round where nodes[slot].isAvailable {
                if grantOnce(slot, poolSlots: poolSlots, at: now, into: &effects) {
                    next.append(slot)
                } else if nodes[slot].free.milliCPUs > 0 {
                    hasIdleNode = true
                }
            }
            round = next
        }
        if hasIdleNode { scheduleRetract(at: now) }
    }

    func isRunnable(_ job: Int) -> Bool {
        jobs[job].grantable(undeliveredBytes: configuration.undeliveredBytes) > 0 && isSetUp(job)
    }

    /// Whether the node can run the job's tasks; those of a seat only where it is, and not before it is anywhere.
    private func mayRun(_ job: Int, on node: Int) -> Bool {
        let spec = jobs[job].spec
        guard nodes[node].obstacle(for: spec) == nil else { return false }
        if spec.seat == 0 || configuration.sabotage == .forgetSeats { return true }
        return seat(of: spec)?.life == nodes[node].life && !isSeatBusy(job, on: node)
    }

    /// CPUs of all nodes that take work.
    var poolSlots: Int {
        var milliCPUs: Int64 = 0
        for slot in 0..<nodes.end where nodes.isUsed(slot) && nodes[slot].isAvailable {
            milliCPUs += nodes[slot].hello.offer.milliCPUs
        }
        return Int(milliCPUs / 1000)
    }

    /// Grants one lane's worth to the node, or tops one job's lanes up; false when it can take nothing.
    private mutating func grantOnce(
        _ node: Int, poolSlots: Int, at now: Instant, into effects: inout Effects
    ) -> Bool {
        if let staying = stayingCandidate(node, poolSlots: poolSlots, at: now) {
            return grant(staying, node: node, at: now, into: &effects)
        }
        var best: Candidate?
        for user in usersByLoad() {
            for job in users[user].ranked where isRunnable(job) {
                guard mayRun(job, on: node) else { continue }
                let candidate = self.candidate(job, user, node, poolSlots: poolSlots)
                if candidate.room > 0 {
                    best = candidate
                    break
                }
                if candidate.isSaturated { continue }
                // Nobody who ranks behind passes a job that waits for this very node: what it frees is saved up.
                if reserve(node, for: job) { return false }
            }
            if best != nil { break }
        }
        guard let best else { return false }
        return grant(best, node: node, at: now, into: &effects)
    }

    /// Work of a session that the node's workers serve already, for as long as they stay with it: to change the
    /// session costs a start and its setup, more than the turn that somebody else loses.
    private func stayingCandidate(_ node: Int, poolSlots: Int, at now: Instant) -> Candidate? {
        for stay in nodes[node].stays where stay.until > now {
            guard let user = setups[stay.session]?.user else { continue }
            for job in users[user].ranked where jobs[job].spec.session == stay.session && isRunnable(job) {
                guard mayRun(job, on: node) else { continue }
                let candidate = self.candidate(job, user, node, poolSlots: poolSlots)
                if candidate.room > 0, !candidate.needsLane || mayTakeLane(stay, on: node) { return candidate }
            }
        }
        return nil
    }

    /// Whether the node is kept free for the job. One node is enough for a job; others take what fits.
    private mutating func reserve(_ node: Int, for job: Int) -> Bool {
        if let reserved = jobs[job].reservation, reserved != node, nodes.isUsed(reserved),
            nodes[reserved].isAvailable, mayRun(job, on: reserved)
        {
            return false
        }
        jobs[job].reservation = node
        return true
    }

    /// A job that ranks best for a node.
    private struct Candidate {
        var job: Int
        var user: Int
        /// How many tasks it may be granted now.
        var room: Int
        var needsLane: Bool
        /// It has as much as it can use here: nothing is blocked on its behalf.
        var isSaturated: Bool
    }

    private func candidate(_ job: Int, _ user: Int, _ node: Int, poolSlots: Int) -> Candidate {
        let depth = jobs[job].depth(poolSlots: poolSlots)
        var limit = jobs[job].grantable(undeliveredBytes: configuration.undeliveredBytes)
        if !jobs[job].crashes.isEmpty {
            limit = min(limit, jobs[job].tasks.readyCount - avoided(job, on: node).count)
            if limit <= 0 { return Candidate(job: job, user: user, room: 0, needsLane: false, isSaturated: true) }
        }
        let share = nodes[node].share(of: job)
        let granted = share.map { nodes[node].shares[$0].granted } ?? 0
        let lanes = share.map { nodes[node].shares[$0].lanes } ?? 0
        // Topping up: only when half of what the lanes may hold is gone, so that grants stay batches.
        if lanes > 0, granted * 2 <= lanes * depth, granted < lanes * depth {
            return Candidate(
                job: job, user: user, room: min(limit, lanes * depth - granted), needsLane: false, isSaturated: false)
        }
        // A seat's tasks run one after the other: more room would stand empty.
        if lanes > 0, jobs[job].spec.seat != 0 {
            return Candidate(job: job, user: user, room: 0, needsLane: false, isSaturated: true)
        }
        if nodes[node].free.fits(jobs[job].spec.request, atMost: 1) > 0, granted >= lanes {
            return Candidate(job: job, user: user, room: min(limit, depth), needsLane: true, isSaturated: false)
        }
        return Candidate(job: job, user: user, room: 0, needsLane: false, isSaturated: lanes > 0)
    }

    /// Tasks that killed a worker on this node and wait: another node that could run them is to try.
    private func avoided(_ job: Int, on node: Int) -> Set<TaskIndex> {
        var avoided: Set<TaskIndex> = []
        for (task, lives) in jobs[job].crashes
        where lives.contains(nodes[node].life) && jobs[job].tasks.cells[Int(task)].state == .ready {
            let hasOther = nodes.slots.contains { other in
                other != node && nodes[other].isAvailable && !lives.contains(nodes[other].life) && mayRun(job, on: other)
            }
            if hasOther { avoided.insert(task) }
        }
        return avoided
    }

    /// Users in the order in which they should be served: least CPUs for their weight first.
    private func usersByLoad() -> [Int] {
        if users.count == 1 { return users[0].ranked.isEmpty ? [] : [0] }
        return users.indices.filter { !users[$0].ranked.isEmpty }
            .sorted { (load($0), users[$0].lastServed, $0) < (load($1), users[$1].lastServed, $1) }
    }

    private func load(_ user: Int) -> Double { Double(users[user].milliCPUs) / users[user].weight }

    private mutating func grant(
        _ candidate: Candidate, node: Int, at now: Instant, into effects: inout Effects
    ) -> Bool {
        guard let connection = nodes[node].connection else { return false }
        let job = candidate.job
        let avoided = jobs[job].crashes.isEmpty ? [] : avoided(job, on: node)
        var left = candidate.room
        var taken = 0
        while left > 0,
            let run = jobs[job].tasks.take(atMost: left, node: node, epoch: configuration.epoch, avoiding: avoided)
        {
            if taken == 0 { introduce(job, to: node, over: connection, into: &effects) }
            left -= Int(run.attempts.tasks.count)
            taken += Int(run.attempts.tasks.count)
            write(job, .granted(run.attempts, nodes[node].hello.node))
            effects.send(.grant(run), to: connection, stored: storedArguments(of: run.attempts.tasks, job))
        }
        guard taken > 0 else { return false }
        account(job, node: node, taken: taken, newLane: candidate.needsLane)
        if candidate.needsLane {
            jobs[job].reservation = nil
            noteStay(job, on: node, at: now)
        }
        return true
    }

    /// Tells the node of the job, once: before the first grant, or when the node goes on with what it was granted in an earlier
    /// epoch.
    mutating func introduce(_ job: Int, to node: Int, over connection: ConnectionID, into effects: inout Effects) {
        guard nodes[node].jobsKnown.insert(job).inserted else { return }
        sendSetup(of: job, to: node, over: connection, into: &effects)
        var spec = jobs[job].spec
        spec.annotation = []
        effects.send(.job(spec), to: connection, stored: storedCommon(of: job))
        for watcher in jobs[job].watchers {
            effects.send(.watch(job: jobs[job].spec.id, task: watcher.task, on: true), to: connection)
        }
    }

    private mutating func account(_ job: Int, node: Int, taken: Int, newLane: Bool) {
        counters.granted += UInt64(taken)
        served += 1
        users[jobs[job].user].lastServed = served
        let share =
            nodes[node].share(of: job)
            ?? {
                nodes[node].shares.append(NodeRecord.Share(job: job, granted: 0, lanes: 0))
                return nodes[node].shares.count - 1
            }()
        nodes[node].shares[share].granted += taken
        guard newLane else { return }
        nodes[node].shares[share].lanes += 1
        jobs[job].lanes += 1
        nodes[node].free.subtract(jobs[job].spec.request)
        users[jobs[job].user].milliCPUs += jobs[job].spec.request.milliCPUs
    }

    // MARK: Taking back what was granted ahead

    private mutating func scheduleRetract(at now: Instant) {
        guard !isRetractScheduled, hasSurplus else { return }
        isRetractScheduled = true
        schedule(.retract, at: now + configuration.retractInterval)
    }

    /// Whether some node holds tasks that no lane of it can be running.
    private var hasSurplus: Bool {
        for slot in 0..<nodes.end where nodes.isUsed(slot) {
            for share in nodes[slot].shares where share.granted > share.lanes && !share.isRetracting { return true }
        }
        return false
    }

    /// For every job of which nothing waits here but something waits at a node: the node with most of it gives
    /// half of that back, if another node could run it now.
    mutating func retractForIdleNodes(at now: Instant, into effects: inout Effects) {
        var fullest: [Int: (node: Int, share: Int, surplus: Int)] = [:]
        var order: [Int] = []
        for slot in 0..<nodes.end where nodes.isUsed(slot) && nodes[slot].connection != nil {
            for (index, share) in nodes[slot].shares.enumerated() where share.granted > share.lanes {
                guard !share.isRetracting, jobs[share.job].tasks.readyCount == 0 else { continue }
                let surplus = share.granted - share.lanes
                if let known = fullest[share.job] {
                    if known.surplus < surplus { fullest[share.job] = (slot, index, surplus) }
                } else {
                    fullest[share.job] = (slot, index, surplus)
                    order.append(share.job)
                }
            }
        }
        for job in order {
            guard let found = fullest[job], let connection = nodes[found.node].connection,
                hasRoomElsewhere(job, than: found.node)
            else { continue }
            nodes[found.node].shares[found.share].isRetracting = true
            let count = UInt32((found.surplus + 1) / 2)
            effects.send(.retract(job: jobs[job].spec.id, count: count), to: connection)
        }
    }

    private func hasRoomElsewhere(_ job: Int, than node: Int) -> Bool {
        for slot in 0..<nodes.end where slot != node && nodes.isUsed(slot) && nodes[slot].isAvailable {
            if mayRun(job, on: slot),
                nodes[slot].free.fits(jobs[job].spec.request, atMost: 1) > 0
            {
                return true
            }
        }
        return false
    }
}
