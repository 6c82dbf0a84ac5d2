package import RoostModel
package import RoostScheduler

/// A scheduler with nodes and clients made of words: build a state in two lines, let something happen, compare.
///
///     var pool = Scenario()
///     let a = pool.join("a", cpus: 2)
///     let job = pool.submit(pool.connect("ann"), tasks: 3)
///     pool.tasks(a, job)              // [0, 1]
///     pool.end(a, job, [0])           // and now [1, 2]
///
/// Nodes here do what they are told and no more; each call is one turn of the server.
package struct Scenario {
    package var scheduler: Scheduler
    package private(set) var now = Instant.zero
    /// The notices of all turns so far.
    package private(set) var notices: [Notice] = []
    /// What the store was told.
    package private(set) var writes: [StoreWrite] = []
    private var disk = SimulatedDisk()
    private var nodes: [Node] = []
    private var clients: [Client] = []
    private var nextConnection = 1
    private var nextJob: UInt64 = 1

    /// A task that a node was granted and has not ended or lost.
    package struct Held: Hashable {
        package var job: JobID
        package var task: TaskIndex
        package var attempt: UInt32
        package var epoch: Epoch
    }

    private struct Node {
        var hello: NodeHello
        var connection: ConnectionID?
        var held: [Held] = []
        var messages: [ServerToNode] = []
        var setups: [SessionID: UInt32] = [:]
        var nextSequence: UInt64 = 1
        var isSilent = false
    }

    private struct Client {
        var session: SessionID
        var principal: Principal
        var connection: ConnectionID?
        var messages: [ServerToClient] = []
        var isSilent = false
    }

    package init(_ configure: (inout SchedulerConfiguration) -> Void = { _ in }) {
        var configuration = SchedulerConfiguration()
        configuration.hasStore = true
        configure(&configuration)
        scheduler = Scheduler(configuration, at: .zero)
    }

    // MARK: Turns

    /// Events of one turn, and the turn's end.
    package mutating func turn(_ events: [Event]) {
        var effects = Effects()
        for event in events { scheduler.apply(event, at: now, into: &effects) }
        scheduler.settle(at: now, into: &effects)
        if let broken = scheduler.brokenInvariant() { preconditionFailure("the scheduler's books disagree: \(broken)") }
        notices += effects.notices
        for closing in effects.closes {
            if let node = nodes.firstIndex(where: { $0.connection == closing.connection }) {
                nodes[node].connection = nil
            }
            if let client = clients.firstIndex(where: { $0.connection == closing.connection }) {
                clients[client].connection = nil
            }
        }
        // The disk is quick here: what waits for it leaves with the turn.
        writes += effects.writes
        disk.commit(SimulatedDisk.Group(writes: effects.writes), at: now)
        scheduler.apply(.committed(UInt64(writes.count)), at: now, into: &effects)
        for letter in effects.toNodes + effects.afterWrites.toNodes {
            guard let node = nodes.firstIndex(where: { $0.connection == letter.connection }) else { continue }
            guard let message = disk.completed(letter) else { preconditionFailure("\(letter) is not on disk") }
            nodes[node].messages.append(message)
            obey(message, node)
        }
        for letter in effects.toClients + effects.afterWrites.toClients {
            guard let client = clients.firstIndex(where: { $0.connection == letter.connection }) else { continue }
            clients[client].messages.append(letter.message)
        }
    }

    private mutating func obey(_ message: ServerToNode, _ node: Int) {
        switch message {
        case .grant(let run):
            for task in run.attempts.tasks.first..<run.attempts.tasks.end {
                nodes[node].held.append(
                    Held(job: run.attempts.job, task: task, attempt: run.attempts.number, epoch: run.attempts.epoch))
            }
        case .drop(let runs):
            nodes[node].held.removeAll { held in
                runs.contains { $0.job == held.job && $0.number == held.attempt && $0.tasks.contains(held.task) }
            }
        case .setup(let entry):
            nodes[node].setups[entry.session] = entry.number
        case .forgetSession(let session):
            nodes[node].setups[session] = nil
        case .job, .retract, .cancel, .acknowledge, .forget, .watch, .killWorker, .drain, .shutDown, .heartbeat: break
        }
    }

    /// Time passes; whoever is well lets himself be heard, and deadlines come when they are due.
    package mutating func pass(_ duration: Duration) {
        let end = now + duration
        while now < end {
            let step = min(end, now + .seconds(3))
            let next = min(step, max(now, scheduler.nextDeadline ?? step))
            now = next
            var events: [Event] = []
            if let deadline = scheduler.nextDeadline, deadline <= now { events.append(.deadlinePassed) }
            if now == step { events += heartbeats }
            turn(events)
        }
    }

    /// The server dies, and another starts with what is on its disk; nobody is connected to it.
    package mutating func restartServer() {
        var configuration = scheduler.configuration
        configuration.epoch += 1
        for node in nodes.indices { nodes[node].connection = nil }
        for client in clients.indices { clients[client].connection = nil }
        writes.removeAll()
        scheduler = Scheduler(configuration, at: now)
        var effects = Effects()
        scheduler.restore(disk.load(argumentBytes: configuration.cachedArgumentBytes, at: now), at: now, into: &effects)
        notices += effects.notices
        turn([])
    }

    private var heartbeats: [Event] {
        nodes.filter { !$0.isSilent }.compactMap { node in
            node.connection.map { .nodeSaid($0, .heartbeat(NodeStatus())) }
        }
            + clients.filter { !$0.isSilent }.compactMap { client in
                client.connection.map { .clientSaid($0, .heartbeat) }
            }
    }

    private mutating func connection() -> ConnectionID {
        nextConnection += 1
        return ConnectionID(rawValue: nextConnection)
    }

    // MARK: Nodes

    /// A node joins the pool.
    package mutating func join(
        _ name: String, cpus: Int = 1, offer: Resources? = nil, labels: [Label] = [],
        runtimes: [RuntimeName] = [.command, .digest], seats: [SeatHeld] = []
    ) -> Int {
        let node = nodes.count
        nodes.append(
            Node(
                hello: NodeHello(
                    node: NodeID(rawValue: UInt64(node + 1)), incarnation: Incarnation(rawValue: 1), name: name,
                    offer: offer ?? .cpus(cpus), labels: labels, runtimes: runtimes, seats: seats)))
        connect(node: node, inventory: [])
        return node
    }

    /// A node comes back, with what it holds as running; `finished` is kept by it and will be sent. Of consecutive tasks with the
    /// same attempt number, `asOneRun`, it says so in one.
    package mutating func comeBack(
        _ node: Int, finished: [TaskIndex] = [], of job: JobID? = nil, asOneRun: Bool = false,
        setups: [SetupHeld]? = nil, contacts: [Contact] = []
    ) {
        nodes[node].hello.contacts = contacts
        var inventory = nodes[node].held.map { held in
            let isFinished = held.job == job && finished.contains(held.task)
            return InventoryRun(
                attempts: AttemptRun(
                    job: held.job, epoch: held.epoch, number: held.attempt,
                    tasks: TaskRange(first: held.task, count: 1)),
                state: isFinished ? .finished : .running)
        }
        if asOneRun, let first = inventory.first {
            var run = first
            run.attempts.tasks.count = UInt32(inventory.count)
            inventory = [run]
        }
        connect(node: node, inventory: inventory, setups: setups)
    }

    /// The agent was started again: it has nothing.
    package mutating func restart(_ node: Int) {
        nodes[node].held = []
        nodes[node].setups = [:]
        nodes[node].hello.incarnation.rawValue += 1
        connect(node: node, inventory: [])
    }

    private mutating func connect(node: Int, inventory: [InventoryRun], setups: [SetupHeld]? = nil) {
        let connection = connection()
        nodes[node].connection = connection
        nodes[node].isSilent = false
        nodes[node].messages = []
        var hello = nodes[node].hello
        hello.inventory = inventory
        hello.setups =
            setups
            ?? nodes[node].setups.sorted { $0.key.rawValue < $1.key.rawValue }
            .map { SetupHeld(session: $0.key, count: $0.value) }
        turn([.nodeConnected(connection, hello, peer: "test")])
    }

    /// The server notices that the node's connection is gone.
    package mutating func cut(_ node: Int) {
        guard let connection = nodes[node].connection else { return }
        nodes[node].connection = nil
        turn([.disconnected(connection)])
    }

    /// The connection looks alive, and nothing comes over it any more.
    package mutating func silence(_ node: Int) { nodes[node].isSilent = true }

    /// A node loses what it holds of a job on the way: the grant never arrived.
    package mutating func lose(_ node: Int, _ job: JobID) { nodes[node].held.removeAll { $0.job == job } }

    /// What the node should be granted cannot be read from the disk: it never hears of it.
    package mutating func failToSend(_ run: AttemptRun, to node: Int, _ error: RoostError) {
        guard let connection = nodes[node].connection else { return }
        nodes[node].held.removeAll { $0.job == run.job && $0.attempt == run.number && run.tasks.contains($0.task) }
        turn([.grantNotSent(connection, run, error)])
    }

    /// The node's guard says that its agent is dead.
    package mutating func reportDead(_ node: Int) {
        turn([
            .guardReported(GuardReport(node: nodes[node].hello.node, incarnation: nodes[node].hello.incarnation))
        ])
    }

    package mutating func say(_ node: Int, _ message: NodeToServer) {
        guard let connection = nodes[node].connection else { return }
        turn([.nodeSaid(connection, message)])
    }

    /// Tasks end on the node, all in one batch, each with the attempt that it holds (or held: `attempt`).
    package mutating func end(
        _ node: Int, _ job: JobID, _ tasks: [TaskIndex], _ end: AttemptEnd = .succeeded, attempt: UInt32? = nil,
        seconds: Double = 1
    ) {
        let epoch = nodes[node].held.first { $0.job == job && tasks.contains($0.task) }?.epoch
        var batch = OutcomeBatch(job: job, epoch: epoch ?? scheduler.configuration.epoch)
        for task in tasks {
            let held = nodes[node].held.first { $0.job == job && $0.task == task }
            nodes[node].held.removeAll { $0 == held }
            let number = attempt ?? held?.attempt ?? 1
            let kind: OutcomeKind = end == .succeeded ? .succeeded : end == .crashed ? .held : .failed
            batch.append(
                task: task, attempt: number, code: OutcomeCode(kind, end), payload: [UInt8(truncatingIfNeeded: task)],
                postMortem: end == .succeeded ? nil : PostMortem(reason: "ended as \(end)"))
        }
        batch.runNanoseconds = UInt64(Double(tasks.count) * seconds * 1e9)
        report(node, batch)
    }

    package mutating func report(_ node: Int, _ batch: OutcomeBatch) {
        let sequence = nodes[node].nextSequence
        nodes[node].nextSequence += 1
        say(node, .outcomes(sequence: sequence, batch))
    }

    /// The node says that what it holds of a job has been running for a while.
    package mutating func reportRunning(_ node: Int, _ job: JobID, _ tasks: [TaskIndex]) {
        say(node, .running(runs(node, job, tasks)))
    }

    /// The node gives these back, as a retract asked.
    package mutating func giveBack(_ node: Int, _ job: JobID, _ tasks: [TaskIndex]) {
        let runs = runs(node, job, tasks)
        nodes[node].held.removeAll { $0.job == job && tasks.contains($0.task) }
        say(node, .retracted(job: job, runs))
    }

    private func runs(_ node: Int, _ job: JobID, _ tasks: [TaskIndex]) -> [AttemptRun] {
        nodes[node].held.filter { $0.job == job && tasks.contains($0.task) }.map { held in
            AttemptRun(
                job: job, epoch: held.epoch, number: held.attempt,
                tasks: TaskRange(first: held.task, count: 1))
        }
    }

    /// The arguments that the node was given since it was last looked at.
    package mutating func argumentsGiven(to node: Int) -> [[UInt8]] {
        told(node: node).flatMap { message -> [[UInt8]] in
            guard case .grant(let run) = message else { return [] }
            return (0..<run.arguments.count).map { Array(run.arguments[$0]) }
        }
    }

    /// What the tasks share of the jobs that the node was told of since it was last looked at.
    package mutating func commonsGiven(to node: Int) -> [[UInt8]] {
        told(node: node).compactMap { if case .job(let spec) = $0 { spec.common } else { nil } }
    }

    /// The tasks of the job that the node holds, ascending.
    package func tasks(_ node: Int, _ job: JobID) -> [TaskIndex] {
        nodes[node].held.filter { $0.job == job }.map(\.task).sorted()
    }

    package func attempt(_ node: Int, _ job: JobID, _ task: TaskIndex) -> UInt32? {
        nodes[node].held.last { $0.job == job && $0.task == task }?.attempt
    }

    /// What the node was told since it was last looked at.
    package mutating func told(node: Int) -> [ServerToNode] {
        defer { nodes[node].messages = [] }
        return nodes[node].messages
    }

    package func isConnected(_ node: Int) -> Bool { nodes[node].connection != nil }

    // MARK: Clients

    package mutating func connect(_ user: String, role: Role = .client) -> Int {
        clients.append(
            Client(
                session: SessionID(rawValue: UInt64(clients.count + 1)), principal: Principal(role: role, user: user)))
        reconnect(clients.count - 1)
        return clients.count - 1
    }

    package mutating func reconnect(_ client: Int) {
        let connection = connection()
        clients[client].connection = connection
        clients[client].messages = []
        let hello = ClientHello(session: clients[client].session)
        turn([.clientConnected(connection, clients[client].principal, hello, peer: "test")])
    }

    package mutating func cut(client: Int) {
        guard let connection = clients[client].connection else { return }
        clients[client].connection = nil
        turn([.disconnected(connection)])
    }

    package func session(_ client: Int) -> SessionID { clients[client].session }

    /// The client adds an entry to its session's setup.
    package mutating func setUp(_ client: Int, number: UInt32, _ payload: [UInt8] = [1]) {
        say(
            client: client,
            [.setup(SetupEntry(session: session(client), number: number, payload: payload))])
    }

    package mutating func silence(client: Int) { clients[client].isSilent = true }

    package mutating func say(client: Int, _ messages: [ClientToServer]) {
        guard let connection = clients[client].connection else { return }
        turn(messages.map { .clientSaid(connection, $0) })
    }

    package mutating func newJob() -> JobID {
        nextJob += 1
        return JobID(rawValue: nextJob)
    }

    /// A closed job, submitted and read in one turn.
    package mutating func submit(
        _ client: Int, tasks: Int, order: ReadRequest.Order = .asCompleted, window: UInt32 = 1000, reads: Bool = true,
        _ change: (inout JobSpec) -> Void = { _ in }
    ) -> JobID {
        var spec = JobSpec(id: newJob(), runtime: .command)
        change(&spec)
        var messages: [ClientToServer] = [.submit(spec)]
        if tasks > 0 { messages.append(.append(Scenario.chunk(spec.id, first: 0, count: tasks))) }
        messages.append(.close(job: spec.id, count: UInt32(tasks)))
        if reads { messages.append(.read(ReadRequest(job: spec.id, order: order, window: window))) }
        say(client: client, messages)
        return spec.id
    }

    package static func chunk(
        _ job: JobID, first: TaskIndex, count: Int, finished: [TaskRange] = []
    ) -> AppendTasks {
        AppendTasks(
            job: job, first: first,
            arguments: PayloadSlice(PayloadArray((0..<count).map { [UInt8(truncatingIfNeeded: Int(first) + $0)] })),
            finished: finished)
    }

    /// What the client was told since it was last looked at.
    package mutating func told(client: Int) -> [ServerToClient] {
        defer { clients[client].messages = [] }
        return clients[client].messages
    }

    /// Everything the client was delivered, and not looked at before, task by task; acknowledged if `acknowledging`.
    package mutating func outcomes(_ client: Int, _ job: JobID, acknowledging: Bool = false) -> [Delivered] {
        var delivered: [Delivered] = []
        var cursor: UInt64?
        for message in told(client: client) {
            guard case .outcomes(let delivery) = message, delivery.batch.job == job else { continue }
            cursor = delivery.cursor
            var position = 0
            for run in delivery.batch.tasks {
                for task in run.first..<run.end {
                    delivered.append(
                        Delivered(
                            task: task, code: delivery.batch.code(at: position),
                            attempt: delivery.batch.attempt(at: position),
                            postMortem: delivery.batch.postMortem(at: position)))
                    position += 1
                }
            }
        }
        if acknowledging, let cursor { say(client: client, [.acknowledge(job: job, cursor: cursor)]) }
        return delivered
    }

    /// One outcome as a client was delivered it.
    package struct Delivered {
        package var task: TaskIndex
        package var code: OutcomeCode
        package var attempt: UInt32
        package var postMortem: PostMortem?
    }

    /// The answer to a query.
    package mutating func ask(_ client: Int, _ query: Query) -> Reply? {
        let before = clients[client].messages.count
        say(client: client, [.query(id: 1, query)])
        for message in clients[client].messages.dropFirst(before) {
            if case .reply(_, let reply) = message { return reply }
        }
        return nil
    }

    /// The server's books on a job; nil when it knows none.
    package func progress(_ job: JobID) -> JobProgress? {
        for slot in scheduler.jobs.slots where scheduler.jobs[slot].spec.id == job {
            return scheduler.jobs[slot].tasks.progress
        }
        return nil
    }
}
