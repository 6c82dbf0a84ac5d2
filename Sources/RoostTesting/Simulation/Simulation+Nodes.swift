import RoostModel
import RoostNode

extension Simulation {
    func makeNodes(_ count: Int) {
        let haveDisks = nodeDisks.chance(0.4)
        for ordinal in 0..<count {
            // The first node can run whatever is asked for, so that every job can end.
            var offer = Resources.cpus(ordinal == 0 ? 4 : random.int(1...4))
            if ordinal == 0 || random.chance(0.3) {
                offer.add(Resources(memoryBytes: 4 << 30, named: [.init(name: "licence", milliAmount: 2000)]))
            }
            let labels = ordinal == 0 || random.chance(0.5) ? [Label(key: "zone", value: "a")] : []
            let resultsInMemory = haveDisks && nodeDisks.chance(0.7) ? nodeDisks.int(0...200) : .max
            nodes.append(SimulatedNode(ordinal: ordinal, offer: offer, labels: labels, resultsInMemory: resultsInMemory))
            history.offers.append(offer)
            let isLate = ordinal > 0 && faults.isOn(.lateNodes) && random.chance(0.5)
            queue.schedule(.nodeStart(ordinal), at: isLate ? now + random.even(.zero, faults.duration) : now)
            if isLate { faultCounts[Fault.lateNodes.rawValue] += 1 }
        }
    }

    func startNode(_ node: SimulatedNode) {
        guard !node.isAlive, !node.isGone else { return }
        node.life += 1
        note(20, node.ordinal, node.life, "\(node.name) starts, life \(node.life)")
        node.machine = NodeMachine(identity: node.identity(), sabotage: options.nodeSabotage)
        node.machine?.resultsInMemory = node.resultsInMemory
        node.setups = [:]
        node.backoff = Limits.reconnectFirst
        node.isDialling = false
        history.nodeStarted(node.ordinal)
        redial(.node(node.ordinal))
    }

    /// The agent's process ends, and with it every worker.
    func endNode(_ node: SimulatedNode) {
        node.machine = nil
        node.inbox.removeAll()
        node.isWelcome = false
        node.timerToken += 1
        node.timerAt = nil
        node.connection = nil
        for worker in node.works.keys.sorted() {
            if let work = node.works[worker] { history.ended(work.attempts, nil) }
        }
        node.works.removeAll()
        node.stored.removeAll()
        node.waitingStored.removeAll()
        node.inUse = Resources()
    }

    func tell(_ node: SimulatedNode, _ event: NodeEvent) {
        node.inbox.append(event)
        wantTurn(node)
    }

    private func wantTurn(_ node: SimulatedNode) {
        guard !node.isTurnDue else { return }
        node.isTurnDue = true
        queue.schedule(.nodeTurn(node.ordinal), at: now + netRandom.length(.microseconds(1), .microseconds(200)))
    }

    func arrived(_ packet: Packet, at node: SimulatedNode) {
        switch packet {
        case .welcome(let welcome):
            node.backoff = Limits.reconnectFirst
            node.isWelcome = true
            node.welcomed = now
            tell(node, .connected(welcome))
        case .toNode(let message):
            setUp(node, message)
            tell(node, .serverSaid(message))
        case .nodeHello, .clientHello, .fromNode, .fromClient, .toClient, .end:
            preconditionFailure("a node hears what is said to nodes")
        }
    }

    private func setUp(_ node: SimulatedNode, _ message: ServerToNode) {
        switch message {
        case .setup(let entry) where entry.number == (node.setups[entry.session] ?? 0) + 1:
            node.setups[entry.session] = entry.number
        case .forgetSession(let session): node.setups[session] = nil
        default: break
        }
    }

    func lostConnection(_ node: SimulatedNode) {
        node.connection = nil
        node.isWelcome = false
        node.waitingStored.removeAll()
        tell(node, .disconnected)
        redial(.node(node.ordinal))
    }

    func nodeTurn(_ node: SimulatedNode) {
        node.isTurnDue = false
        guard node.isAlive else { return }
        let inbox = node.inbox
        node.inbox.removeAll(keepingCapacity: true)
        var actions: [NodeAction] = []
        for event in inbox {
            if case .serverSaid(.drop(let runs)) = event { history.nodeWasToldToDrop(node.ordinal, runs, at: now) }
            node.machine?.apply(event, at: now, into: &actions)
        }
        node.machine?.settle(at: now, into: &actions)
        carryOut(actions, node)
    }

