import Roost
import RoostModel
import RoostNode
import RoostScheduler

extension Fault {
    /// Whether it strikes now and then, rather than being a property of jobs or messages.
    var comesAndGoes: Bool {
        switch self {
        case .drops, .halfOpen, .partitions, .nodeCrashes, .nodeDrains, .clientCuts, .clientLosses, .serverCrashes,
            .orders, .lateReturns, .nodeLosses:
            true
        case .delays, .lateNodes, .workerCrashes, .poison, .failures, .ignoredSignals, .longTasks, .slowConsumers,
            .cancels, .untimelyDrops, .diskDelays, .diskFailures:
            false
        }
    }
}

extension Simulation {
    func strike(_ fault: Fault) {
        switch fault {
        case .drops, .halfOpen: drop(fault)
        case .partitions: cutOff()
        case .nodeCrashes: crashNode()
        case .nodeDrains: drainNode()
        case .clientCuts: cutClient()
        case .clientLosses: loseClient()
        case .serverCrashes:
            guard isServerUp, random.chance(0.5) else { return }
            faultCounts[fault.rawValue] += 1
            crashServer()
        case .orders: order()
        case .lateReturns: cutOffBeyondLease()
        case .nodeLosses: loseNode()
        case .delays, .lateNodes, .workerCrashes, .poison, .failures, .ignoredSignals, .longTasks, .slowConsumers,
            .cancels, .untimelyDrops, .diskDelays, .diskFailures:
            break
        }
    }

    private func drop(_ fault: Fault) {
        let open = openConnections.compactMap { connections[$0] }.filter { !$0.isDead }
        guard !open.isEmpty else { return }
        faultCounts[fault.rawValue] += 1
        let connection = random.pick(open)
        let soon = random.length(.milliseconds(1), .seconds(1))
        if fault == .drops {
            kill(connection, serverNoticesAfter: soon, peerNoticesAfter: random.length(.milliseconds(1), .seconds(1)))
        } else if random.chance(0.5) {
            kill(connection, serverNoticesAfter: nil, peerNoticesAfter: soon)
        } else {
            kill(connection, serverNoticesAfter: soon, peerNoticesAfter: nil)
        }
    }

    private func cutOff() {
        faultCounts[Fault.partitions.rawValue] += 1
        let until = now + drawCut()
        if random.chance(0.8) {
            let node = random.pick(nodes)
            note(40, node.ordinal, 0, "\(node.name) is cut off until \(Trace.show(until))")
            node.cutUntil = max(node.cutUntil, until)
        } else {
            let client = random.pick(clients)
            note(41, client.ordinal, 0, "client-\(client.ordinal) is cut off until \(Trace.show(until))")
            client.cutUntil = max(client.cutUntil, until)
        }
    }

    /// Short of a lease, about a lease, longer than any lease.
    private func drawCut() -> Duration {
        switch random.int(0...9) {
        case 0...3: random.length(.milliseconds(100), .seconds(10))
        case 4...8: random.even(.seconds(10), .seconds(120))
        default: random.even(.seconds(100), .seconds(600))
        }
    }

    /// The node is back when the lease of something that it runs has just ended: whoever has the task now still
    /// runs it, and the outcome that comes with the node is nobody's any more.
    private func cutOffBeyondLease() {
        let busy = nodes.filter { $0.isAlive && $0.isWelcome && !$0.works.isEmpty }
        guard !busy.isEmpty else { return }
        faultCounts[Fault.lateReturns.rawValue] += 1
        let node = random.pick(busy)
        let workers = node.works.keys.sorted()
        // Best one that is still at work when its lease is over.
        let longest = workers.max { (node.works[$0]?.behaviour?.duration ?? .zero) < (node.works[$1]?.behaviour?.duration ?? .zero) }
        let worker = random.chance(0.5) ? longest ?? random.pick(workers) : random.pick(workers)
        let lease = node.works[worker]?.start.job.policy.lease ?? Limits.lease
        let until = now + configuration.suspectAfter + lease + random.length(.milliseconds(10), .seconds(10))
        note(48, node.ordinal, worker, "\(node.name) is cut off until \(Trace.show(until)), beyond its lease")
        node.cutUntil = max(node.cutUntil, until)
    }

