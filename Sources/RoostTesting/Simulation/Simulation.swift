import DequeModule
package import Roost
package import RoostModel
package import RoostNode
package import RoostScheduler

/// What to simulate.
package struct SimulationOptions: Sendable {
    package var seed: UInt64
    /// Keep one line an event.
    package var traces = false
    /// Whether the scheduler's tables are checked after each turn, beside all that can be seen from outside.
    package var looksIntoTheScheduler = true
    package var sabotage: Sabotage?
    package var nodeSabotage: NodeSabotage?
    package var clientSabotage: ClientSabotage?

    package init(seed: UInt64) { self.seed = seed }
}

/// What came of a simulation.
package struct SimulationReport: Sendable {
    package var seed: UInt64
    package var faults: String
    /// The rule that was broken, and how; nil: all went well.
    package var broken: (rule: Rule, detail: String)?
    package var traceHash: UInt64
    package var traceLines: [String]
    package var events: Int
    package var end: Instant
    package var counts: [(name: String, count: Int)]
}

/// A whole pool – server, nodes, workers, clients and the network between them – in one thread and virtual time.
///
/// The machines are driven exactly as their shells drive them: events in, settle, actions out in order. All that
/// happens is drawn from one seed and ordered by (time, number); nothing ever iterates a dictionary to decide.
package final class Simulation {
    /// What can happen next.
    enum Occurrence {
        case serverTurn
        case serverTimer(token: Int)
        case serverStart
        case committed(epoch: Epoch)
        case arrival(ConnectionID, up: Bool)
        case serverNotices(ConnectionID)
        case peerNotices(ConnectionID)
        case handshakeOver(ConnectionID)
        case dial(SimulatedConnection.Peer, life: Int)
        case nodeTurn(Int)
        case nodeTimer(Int, token: Int)
        case nodeStart(Int)
        case storedLeaves(node: Int, ConnectionID)
        case workerEnds(node: Int, worker: Int, number: Int)
        case nodeStopsAgain(Int, life: Int)
        case guardReport(GuardReport, tries: Int)
        case clientTurn(Int)
        case clientTimer(Int, token: Int)
        case program(client: Int, work: Int, ProgramStep)
        case fault(Fault)
        case quiet
        case audit
    }

    enum ProgramStep {
        case submit, append
        case use(Int)
        case cancel(Int)
        case abandon
        case visit
        case look
        case next
    }

    let options: SimulationOptions
    var random: SeededGenerator
    var netRandom: SeededGenerator
    /// What nodes' disks do.
    var nodeDisks: SeededGenerator
    let faults: FaultPlan
    var trace: Trace
    var queue = EventQueue<Occurrence>()
    var now = Instant.zero
    var history: History
    var isQuiet = false
    let quietAt: Instant
    var events = 0

    // The server.
    var scheduler: Scheduler
    var configuration: SchedulerConfiguration
    var isServerUp = true
    var disk = SimulatedDisk()
    /// How long a commit usually takes here.
    let commitTime: Duration
    var serverInbox: [(connection: ConnectionID, packet: Packet?)] = []
    var guardInbox: [GuardReport] = []
    var isServerTurnDue = false
    var serverTimerAt: Instant?
    var serverTimerToken = 0

    var nodes: [SimulatedNode] = []
    var clients: [SimulatedClient] = []
    var connections: [ConnectionID: SimulatedConnection] = [:]
    var openConnections: [ConnectionID] = []
    var nextConnection = 1
    /// Batches that nodes stored, could not store, and could not read back.
    var stored = 0
    var unstorable = 0
    var unreadable = 0
    var faultCounts = [Int](repeating: 0, count: Fault.allCases.count)

    package init(_ options: SimulationOptions) {
        self.options = options
        var random = SeededGenerator(seed: options.seed)
        faults = FaultPlan(from: &random)
        quietAt = .zero + faults.duration
        netRandom = random.fork()
        nodeDisks = SeededGenerator(seed: ~options.seed)
        trace = Trace(keepsLines: options.traces)
        configuration = SchedulerConfiguration()
        configuration.sabotage = options.sabotage
        configuration.clientGrace = random.length(.seconds(20), .seconds(600))
        configuration.hasStore = true
        configuration.cachedOutcomeBytes = random.chance(0.5) ? random.int(0...500) : Limits.cachedOutcomeBytes
        var argumentRandom = SeededGenerator(seed: options.seed.byteSwapped)
        configuration.cachedArgumentBytes = argumentRandom.chance(0.5) ? argumentRandom.int(0...300) : Limits.cachedArgumentBytes
        configuration.recoveryWindow = random.length(.seconds(5), .seconds(60))
        commitTime = random.length(.microseconds(50), .milliseconds(50))
        configuration.undeliveredBytes = random.chance(0.3) ? random.int(8...2000) : Limits.undeliveredBytes
        scheduler = Scheduler(configuration, at: .zero)
        let nodeCount = random.int(1...6)
        let clientCount = random.int(1...4)
        history = History(nodes: nodeCount, clients: clientCount, grace: configuration.clientGrace)
        self.random = random
        makeNodes(nodeCount)
        makeClients(clientCount)
        for fault in Fault.allCases where faults.isOn(fault) && fault.comesAndGoes {
            queue.schedule(.fault(fault), at: now + self.random.wait(mean: faults.interval(fault)))
        }
        queue.schedule(.quiet, at: quietAt)
        queue.schedule(.audit, at: now + .seconds(5))
    }

    /// Runs until all work is done or a rule is broken.
    package func run() -> SimulationReport {
        var atOnce = 0
        while history.broken == nil, let next = queue.popFirst() {
            atOnce = next.at == now ? atOnce + 1 : 0
            now = next.at
            events += 1
            if atOnce > 200_000 { history.fail(.spinning, "200,000 events in one instant") }
            if !happen(next.element) { break }
        }
        return SimulationReport(
            seed: options.seed, faults: faults.description, broken: history.broken, traceHash: trace.hash,
            traceLines: trace.lines, events: events, end: now, counts: counts)
    }

    private var counts: [(name: String, count: Int)] {
        [
            ("grants", history.grants), ("outcomes", history.outcomes), ("late", history.lateOutcomes), ("stored", stored),
            ("unstorable", unstorable), ("unreadable", unreadable),
        ]
            + Fault.allCases.map { ("\($0)", faultCounts[$0.rawValue]) }
    }

    func note(_ code: Int, _ a: Int, _ b: Int, _ text: @autoclosure () -> String) {
        trace.note(now, code, a, b, text())
    }

    /// False when the simulation is over.
    private func happen(_ occurrence: Occurrence) -> Bool {
        switch occurrence {
        case .serverTurn: serverTurn()
        case .serverTimer(let token): serverTimer(token)
        case .serverStart: startServer()
        case .committed(let epoch): groupCommitted(epoch)
        case .arrival(let connection, let up): arrive(connection, up: up)
        case .serverNotices(let connection): serverNotices(connection)
        case .peerNotices(let connection): peerNotices(connection)
        case .handshakeOver(let connection): handshakeOver(connection)
        case .dial(let peer, let life): dial(peer, life: life)
        case .nodeTurn(let node): nodeTurn(nodes[node])
        case .nodeTimer(let node, let token): nodeTimer(nodes[node], token)
        case .nodeStart(let node): startNode(nodes[node])
        case .storedLeaves(let node, let connection): storedLeaves(nodes[node], over: connection)
        case .workerEnds(let node, let worker, let number): workerEnds(nodes[node], worker, number)
        case .nodeStopsAgain(let node, let life):
            if nodes[node].isAlive && nodes[node].life == life {
                tell(nodes[node], .stopRequested(reason: "SIGTERM twice"))
            }
        case .guardReport(let report, let tries): reportByGuard(report, tries: tries)
        case .clientTurn(let client): clientTurn(clients[client])
        case .clientTimer(let client, let token): clientTimer(clients[client], token)
        case .program(let client, let work, let step): program(clients[client], work, step)
        case .fault(let fault):
            guard !isQuiet else { break }
            strike(fault)
            queue.schedule(.fault(fault), at: now + random.wait(mean: faults.interval(fault)))
        case .quiet: becomeQuiet()
        case .audit: return audit()
        }
        return true
    }
}
