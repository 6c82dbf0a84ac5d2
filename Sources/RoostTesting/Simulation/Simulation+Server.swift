import RoostModel
import RoostScheduler

extension Simulation {
    func wantServerTurn() {
        guard !isServerTurnDue else { return }
        isServerTurnDue = true
        queue.schedule(.serverTurn, at: now + netRandom.length(.microseconds(5), .microseconds(500)))
    }

    /// One turn: every event that arrived, settle, then the effects.
    func serverTurn() {
        isServerTurnDue = false
        guard isServerUp else { return }
        var effects = Effects()
        let inbox = serverInbox
        let reports = guardInbox
        serverInbox.removeAll(keepingCapacity: true)
        guardInbox.removeAll()
        for report in reports {
            if let node = nodes.first(where: { $0.identity().node == report.node }) {
                history.nodeDied(node.ordinal, life: Int(report.incarnation.rawValue))
            }
            scheduler.apply(.guardReported(report), at: now, into: &effects)
            carryOutCloses(&effects)
        }
        for item in inbox {
            guard let connection = connections[item.connection], connection.isOpenAtServer else { continue }
            take(item.packet, connection, &effects)
            carryOutCloses(&effects)
        }
        finishTurn(&effects)
    }

    func serverTimer(_ token: Int) {
        guard token == serverTimerToken, isServerUp else { return }
        serverTimerAt = nil
        note(4, 0, 0, "server: a deadline has passed")
        var effects = Effects()
        scheduler.apply(.deadlinePassed, at: now, into: &effects)
        finishTurn(&effects)
    }

    private func finishTurn(_ effects: inout Effects) {
        scheduler.settle(at: now, into: &effects)
        if options.looksIntoTheScheduler, let broken = scheduler.brokenInvariant() { history.fail(.invariant, broken) }
        carryOut(&effects)
        journal(effects)
        if let deadline = scheduler.nextDeadline, deadline != serverTimerAt {
            serverTimerToken += 1
            serverTimerAt = deadline
            queue.schedule(.serverTimer(token: serverTimerToken), at: max(deadline, now))
        }
    }

    private func take(_ packet: Packet?, _ connection: SimulatedConnection, _ effects: inout Effects) {
        let id = connection.id
        guard let packet else {
            note(5, id.rawValue, 0, "server notices that connection \(id.rawValue) of \(connection.peer) is gone")
            connection.isOpenAtServer = false
            scheduler.apply(.disconnected(id), at: now, into: &effects)
            return
        }
        switch (packet, connection.peer) {
        case (.nodeHello(let hello), .node(let node)):
            history.nodeConnected(node, life: connection.life, id, hello.inventory, at: now)
            send(.welcome(welcome), connection, up: false)
            connection.isKnown = true
            scheduler.apply(.nodeConnected(id, hello, peer: "simulated"), at: now, into: &effects)
        case (.clientHello, .client(let index)):
            let client = clients[index]
            history.heard(client: index, at: now)
            send(.welcome(welcome), connection, up: false)
            connection.isKnown = true
            let hello = ClientHello(session: client.session, description: "client-\(index)")
            scheduler.apply(
                .clientConnected(id, client.principal, hello, peer: "simulated"), at: now, into: &effects)
        case (.fromNode(let message), .node(let node)):
            if history.isCurrent(id, ofNode: node) { hear(message, node, connection.life) }
            scheduler.apply(.nodeSaid(id, message), at: now, into: &effects)
        case (.fromClient(let message), .client(let client)):
            history.heard(client: client, at: now)
            scheduler.apply(.clientSaid(id, message), at: now, into: &effects)
        default:
            preconditionFailure("a packet arrives where it was sent")
        }
    }

    private func hear(_ message: NodeToServer, _ node: Int, _ life: Int) {
        history.heard(node: node, at: now)
        switch message {
        case .outcomes(_, let batch): history.nodeReported(node, batch)
        case .retracted(_, let runs): history.nodeGaveBackHeard(node, runs)
        case .goodbye: history.nodeDied(node, life: life)
        case .draining: history.drainedLife[node] = life
        case .running, .heartbeat, .output, .condition: break
        }
    }

    private var welcome: Welcome {
        Welcome(pool: 1, epoch: configuration.epoch, heartbeat: configuration.heartbeat)
    }

    // MARK: Effects

    private func carryOutCloses(_ effects: inout Effects) {
        for closing in effects.closes {
            guard let connection = connections[closing.connection], connection.isOpenAtServer else { continue }
            note(
                6, closing.connection.rawValue, 0,
                "server closes connection \(closing.connection.rawValue) of \(connection.peer): \(closing.reason.message)"
            )
            closeAtServer(connection)
        }
        effects.closes.removeAll()
    }

    private func carryOut(_ effects: inout Effects) {
        carryOutCloses(&effects)
        for notice in effects.notices { note(7, 0, 0, "server: \(notice)") }
        var letters = Effects.Letters()
        letters.toNodes = effects.toNodes
        letters.toClients = effects.toClients
        for letter in effects.afterWrites.toNodes {
            guard case .drop(let runs) = letter.message, case .node(let node)? = connections[letter.connection]?.peer else {
                continue
            }
            history.willBeToldToDrop(node, runs)
        }
        deliver(letters)
    }

    private func deliver(_ letters: Effects.Letters) {
        for letter in letters.toClients { observe(letter.message) }
        for letter in letters.toNodes {
            guard let connection = connections[letter.connection], connection.isOpenAtServer else { continue }
            guard let message = disk.completed(letter) else {
                history.fail(.durable, "what a node is to be given is not on disk")
                continue
            }
            observe(message, connection)
            send(.toNode(message), connection, up: false)
        }
        history.turnEnded { connections[$0]?.isOpenAtServer ?? false }
        for letter in letters.toClients {
            guard let connection = connections[letter.connection], connection.isOpenAtServer else { continue }
            send(.toClient(whole(letter)), connection, up: false)
        }
    }

