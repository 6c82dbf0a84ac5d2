import RoostModel

/// How nodes go: silence, leases, death, and leaving by themselves.
extension Scheduler {
    /// Out of contact: no more work, but its attempts stay granted until the lease ends.
    mutating func suspect(_ slot: Int, at now: Instant, into effects: inout Effects) {
        guard nodes[slot].suspectSince == nil else { return }
        nodes[slot].suspectSince = now
        effects.notices.append(.nodeSuspect(name: nodes[slot].hello.name))
        if jobs.slots.contains(where: { !jobs[$0].crashes.isEmpty }) { noteAllHungry() }
        for share in nodes[slot].shares {
            if configuration.sabotage == .regrantWithoutNewAttempt {
                for run in attemptRuns(share.job, node: slot) {
                    for task in run.tasks.first..<run.tasks.end { jobs[share.job].tasks.stealForSabotage(task) }
                }
            }
            schedule(
                .lease(node: slot, life: nodes[slot].life, suspectSince: now),
                at: now + jobs[share.job].spec.policy.lease)
        }
        schedule(.lease(node: slot, life: nodes[slot].life, suspectSince: now), at: now + Limits.lease)
    }

    mutating func watchSilence(_ slot: Int, at now: Instant) {
        guard !nodes[slot].isWatched else { return }
        nodes[slot].isWatched = true
        schedule(
            .silence(node: slot, life: nodes[slot].life), at: nodes[slot].lastHeard + configuration.suspectAfter)
    }

    mutating func lookForSilence(_ slot: Int, life: UInt64, at now: Instant, into effects: inout Effects) {
        guard nodes.isUsed(slot), nodes[slot].life == life else { return }
        nodes[slot].isWatched = false
        guard nodes[slot].suspectSince == nil, let connection = nodes[slot].connection else { return }
        guard nodes[slot].lastHeard + configuration.suspectAfter <= now else {
            watchSilence(slot, at: now)
            return
        }
        owners[connection] = nil
        nodes[slot].connection = nil
        effects.close(connection, RoostError(.lost, "nothing was heard from the node for too long"))
        suspect(slot, at: now, into: &effects)
    }

    /// Tasks whose job's lease has run out leave the node; when all have, the node is lost.
    mutating func leasesEnded(
        _ slot: Int, life: UInt64, suspectSince: Instant, at now: Instant, into effects: inout Effects
    ) {
        guard nodes.isUsed(slot), nodes[slot].life == life, nodes[slot].suspectSince == suspectSince else { return }
        guard configuration.sabotage != .forgetLostNode else { return }
        let isAwaited = nodes[slot].awaitedUntil != nil
        let reason = isAwaited ? "not back in time after the server's restart" : "out of contact for the whole lease"
        for share in nodes[slot].shares where leaseEnd(of: share.job, on: slot, suspectSince) <= now {
            loseTasks(share.job, node: slot, reason: reason, at: now, into: &effects)
        }
        if nodes[slot].shares.isEmpty && (isAwaited || suspectSince + Limits.lease <= now) {
            loseNode(slot, reason: reason, at: now, into: &effects)
        }
    }

    mutating func guardReported(_ report: GuardReport, at now: Instant, into effects: inout Effects) {
        noteDeath(report, at: now, into: &effects)
        guard let slot = nodeSlots[report.node], nodes[slot].hello.incarnation == report.incarnation else { return }
        loseNode(slot, reason: "its agent died", at: now, into: &effects)
    }

    /// The node is dead: its tasks move at once.
    mutating func loseNode(_ slot: Int, reason: String, at now: Instant, into effects: inout Effects) {
        let tasks = nodes[slot].granted
        for share in nodes[slot].shares {
            loseTasks(share.job, node: slot, reason: reason, at: now, into: &effects)
        }
        counters.nodesLost += 1
        effects.notices.append(.nodeLost(name: nodes[slot].hello.name, reason: reason, tasks: tasks))
        removeNode(slot, RoostError(.lost, "the server gave this node up: \(reason)"), at: now, into: &effects)
    }

    private mutating func removeNode(
        _ slot: Int, _ reason: RoostError, at now: Instant, into effects: inout Effects
    ) {
        if let connection = nodes[slot].connection {
            owners[connection] = nil
            effects.close(connection, reason)
        }
        for user in users.indices {
            for job in users[user].ranked where jobs[job].reservation == slot { jobs[job].reservation = nil }
        }
        nodeSlots[nodes[slot].hello.node] = nil
        write(.nodeGone(nodes[slot].hello.node))
        nodes.remove(slot)
        hungryNodes.removeAll { $0 == slot }
        nodesOwed.removeAll { $0 == slot }
        // What others were to avoid they may be the only ones for now.
        if jobs.slots.contains(where: { !jobs[$0].crashes.isEmpty }) { noteAllHungry() }
        failDeadSeats(at: now)
    }

    /// The node's attempts of one job are over; only what was known to run is charged.
    private mutating func loseTasks(
        _ job: Int, node: Int, reason: String, at now: Instant, into effects: inout Effects
    ) {
        let name = nodes[node].hello.name
        for run in attemptRuns(job, node: node) {
            for task in run.tasks.first..<run.tasks.end {
                let wasRunning = jobs[job].tasks.cells[Int(task)].state == .running
                jobs[job].tasks.progress.lost += 1
                returnFromNode(job, task, node: node, at: now)
                guard wasRunning, jobs[job].tasks.cells[Int(task)].state == .ready else { continue }
                let evidence = PostMortem(reason: "node \(name) was lost: \(reason)", node: name, attempt: run.number)
                charge(job, task, losses: 1, evidence)
                jobs[job].keepEvidence(evidence, task: task)
                if UInt32(jobs[job].tasks.cells[Int(task)].losses) >= jobs[job].spec.policy.nodeLossLimit {
                    hold(job, task, evidence, into: &effects)
                }
            }
        }
        removeShare(of: job, from: node)
    }

    /// It leaves by itself: nothing it had is charged.
    mutating func nodeLeft(_ slot: Int, reason: String, at now: Instant, into effects: inout Effects) {
        for share in nodes[slot].shares {
            for run in attemptRuns(share.job, node: slot) {
                for task in run.tasks.first..<run.tasks.end {
                    returnFromNode(share.job, task, node: slot, at: now)
                }
            }
            removeShare(of: share.job, from: slot)
        }
        effects.notices.append(.nodeLeft(name: nodes[slot].hello.name, reason: reason))
        removeNode(slot, RoostError(.lost, "goodbye"), at: now, into: &effects)
    }
}
