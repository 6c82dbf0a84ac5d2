import RoostModel

extension Scheduler {
    // MARK: Joining and coming back

    mutating func nodeConnected(
        _ connection: ConnectionID, _ hello: NodeHello, peer: String, at now: Instant, into effects: inout Effects
    ) {
        let known = nodeSlots[hello.node]
        if let known, hello.incarnation < nodes[known].hello.incarnation {
            effects.close(
                connection,
                RoostError(
                    .refused, "a newer agent of node \(hello.name) is in the pool",
                    remedy: "Stop one of the two agents, or give each its own --state directory."))
            return
        }
        noteReturn(of: hello.node, at: now, into: &effects)
        if let known, hello.incarnation == nodes[known].hello.incarnation {
            nodeReturned(known, connection, hello, peer: peer, at: now, into: &effects)
            return
        }
        if let known { loseNode(known, reason: "its agent was started again", at: now, into: &effects) }
        let record = NodeRecord(hello: hello, peer: peer, life: nextLife, connection: connection, now: now)
        nextLife += 1
        let slot = nodes.insert(record)
        nodeSlots[hello.node] = slot
        owners[connection] = .node(slot)
        nodes[slot].hello.inventory = []
        write(.nodeJoined(hello.node, hello.incarnation, name: hello.name))
        takeSessions(hello, of: slot, at: now, into: &effects)
        reconcile(slot, hello.inventory, connection, at: now, into: &effects)
        watchSilence(slot, at: now)
        noteHungry(slot)
        effects.notices.append(.nodeJoined(name: hello.name, slots: Int(hello.offer.milliCPUs / 1000)))
    }

    /// The same agent again: what it still has goes on, what it has not is granted anew, what is not its any
    /// more it is told to drop.
    private mutating func nodeReturned(
        _ slot: Int, _ connection: ConnectionID, _ hello: NodeHello, peer: String, at now: Instant,
        into effects: inout Effects
    ) {
        if let old = nodes[slot].connection {
            owners[old] = nil
            effects.close(old, RoostError(.lost, "the node has a newer connection"))
        }
        owners[connection] = .node(slot)
        nodes[slot].connection = connection
        nodes[slot].hello.contacts = hello.contacts
        nodes[slot].peer = peer
        nodes[slot].lastHeard = now
        nodes[slot].suspectSince = nil
        meetIfAwaited(slot, hello, at: now)
        nodes[slot].owedAcknowledgements.removeAll()
        nodes[slot].owedAfterWrites.removeAll()
        nodes[slot].jobsKnown.removeAll()
        takeSessions(hello, of: slot, at: now, into: &effects)
        for share in nodes[slot].shares.indices { nodes[slot].shares[share].isRetracting = false }
        watchSilence(slot, at: now)
        reconcile(slot, hello.inventory, connection, at: now, into: &effects)
        noteHungry(slot)
        effects.notices.append(.nodeReturned(name: nodes[slot].hello.name))
    }

    private mutating func reconcile(
        _ slot: Int, _ inventory: [InventoryRun], _ connection: ConnectionID, at now: Instant,
        into effects: inout Effects
    ) {
        var kept: [Int: Set<TaskIndex>] = [:]
        var strangers: [AttemptRun] = []
        forgetClaimedRuns(of: slot)
        for run in inventory {
            // Of an earlier epoch, and its client has not brought all of it again so far: it may.
            let mayBeBrought = claim(run, of: slot, at: now)
            let job = jobSlots[run.attempts.job]
            if let job, jobs[job].damage != nil { continue }
            var goesOn = false
            for task in run.attempts.tasks.first..<run.attempts.tasks.end {
                let isCurrent =
                    job.map {
                        jobs[$0].tasks.isCurrent(
                            task, attempt: run.attempts.number, epoch: run.attempts.epoch, node: slot)
                            || (configuration.sabotage == .trustInventory
                                && run.attempts.epoch == configuration.epoch && task < jobs[$0].tasks.nextFresh)
                    } ?? false
                if isCurrent, let job {
                    kept[job, default: []].insert(task)
                    goesOn = true
                } else if run.state != .finished && !mayBeBrought {
                    append(task, of: run.attempts, to: &strangers)
                }
            }
            if let job, goesOn, run.attempts.epoch < configuration.epoch {
                keepSeat(of: job, on: slot)
                introduce(job, to: slot, over: connection, into: &effects)
            }
        }
        // What others have since it was granted, as the disk knows: what the node may not go on with it hears first of all.
        if !strangers.isEmpty { effects.send(.drop(strangers), to: connection, isUrgent: true) }
        if nodes[slot].isDraining { effects.send(.drain, to: connection) }
        inheritLanes(slot, inventory)
        guard configuration.sabotage != .ignoreMissingInventory else { return }
        for share in nodes[slot].shares {
            // Granted, but lost on the way: the connection that carried the grant is gone.
            let runs = attemptRuns(share.job, node: slot)
            for run in runs {
                for task in run.tasks.first..<run.tasks.end where kept[share.job]?.contains(task) != true {
                    returnFromNode(share.job, task, node: slot, at: now)
                }
            }
            stopAgain(share.job, node: slot, connection, into: &effects)
        }
    }

