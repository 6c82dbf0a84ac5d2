import DequeModule
import RoostModel
import RoostNode

extension Simulation {
    /// How long a message is on its way.
    private func latency() -> Duration {
        if !isQuiet && faults.isOn(.delays) && netRandom.chance(0.2 * faults.strength(.delays)) {
            return netRandom.length(.milliseconds(2), .seconds(3))
        }
        return netRandom.length(.microseconds(50), .milliseconds(2))
    }

    func send(_ packet: Packet, _ connection: SimulatedConnection, up: Bool) {
        guard !connection.isDead else { return }
        if !isQuiet && faults.isOn(.untimelyDrops) && packet.matters
            && netRandom.chance(0.01 * faults.strength(.untimelyDrops))
        {
            return lose(connection)
        }
        let at = max(now + latency(), up ? connection.up.lastArrival : connection.down.lastArrival)
        if up {
            connection.up.packets.append(packet)
            connection.up.lastArrival = at
        } else {
            connection.down.packets.append(packet)
            connection.down.lastArrival = at
        }
        queue.schedule(.arrival(connection.id, up: up), at: at)
    }

    /// The connection ends with what was about to be sent.
    private func lose(_ connection: SimulatedConnection) {
        faultCounts[Fault.untimelyDrops.rawValue] += 1
        let isSilent = netRandom.chance(0.3)
        kill(
            connection, serverNoticesAfter: isSilent ? nil : netRandom.length(.milliseconds(1), .seconds(1)),
            peerNoticesAfter: netRandom.length(.milliseconds(1), .seconds(1)))
    }

    func isCut(_ peer: SimulatedConnection.Peer) -> Bool { cutUntil(peer) > now }

    private func cutUntil(_ peer: SimulatedConnection.Peer) -> Instant {
        switch peer {
        case .node(let node): nodes[node].cutUntil
        case .client(let client): clients[client].cutUntil
        }
    }

    func arrive(_ id: ConnectionID, up: Bool) {
        guard let connection = connections[id], !connection.isDead else { return }
        if isCut(connection.peer) {
            // Held up on the way, in order, until the way is free again.
            queue.schedule(.arrival(id, up: up), at: cutUntil(connection.peer))
            return
        }
        guard let packet = up ? connection.up.packets.popFirst() : connection.down.packets.popFirst() else { return }
        note(1, id.rawValue, up ? 1 : 0, show(packet, connection, up: up))
        if up {
            guard connection.isOpenAtServer, isServerUp else { return }
            if case .end = packet { return serverNotices(id) }
            serverInbox.append((id, packet))
            wantServerTurn()
            return
        }
        guard connection.isOpenAtPeer, isAtLife(connection) else { return }
        if case .end = packet { return peerNotices(id) }
        switch connection.peer {
        case .node(let node): arrived(packet, at: nodes[node])
        case .client(let client): arrived(packet, at: clients[client])
        }
    }

    func isAtLife(_ connection: SimulatedConnection) -> Bool {
        switch connection.peer {
        case .node(let node): nodes[node].isAlive && nodes[node].connection === connection
        case .client(let client): clients[client].isAlive && clients[client].connection === connection
        }
    }

    // MARK: Ends of connections

    /// All that is in flight is lost; the sides notice when they do.
    func kill(_ connection: SimulatedConnection, serverNoticesAfter: Duration?, peerNoticesAfter: Duration?) {
        guard !connection.isDead else { return }
        note(2, connection.id.rawValue, 0, "connection \(connection.id.rawValue) of \(connection.peer) dies")
        connection.isDead = true
        connection.up.packets.removeAll()
        connection.down.packets.removeAll()
        if let serverNoticesAfter { queue.schedule(.serverNotices(connection.id), at: now + serverNoticesAfter) }
        if let peerNoticesAfter { queue.schedule(.peerNotices(connection.id), at: now + peerNoticesAfter) }
    }