    private func crashNode() {
        let alive = nodes.filter(\.isAlive)
        guard !alive.isEmpty else { return }
        faultCounts[Fault.nodeCrashes.rawValue] += 1
        let node = random.pick(alive)
        note(42, node.ordinal, node.life, "\(node.name) crashes")
        let report = GuardReport(node: node.identity().node, incarnation: node.incarnation)
        if let connection = node.connection {
            // A machine that loses power says nothing; a process that dies has its sockets closed.
            let isSilent = random.chance(0.3)
            connection.isOpenAtPeer = false
            kill(
                connection, serverNoticesAfter: isSilent ? nil : random.length(.milliseconds(1), .seconds(1)),
                peerNoticesAfter: nil)
        }
        endNode(node)
        if random.chance(0.5) {
            queue.schedule(.guardReport(report, tries: 20), at: now + random.length(.milliseconds(1), .seconds(5)))
        }
        if random.chance(0.7) {
            queue.schedule(.nodeStart(node.ordinal), at: now + random.length(.milliseconds(100), .seconds(400)))
        }
    }

    /// Never the first node: it alone can run everything.
    private func loseNode() {
        let alive = nodes.filter { $0.isAlive && $0.ordinal > 0 }
        guard !alive.isEmpty, random.chance(0.2) else { return }
        faultCounts[Fault.nodeLosses.rawValue] += 1
        let node = random.pick(alive)
        note(49, node.ordinal, node.life, "\(node.name) is gone for good")
        node.isGone = true
        if let connection = node.connection {
            connection.isOpenAtPeer = false
            kill(connection, serverNoticesAfter: nil, peerNoticesAfter: nil)
        }
        endNode(node)
    }

    func reportByGuard(_ report: GuardReport, tries: Int) {
        guard tries > 0 else { return }
        guard isServerUp else {
            queue.schedule(.guardReport(report, tries: tries - 1), at: now + .seconds(2))
            return
        }
        note(
            43, Int(report.node.rawValue), 0,
            "a guard reports node \(report.node.rawValue - 1), life \(report.incarnation.rawValue), dead")
        guardInbox.append(report)
        wantServerTurn()
    }

    private func drainNode() {
        let alive = nodes.filter(\.isAlive)
        guard !alive.isEmpty else { return }
        faultCounts[Fault.nodeDrains.rawValue] += 1
        let node = random.pick(alive)
        note(44, node.ordinal, 0, "\(node.name) is sent SIGTERM")
        tell(node, .drainRequested(reason: "SIGTERM"))
        if random.chance(0.3) {
            queue.schedule(
                .nodeStopsAgain(node.ordinal, life: node.life), at: now + random.length(.milliseconds(10), .seconds(10))
            )
        }
    }

    private func cutClient() {
        faultCounts[Fault.clientCuts.rawValue] += 1
        let client = random.pick(clients)
        let longest = configuration.clientGrace * 2
        let until = now + random.length(.milliseconds(500), longest)
        note(45, client.ordinal, 0, "client-\(client.ordinal) is cut off until \(Trace.show(until))")
        client.cutUntil = max(client.cutUntil, until)
        if random.chance(0.5), let connection = client.connection {
            kill(connection, serverNoticesAfter: .milliseconds(50), peerNoticesAfter: .milliseconds(50))
        }
    }

    private func loseClient() {
        let alive = clients.filter { $0.isAlive && $0.ordinal > 0 }
        guard !alive.isEmpty, random.chance(0.2) else { return }
        faultCounts[Fault.clientLosses.rawValue] += 1
        let client = random.pick(alive)
        note(46, client.ordinal, 0, "client-\(client.ordinal) is gone for good")
        if let connection = client.connection {
            connection.isOpenAtPeer = false
            kill(
                connection, serverNoticesAfter: random.chance(0.5) ? nil : .milliseconds(20), peerNoticesAfter: nil)
        }
        client.machine = nil
        client.connection = nil
        // Who reads its jobs from elsewhere may wait for ever for tasks that nobody appends.
        for other in clients {
            for work in other.works where work.isVisit && history.jobs[work.job].owner == client.ordinal {
                if other.isAlive { tell(other, .abandon(work.plan.spec.id)) }
            }
        }
        client.timerToken += 1
    }

    private func order() {
        guard let client = clients.first, client.isAlive, !client.works.isEmpty, random.chance(0.5) else { return }
        faultCounts[Fault.orders.rawValue] += 1
        let name = random.pick(nodes).name
        ask(client, 0, random.chance(0.6) ? .drainNode(name: name) : .killNode(name: name))
    }

    /// Faults stop. The node that can run everything comes back, of the others some.
    func becomeQuiet() {
        note(47, 0, 0, "faults stop")
        isQuiet = true
        for node in nodes where !node.isAlive && (node.ordinal == 0 || random.chance(0.5)) {
            queue.schedule(.nodeStart(node.ordinal), at: now + random.length(.milliseconds(100), .seconds(30)))
        }
    }
}
