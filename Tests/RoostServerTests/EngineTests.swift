import Logging
import NIOCore
import NIOEmbedded
import RoostModel
import RoostScheduler
import RoostServer
import RoostWire
import Testing

/// The engine's turn, with links and a store that tests look into.
@Suite struct EngineTests {
    @Test("stored results are read as fast as the client takes them, and hold up no answer")
    func slowReader() throws {
        let loop = EmbeddedEventLoop()
        let store = StoredResults(count: 3)
        let (_, client, link) = Self.start(loop, store)
        link.isWritable = false
        client.linkReceived([.read(ReadRequest(job: store.job, order: .inOrder))])
        loop.run()
        client.linkReceived([.heartbeat, .query(id: 5, .explain(.id(store.job), task: nil)), .query(id: 6, .job(.id(store.job)))])
        loop.run()
        #expect(store.reads == 0)
        // What asks about the job may conclude from the answer that all before it has come: that one waits.
        #expect(link.flushed.map(\.number) == [.serverHeartbeat, .reply])

        link.takes(2, telling: client)
        #expect(store.reads == 2)
        #expect(link.flushed.dropFirst(2).map(Self.payloads) == [[[0]], [[1]]])

        link.takes(.max, telling: client)
        loop.run()
        let rest = Array(link.flushed.dropFirst(4))
        #expect(Self.payloads(rest[0]) == [[2]])
        #expect(rest.dropFirst().contains { if case .reply(6, .jobs) = $0 { true } else { false } })
        #expect(rest.dropFirst().contains { if case .ended = $0 { true } else { false } })
        #expect(store.reads == 3)
    }

    @Test("arguments left on disk are read as fast as the node takes them")
    func slowNode() throws {
        let loop = EmbeddedEventLoop()
        let store = StoredResults(arguments: 3)
        let (engine, _, _) = Self.start(loop, store)
        let link = RecordedLink<ServerToNode>()
        link.isWritable = false
        let node = Self.accept(engine, link, cpus: 3)
        loop.run()
        #expect(store.reads == 0)
        #expect(link.flushed.map(\.number) == [.job])

        link.takes(2, telling: node)
        #expect(store.reads == 2)
        #expect(Self.arguments(link) == [[0], [1]])
        // What is about a grant that waits, waits behind it.
        node.linkReceived([.heartbeat(NodeStatus())])
        loop.run()
        #expect(link.flushed.map(\.number) == [.job, .grant, .grant, .heartbeatInterval])
        link.takes(.max, telling: node)
        #expect(Self.arguments(link) == [[0], [1], [2]])
    }

    @Test("tasks whose arguments are not what was written fail, and say so")
    func damagedArguments() throws {
        let loop = EmbeddedEventLoop()
        let store = StoredResults(arguments: 2)
        store.failure = RoostError(.damaged, "piece 0 of its arguments is not what was written")
        let (engine, client, toClient) = Self.start(loop, store)
        client.linkReceived([.read(ReadRequest(job: store.job, order: .inOrder))])
        let link = RecordedLink<ServerToNode>()
        let node = Self.accept(engine, link, cpus: 2)
        link.takes(.max, telling: node)
        loop.run()
        #expect(Self.arguments(link) == [])
        let outcomes = toClient.flushed.compactMap { if case .outcomes(let delivery) = $0 { delivery.batch } else { nil } }
        #expect(outcomes.map(\.count).reduce(0, +) == 2)
        for batch in outcomes {
            #expect(batch.code(at: 0) == OutcomeCode(.failed, .couldNotStart))
            #expect(batch.postMortem(at: 0)?.reason == store.failure?.message)
        }
        #expect(toClient.flushed.contains { if case .ended = $0 { true } else { false } })
    }