    func nodeTimer(_ node: SimulatedNode, _ token: Int) {
        guard node.isAlive, token == node.timerToken else { return }
        node.timerAt = nil
        var actions: [NodeAction] = []
        node.machine?.apply(.deadlinePassed, at: now, into: &actions)
        node.machine?.settle(at: now, into: &actions)
        carryOut(actions, node)
    }

    func carryOut(_ actions: [NodeAction], _ node: SimulatedNode) {
        if let machine = node.machine, machine.hasWork { node.lastBusy = now }
        for action in actions {
            switch action {
            case .send(let message): say(message, node)
            case .store(let sequence, let batch, let sends): store(sequence, batch, sends: sends, node)
            case .sendStored(let sequence): sendStored(sequence, node)
            case .discardStored(let sequence): node.stored[sequence] = nil
            case .start(let worker, let start): startWorker(worker, start, node)
            case .signal(let worker, let signal): self.signal(worker, signal, node)
            case .stream, .signalWorker: break
            case .reconnect:
                note(21, node.ordinal, 0, "\(node.name) hears nothing, and connects anew")
                guard let connection = node.connection else { break }
                closeAtPeer(connection)
                lostConnection(node)
            case .leave(let reason):
                leave(node, reason)
                return
            }
        }
        guard let deadline = node.machine?.nextDeadline, deadline != node.timerAt else { return }
        node.timerToken += 1
        node.timerAt = deadline
        queue.schedule(.nodeTimer(node.ordinal, token: node.timerToken), at: max(deadline, now))
    }

    func say(_ message: NodeToServer, _ node: SimulatedNode) {
        switch message {
        case .outcomes(let sequence, let batch): history.nodeSent(node.ordinal, sequence: sequence, batch)
        case .retracted(_, let runs): history.nodeGaveBack(node.ordinal, runs)
        case .running, .heartbeat, .output, .condition, .draining, .goodbye: break
        }
        if let connection = node.connection { send(.fromNode(message), connection, up: true) }
    }

    private func leave(_ node: SimulatedNode, _ reason: String) {
        note(22, node.ordinal, 0, "\(node.name) leaves: \(reason)")
        if let connection = node.connection { closeAtPeer(connection) }
        endNode(node)
        if !isQuiet && random.chance(0.5) { return }
        queue.schedule(.nodeStart(node.ordinal), at: now + random.length(.milliseconds(100), .seconds(60)))
    }

    // MARK: Workers

    private func startWorker(_ worker: Int, _ start: WorkerStart, _ node: SimulatedNode) {
        note(
            23, node.ordinal, Int(start.tasks.first),
            "\(node.name) worker \(worker) starts \(show(start.job.id)) tasks \(show(start.tasks)) attempt \(start.epoch).\(start.attempt)"
        )
        let facts = WorkerStartFacts(job: start.job.id, tasks: start.tasks, epoch: start.epoch, number: start.attempt)
        let attempts = history.started(node.ordinal, facts, at: now)
        guard let job = history.job(start.job.id), history.broken == nil else { return }
        for index in attempts { checkSuperseded(index, node) }
        if start.job.setup > node.setups[start.job.session] ?? 0 {
            history.fail(.setup, "\(node.name) runs job \(job.ordinal) without its session's setup")
        }
        node.inUse.add(start.job.request)
        if let shortage = node.offer.shortage(for: node.inUse) {
            history.fail(.overCommitted, "\(node.name) \(shortage)")
        }
        if start.job.common != job.plan.spec.common {
            history.fail(.argument, "job \(job.ordinal) runs with another job's common data, or none")
        }
        for offset in 0..<start.arguments.count
        where Array(start.arguments[offset]) != job.plan.arguments[Int(start.tasks.first) + offset] {
            history.fail(
                .argument, "job \(job.ordinal) task \(Int(start.tasks.first) + offset) runs with another argument")
        }
        node.nextWork += 1
        var work = SimulatedNode.Work(start: start, attempts: attempts, number: node.nextWork)
        var duration = Duration.zero
        if start.job.runtime == .digest {
            for task in start.tasks.first..<start.tasks.end { duration += job.plan.behaviours[Int(task)].duration }
        } else {
            let behaviour = job.plan.behaviours[Int(start.tasks.first)]
            work.behaviour = behaviour
            work.end = end(of: behaviour, job, Int(start.tasks.first))
            duration = work.end?.end == .crashed ? behaviour.duration / 2 : behaviour.duration
        }
        node.works[worker] = work
        if work.behaviour == nil || work.end != nil {
            queue.schedule(.workerEnds(node: node.ordinal, worker: worker, number: work.number), at: now + duration)
        }
        if start.isWatched || start.job.streamsOutput { tell(node, .workerPrinted(worker: worker, .stdout, offset: 0, bytes: [104, 105])) }
    }

