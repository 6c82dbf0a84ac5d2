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
        for letter in effects.toClients { observe(letter.message, connections[letter.connection]) }
        for notice in effects.notices { note(7, 0, 0, "server: \(notice)") }
        for letter in effects.toNodes {
            guard let connection = connections[letter.connection], connection.isOpenAtServer else { continue }
            observe(letter.message, connection)
            send(.toNode(letter.message), connection, up: false)
        }
        history.turnEnded { connections[$0]?.isOpenAtServer ?? false }
        for letter in effects.toClients {
            guard let connection = connections[letter.connection], connection.isOpenAtServer else { continue }
            send(.toClient(letter.message), connection, up: false)
        }
    }

    private func observe(_ message: ServerToClient, _ connection: SimulatedConnection?) {
        switch message {
        case .submitted(let job, let number, let tasks): history.submitted(job, number: number, tasks: tasks)
        case .appended(let job, let tasks): history.appended(job, tasks: tasks)
        case .ended(let progress): history.ended(progress.job)
        case .reply(let id, .done(let count)):
            guard count > 0, case .client(let index)? = connection?.peer, let work = clients[index].queries[id],
                clients[index].works[work].isAwaitingRetry
            else { return }
            history.beginRound(clients[index].works[work].job)
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
        history.serverStarted(epoch: configuration.epoch)
    }
}