    @Test("a node is not given tasks of a job of which it cannot be told")
    func damagedCommon() throws {
        let loop = EmbeddedEventLoop()
        let store = StoredResults(arguments: 2, isCommonLeft: true)
        let (engine, client, toClient) = Self.start(loop, store)
        client.linkReceived([.read(ReadRequest(job: store.job, order: .inOrder))])
        let link = RecordedLink<ServerToNode>()
        let node = Self.accept(engine, link, cpus: 1)
        link.takes(.max, telling: node)
        loop.run()
        #expect(Self.commons(link) == [[200]])
        #expect(Self.arguments(link) == [[0]])

        store.failure = RoostError(.damaged, "what its tasks share is not what was written")
        let second = RecordedLink<ServerToNode>()
        node.linkClosed(RoostError(.io, "gone"))
        let again = Self.accept(engine, second, cpus: 1, incarnation: 2)
        second.takes(.max, telling: again)
        loop.run()
        #expect(!second.flushed.contains { $0.number == .job || $0.number == .grant })
        let ends = toClient.flushed.compactMap { if case .outcomes(let delivery) = $0 { delivery.batch } else { nil } }
        #expect(ends.map { $0.postMortem(at: 0)?.reason } == [store.failure?.message, store.failure?.message])

        store.failure = nil
        client.linkReceived([.query(id: 1, .retry(.id(store.job), tasks: [], held: false))])
        loop.run()
        #expect(Self.commons(second) == [[200]])
        #expect(Self.arguments(second) == [[0]])
    }

    @Test("arguments that cannot be read stop the server")
    func unreadableArguments() throws {
        let loop = EmbeddedEventLoop()
        let store = StoredResults(arguments: 1)
        store.failure = RoostError(.io, "the disk is gone")
        var failures: [RoostError] = []
        let (engine, _, _) = Self.start(loop, store) { failures.append($0) }
        let link = RecordedLink<ServerToNode>()
        _ = Self.accept(engine, link, cpus: 1)
        loop.run()
        #expect(Self.arguments(link) == [])
        #expect(failures.map(\.message) == ["the disk is gone"])
    }

    @Test("what a peer waits for leaves before acknowledgements do")
    func outcomesFirst() throws {
        let loop = EmbeddedEventLoop()
        let (engine, client, toClient) = Self.start(loop, StoredResults(count: 1))
        let toNode = RecordedLink<ServerToNode>()
        let node = Self.accept(engine, toNode, cpus: 1)
        let job = JobID(rawValue: 10)
        client.linkReceived([
            .submit(JobSpec(id: job, runtime: .command, retention: .durable)), .read(ReadRequest(job: job, order: .asCompleted)),
            .append(AppendTasks(job: job, first: 0, arguments: PayloadSlice(PayloadArray([[1], [2]])))),
        ])
        loop.run()
        let granted = toNode.flushed.compactMap { if case .grant(let run) = $0 { run.attempts } else { nil } }
        #expect(granted.map(\.tasks) == [TaskRange(first: 0, count: 1)])

        var left: [MessageNumber] = []
        toClient.onFlush = { left += $0.map(\.number) }
        toNode.onFlush = { left += $0.map(\.number) }
        // It takes no other task: all that it hears is that the outcome came.
        var batch = OutcomeBatch(job: job, epoch: 2, node: "a")
        batch.append(task: 0, attempt: 1, code: .succeeded, payload: [7])
        node.linkReceived([.draining(reason: "test"), .outcomes(sequence: 1, batch)])
        loop.run()
        #expect(left == [.delivery, .acknowledgeOutcomes])
    }

    /// An engine on the store, with a client of ann's.
    private static func start(
        _ loop: EmbeddedEventLoop, _ store: StoredResults, onStoreFailure: @escaping (RoostError) -> Void = { _ in }
    ) -> (Engine, client: any LinkDelegate<ClientToServer>, RecordedLink<ServerToClient>) {
        let engine = Engine(
            pool: 1, epoch: 2, version: "test", loop: loop, log: Logger(label: "test"), store: (store, store.pool),
            onStoreFailure: onStoreFailure)
        let link = RecordedLink<ServerToClient>()
        let (_, client) = engine.accept(
            client: ClientHello(session: SessionID(rawValue: 7)), as: Principal(role: .client, user: "ann"), token: nil,
            peer: "test", over: link)
        return (engine, client, link)
    }

    private static func accept(
        _ engine: Engine, _ link: RecordedLink<ServerToNode>, cpus: Int, incarnation: UInt64 = 1
    ) -> any LinkDelegate<NodeToServer> {
        let hello = NodeHello(
            node: NodeID(rawValue: 1), incarnation: Incarnation(rawValue: incarnation), name: "a", offer: .cpus(cpus))
        return engine.accept(node: hello, token: nil, peer: "test", over: link).1
    }