    func serverNotices(_ id: ConnectionID) {
        guard let connection = connections[id], connection.isOpenAtServer, isServerUp else { return }
        serverInbox.append((id, nil))
        wantServerTurn()
    }

    func closeAtServer(_ connection: SimulatedConnection) {
        connection.isOpenAtServer = false
        send(.end, connection, up: false)
        forgetIfClosed(connection)
    }

    func peerNotices(_ id: ConnectionID) {
        guard let connection = connections[id], connection.isOpenAtPeer else { return }
        let isCurrent = isAtLife(connection)
        connection.isOpenAtPeer = false
        note(3, id.rawValue, 0, "\(connection.peer) notices that connection \(id.rawValue) is gone")
        if isCurrent {
            switch connection.peer {
            case .node(let node): lostConnection(nodes[node])
            case .client(let client): lostConnection(clients[client])
            }
        }
        forgetIfClosed(connection)
    }

    /// The peer closes its side by itself, or its process ends.
    func closeAtPeer(_ connection: SimulatedConnection) {
        guard connection.isOpenAtPeer else { return }
        connection.isOpenAtPeer = false
        send(.end, connection, up: true)
    }

    private func forgetIfClosed(_ connection: SimulatedConnection) {
        if !connection.isOpenAtPeer && !connection.isOpenAtServer { openConnections.removeAll { $0 == connection.id } }
    }

    // MARK: Connecting

    func redial(_ peer: SimulatedConnection.Peer) {
        switch peer {
        case .node(let index):
            let node = nodes[index]
            guard node.isAlive, !node.isDialling, node.connection == nil else { return }
            node.isDialling = true
            queue.schedule(.dial(peer, life: node.life), at: now + netRandom.even(node.backoff / 2, node.backoff))
            node.backoff = min(node.backoff * 2, Limits.reconnectMost)
        case .client(let index):
            let client = clients[index]
            guard client.isAlive, !client.isDialling, client.connection == nil, !client.hasLeft else { return }
            client.isDialling = true
            queue.schedule(.dial(peer, life: 0), at: now + netRandom.even(client.backoff / 2, client.backoff))
            client.backoff = min(client.backoff * 2, Limits.reconnectMost)
        }
    }

    func dial(_ peer: SimulatedConnection.Peer, life: Int) {
        switch peer {
        case .node(let index):
            let node = nodes[index]
            guard node.isAlive, node.life == life else { return }
            node.isDialling = false
            guard isServerUp, !isCut(peer) else { return redial(peer) }
            let connection = open(peer, life: life)
            node.connection = connection
            if let hello = node.machine?.hello { send(.nodeHello(hello), connection, up: true) }
        case .client(let index):
            let client = clients[index]
            guard client.isAlive else { return }
            client.isDialling = false
            guard isServerUp, !isCut(peer) else { return redial(peer) }
            let connection = open(peer, life: life)
            client.connection = connection
            send(.clientHello, connection, up: true)
        }
    }

    private func open(_ peer: SimulatedConnection.Peer, life: Int) -> SimulatedConnection {
        let connection = SimulatedConnection(id: ConnectionID(rawValue: nextConnection), peer: peer, life: life)
        nextConnection += 1
        connections[connection.id] = connection
        openConnections.append(connection.id)
        queue.schedule(.handshakeOver(connection.id), at: now + Limits.connectTimeout)
        return connection
    }

    /// A handshake has its time, like everything.
    func handshakeOver(_ id: ConnectionID) {
        guard let connection = connections[id], connection.isOpenAtPeer, isAtLife(connection) else { return }
        let isWelcome: Bool
        switch connection.peer {
        case .node(let node): isWelcome = nodes[node].isWelcome
        case .client(let client): isWelcome = clients[client].isWelcome
        }
        guard !isWelcome else { return }
        closeAtPeer(connection)
        switch connection.peer {
        case .node(let node): lostConnection(nodes[node])
        case .client(let client): lostConnection(clients[client])
        }
    }
}