    /// The outcomes with the payloads that were left on disk.
    private func whole(_ letter: Effects.Letter<ServerToClient>) -> ServerToClient {
        guard let stored = letter.stored, case .outcomes(var delivery) = letter.message else { return letter.message }
        guard let payloads = disk.payloads(stored), payloads.count == delivery.batch.count else {
            history.fail(.durable, "the payloads of \(stored.place) of a durable job are not on disk")
            return letter.message
        }
        delivery.batch.payloads = payloads
        return .outcomes(delivery)
    }

    // MARK: The disk

    /// One commit at a time; what comes meanwhile is the next group.
    private func journal(_ effects: Effects) {
        guard !effects.writes.isEmpty || !effects.afterWrites.isEmpty else { return }
        disk.writeCount += UInt64(effects.writes.count)
        disk.waiting.writes += effects.writes
        disk.waiting.lastWrite = disk.writeCount
        disk.waiting.letters.append(effects.afterWrites)
        commitNext()
    }

    private func commitNext() {
        guard disk.inFlight == nil, !disk.waiting.writes.isEmpty || !disk.waiting.letters.isEmpty else { return }
        disk.inFlight = disk.waiting
        disk.waiting = SimulatedDisk.Group()
        disk.waiting.lastWrite = disk.writeCount
        let isSlow = faults.isOn(.diskDelays) && !isQuiet && netRandom.chance(0.05)
        if isSlow { faultCounts[Fault.diskDelays.rawValue] += 1 }
        let time = isSlow ? netRandom.length(.milliseconds(10), .seconds(20)) : netRandom.length(.microseconds(10), commitTime)
        queue.schedule(.committed(epoch: configuration.epoch), at: now + time)
    }

    /// A new round has begun when that is on disk, whether or not whoever asked for it hears so.
    private func noteRounds(_ group: SimulatedDisk.Group) {
        for case .task(let id, .reopened) in group.writes {
            if let job = history.job(id) { history.beginRound(job.ordinal) }
        }
    }

    func groupCommitted(_ epoch: Epoch) {
        guard isServerUp, epoch == configuration.epoch, let group = disk.inFlight else { return }
        if faults.isOn(.diskFailures), !isQuiet, !group.writes.isEmpty, netRandom.chance(0.002 * faults.strength(.diskFailures)) {
            faultCounts[Fault.diskFailures.rawValue] += 1
            note(10, 0, 0, "the disk fails")
            return crashServer()
        }
        disk.inFlight = nil
        noteRounds(group)
        note(11, group.writes.count, 0, "\(group.writes.count) writes are on disk")
        disk.commit(group, at: now)
        deliver(group.letters)
        var effects = Effects()
        scheduler.apply(.committed(group.lastWrite), at: now, into: &effects)
        finishTurn(&effects)
        commitNext()
    }

    private func observe(_ message: ServerToClient) {
        switch message {
        case .submitted(let job, let number, let tasks): history.submitted(job, number: number, tasks: tasks)
        case .appended(let job, let tasks): history.appended(job, tasks: tasks)
        case .ended(let progress): history.ended(progress.job)
        case .outcomes, .progress, .refused, .reply, .output, .condition, .setupHeld, .heartbeat: break
        }
    }

    private func observe(_ message: ServerToNode, _ connection: SimulatedConnection) {
        guard case .node(let node) = connection.peer else { return }
        switch message {
        case .grant(let run):
            history.granted(
                run, node: node, life: connection.life, clientNeeds: { clients[$0].isAlive && !clients[$0].hasLeft },
                at: now)
        case .acknowledge(let sequences):
            history.acknowledged(
                node, sequences, clientNeeds: { clients[$0].isAlive && !clients[$0].hasLeft }, at: now)
        case .drop(let runs): history.toldToDrop(node, runs)
        case .drain, .shutDown: history.drainedLife[node] = connection.life
        case .job, .retract, .cancel, .forget, .setup, .forgetSession, .watch, .killWorker, .heartbeat: break
        }
    }

    // MARK: Crash and start

    func crashServer() {
        note(8, 0, 0, "the server dies")
        isServerUp = false
        let keepsInFlight = netRandom.chance(0.5)
        if keepsInFlight, let group = disk.inFlight { noteRounds(group) }
        disk.crash(keepsInFlight: keepsInFlight, at: now)
        history.serverDied(at: now)
        serverInbox.removeAll()
        guardInbox.removeAll()
        serverTimerToken += 1
        serverTimerAt = nil
        for id in openConnections {
            guard let connection = connections[id] else { continue }
            connection.isOpenAtServer = false
            let isSilent = netRandom.chance(0.2)
            kill(
                connection, serverNoticesAfter: nil,
                peerNoticesAfter: isSilent ? nil : netRandom.length(.milliseconds(1), .seconds(1)))
        }
        openConnections.removeAll { connections[$0]?.isOpenAtPeer == false }
        queue.schedule(.serverStart, at: now + random.length(.milliseconds(100), .seconds(60)))
    }

    func startServer() {
        configuration.epoch += 1
        note(9, Int(configuration.epoch), 0, "the server starts, epoch \(configuration.epoch)")
        scheduler = Scheduler(configuration, at: now)
        isServerUp = true
        history.serverStarted(epoch: configuration.epoch, at: now, window: configuration.recoveryWindow)
        var effects = Effects()
        scheduler.restore(disk.load(argumentBytes: configuration.cachedArgumentBytes, at: now), at: now, into: &effects)
        finishTurn(&effects)
    }
}