    private static func commons(_ link: RecordedLink<ServerToNode>) -> [[UInt8]] {
        link.flushed.compactMap { message -> [UInt8]? in
            guard case .job(let spec) = message else { return nil }
            return spec.common
        }
    }

    private static func arguments(_ link: RecordedLink<ServerToNode>) -> [[UInt8]] {
        link.flushed.flatMap { message -> [[UInt8]] in
            guard case .grant(let run) = message else { return [] }
            return (0..<run.arguments.count).map { Array(run.arguments[$0]) }
        }
    }

    private static func payloads(_ message: ServerToClient) -> [[UInt8]]? {
        guard case .outcomes(let delivery) = message else { return nil }
        return (0..<delivery.batch.count).map { Array(delivery.batch.payloads[$0]) }
    }
}

/// A link to nobody that keeps what it was given.
private final class RecordedLink<Outgoing: WireMessage>: Link {
    private(set) var flushed: [Outgoing] = []
    private var added: [Outgoing] = []
    private var room = 0
    var isWritable = true
    /// Told what leaves.
    var onFlush: ([Outgoing]) -> Void = { _ in }
    let peer = "test"

    func send(_ message: Outgoing) { added.append(message) }

    func flush() {
        onFlush(added)
        flushed += added
        added = []
        room -= 1
        if room <= 0 { isWritable = false }
    }

    func close(_ reason: RoostError?) {}

    /// The peer takes this many writes more.
    func takes(_ writes: Int, telling delegate: some LinkDelegate) {
        room = writes
        isWritable = true
        delegate.linkWritabilityChanged(true)
    }
}

/// A store that holds one job of ann's, and counts how often its payloads are read.
private final class StoredResults: PoolStore, @unchecked Sendable {
    let job = JobID(rawValue: 9)
    let pool: StoredPool
    /// Only the test's thread touches it.
    private(set) var reads = 0
    /// What reading ends with; nil: payloads, each the number of its batch, or chunk.
    var failure: RoostError?

    /// The job is queued: so many tasks, the arguments of each by themselves on disk.
    init(arguments: UInt8, isCommonLeft: Bool = false) {
        var stored = Self.closedJob(job)
        stored.spec.common = [200]
        if isCommonLeft { stored.leftCommon = stored.spec.takeCommon() }
        stored.chunks = (0..<arguments).map { StoredArguments(PayloadArray([[$0]]), leavingOnDisk: true) }
        pool = Self.pool(stored)
    }

    /// The job has ended, an outcome a batch.
    init(count: UInt32) {
        var stored = Self.closedJob(job)
        stored.endedAge = .seconds(1)
        stored.chunks = [StoredArguments(PayloadArray((0..<count).map { [UInt8($0)] }))]
        for task in 0..<count {
            var batch = OutcomeBatch(job: job, epoch: 1, node: "a")
            batch.append(task: task, attempt: 1, code: .succeeded, payload: [])
            stored.facts += [
                .granted(
                    AttemptRun(job: job, epoch: 1, number: 1, tasks: TaskRange(first: task, count: 1)), NodeID(rawValue: 1)),
                .outcomes(sequence: UInt64(task), batch),
            ]
        }
        pool = Self.pool(stored)
    }

    private static func closedJob(_ id: JobID) -> StoredJob {
        var stored = StoredJob(
            spec: JobSpec(id: id, runtime: .command, retention: .durable), number: 1, user: "ann", age: .seconds(5))
        stored.standing.isClosed = true
        return stored
    }

    private static func pool(_ job: StoredJob) -> StoredPool {
        var pool = StoredPool()
        pool.jobs = [job]
        pool.lastJobNumber = 1
        return pool
    }

    func commit(_ writes: [StoreWrite], done: @escaping @Sendable (RoostError?) -> Void) { done(nil) }

    func payloads(of job: JobID, at place: StoredPlace) throws(RoostError) -> PayloadArray {
        if let failure { throw failure }
        reads += 1
        switch place {
        case .common: return PayloadArray([[200]])
        case .outcomes(let sequence): return PayloadArray([[UInt8(sequence)]])
        case .arguments(let chunk): return PayloadArray([[UInt8(chunk)]])
        }
    }
}