    /// What was to stop when the node was out of contact is to stop now.
    private func stopAgain(
        _ job: Int, node: Int, _ connection: ConnectionID, into effects: inout Effects
    ) {
        let wanted = jobs[job].cancelRequested
        guard jobs[job].isCancelled || !wanted.isEmpty, jobs[job].tasks.progress.granted > 0 else { return }
        if jobs[job].isCancelled && !jobs[job].isStopped { takeBack(job, node: node, into: &effects) }
        var runs: [AttemptRun] = []
        for run in attemptRuns(job, node: node) {
            for task in run.tasks.first..<run.tasks.end where jobs[job].isStopped || wanted.contains(task) {
                append(task, of: run, to: &runs)
            }
        }
        if !runs.isEmpty { effects.send(.cancel(attempts: runs, kill: jobs[job].isKilled), to: connection) }
    }

    func append(_ task: TaskIndex, of run: AttemptRun, to runs: inout [AttemptRun]) {
        if let last = runs.last, last.job == run.job, last.number == run.number, last.epoch == run.epoch,
            last.tasks.end == task
        {
            runs[runs.count - 1].tasks.count += 1
        } else {
            var single = run
            single.tasks = TaskRange(first: task, count: 1)
            runs.append(single)
        }
    }

    // MARK: What nodes say

    mutating func nodeSaid(_ slot: Int, _ message: NodeToServer, at now: Instant, into effects: inout Effects) {
        switch message {
        case .outcomes(let sequence, let batch):
            attemptsEnded(slot, sequence: sequence, batch, at: now, into: &effects)
        case .retracted(let job, let runs):
            retracted(slot, job: job, runs, at: now)
        case .running(let runs):
            areRunning(slot, runs)
        case .heartbeat(let status):
            nodes[slot].status = status
            nodes[slot].statusAt = now
            if let connection = nodes[slot].connection {
                effects.send(.heartbeat(interval: heartbeatInterval), to: connection)
            }
        case .output(let chunk):
            forward(chunk, into: &effects)
        case .condition(let condition):
            guard let job = jobSlots[condition.job], jobs[job].spec.streamsOutput || jobs[job].spec.streamsConditions else { return }
            for reader in jobs[job].readers { effects.send(.condition(condition), to: reader.connection) }
        case .draining:
            nodes[slot].isDraining = true
            noteAllHungry()
        case .goodbye(let reason):
            nodeLeft(slot, reason: reason, at: now, into: &effects)
        }
    }

    /// Stretches with the number of nodes, so that all of them together stay bearable.
    package var heartbeatInterval: Duration {
        let stretched = Duration.seconds(nodes.count) / Limits.heartbeatsPerSecond
        return max(configuration.heartbeat, min(stretched, configuration.suspectAfter / 3))
    }

    private mutating func areRunning(_ slot: Int, _ runs: [AttemptRun]) {
        for run in runs {
            guard let job = jobSlots[run.job] else { continue }
            for task in run.tasks.clamped(to: jobs[job].tasks.count)
            where jobs[job].tasks.isCurrent(task, attempt: run.number, epoch: run.epoch, node: slot) {
                jobs[job].tasks.markRunning(task)
            }
        }
    }

    /// It gave back what no worker had: ready again, uncharged.
    private mutating func retracted(_ slot: Int, job id: JobID, _ runs: [AttemptRun], at now: Instant) {
        guard let job = jobSlots[id] else { return }
        if let share = nodes[slot].share(of: job) { nodes[slot].shares[share].isRetracting = false }
        for run in runs where run.job == id {
            for task in run.tasks.clamped(to: jobs[job].tasks.count)
            where jobs[job].tasks.isCurrent(task, attempt: run.number, epoch: run.epoch, node: slot) {
                counters.retracted += 1
                if configuration.sabotage == .forgetRetracted {
                    releaseOne(job, node: slot)
                } else {
                    returnFromNode(job, task, node: slot, at: now)
                }
            }
        }
    }

    private func forward(_ chunk: OutputChunk, into effects: inout Effects) {
        guard let job = jobSlots[chunk.job] else { return }
        if jobs[job].spec.streamsOutput {
            for reader in jobs[job].readers { effects.send(.output(chunk), to: reader.connection) }
        }
        for watcher in jobs[job].watchers where watcher.task == nil || watcher.task == chunk.task {
            effects.send(.output(chunk), to: watcher.connection)
        }
    }
}