    /// How it will end if nobody stops it; nil: never.
    private func end(of behaviour: TaskBehaviour, _ job: History.Job, _ task: Int) -> WorkerEnd? {
        let nanoseconds = UInt64(behaviour.duration.wholeNanoseconds)
        let crash = WorkerEnd(
            end: .crashed, payload: [], postMortem: PostMortem(reason: "killed by signal 11", signal: 11),
            runNanoseconds: nanoseconds / 2)
        if !isQuiet && faults.isOn(.workerCrashes) && random.chance(0.05 * faults.strength(.workerCrashes)) {
            faultCounts[Fault.workerCrashes.rawValue] += 1
            return crash
        }
        switch behaviour.ending {
        case .fails(let times) where job.starts[task] <= times:
            faultCounts[Fault.failures.rawValue] += 1
            return WorkerEnd(
                end: .failed, payload: job.plan.complaint(of: task),
                postMortem: PostMortem(reason: "exit status 1", exitStatus: 1), runNanoseconds: nanoseconds)
        case .crashes(let times) where job.starts[task] <= times:
            faultCounts[Fault.poison.rawValue] += 1
            return crash
        case .hangs:
            return nil
        case .succeeds, .fails, .crashes:
            return WorkerEnd(end: .succeeded, payload: job.plan.result(of: task), runNanoseconds: nanoseconds)
        }
    }

    private func signal(_ worker: Int, _ signal: WorkerSignal, _ node: SimulatedNode) {
        note(24, node.ordinal, worker, "\(node.name) worker \(worker) is sent \(signal)")
        guard var work = node.works[worker], let behaviour = work.behaviour, !work.isEnding else { return }
        switch signal {
        case .interrupt where behaviour.ignoresInterrupt, .terminate where behaviour.ignoresTerminate:
            faultCounts[Fault.ignoredSignals.rawValue] += 1
            return
        case .interrupt, .terminate, .kill: break
        }
        // The end that was coming does not come any more, this one does.
        node.nextWork += 1
        work.number = node.nextWork
        work.isEnding = true
        work.end = WorkerEnd(
            end: .crashed, payload: [], postMortem: PostMortem(reason: "killed by \(signal)", signal: 9),
            runNanoseconds: 1_000_000)
        node.works[worker] = work
        queue.schedule(
            .workerEnds(node: node.ordinal, worker: worker, number: work.number),
            at: now + random.length(.microseconds(100), .milliseconds(20)))
    }

    func workerEnds(_ node: SimulatedNode, _ worker: Int, _ number: Int) {
        guard let work = node.works[worker], work.number == number, node.isAlive else { return }
        node.works[worker] = nil
        node.inUse.subtract(work.start.job.request)
        note(25, node.ordinal, worker, "\(node.name) worker \(worker) ends: \(work.end.map { "\($0.end)" } ?? "batch")")
        guard work.behaviour == nil else {
            guard let end = work.end else { return }
            history.ended(work.attempts, end.end)
            tell(node, .workerEnded(worker: worker, end))
            return
        }
        history.ended(work.attempts, .succeeded)
        var batch = OutcomeBatch(job: work.start.job.id, epoch: work.start.epoch)
        for offset in 0..<work.start.arguments.count {
            batch.append(
                task: work.start.tasks.first + UInt32(offset), attempt: work.start.attempt,
                littleEndian: Digest.of(work.start.arguments[offset]))
        }
        batch.runNanoseconds = UInt64(work.start.arguments.count) * 50_000
        tell(node, .batchEnded(worker: worker, batch))
    }
}
