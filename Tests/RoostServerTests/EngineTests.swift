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

    @Test("what a peer waits for leaves before acknowledgements do")
    func outcomesFirst() throws {
        let loop = EmbeddedEventLoop()
        let (engine, client, toClient) = Self.start(loop, StoredResults(count: 1))
        let toNode = RecordedLink<ServerToNode>()
        let (_, node) = engine.accept(
            node: NodeHello(node: NodeID(rawValue: 1), incarnation: Incarnation(rawValue: 1), name: "a", offer: .cpus(1)),
            token: nil, peer: "test", over: toNode)
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
        _ loop: EmbeddedEventLoop, _ store: StoredResults
    ) -> (Engine, client: any LinkDelegate<ClientToServer>, RecordedLink<ServerToClient>) {
        let engine = Engine(
            pool: 1, epoch: 2, version: "test", loop: loop, log: Logger(label: "test"), store: (store, store.pool))
        let link = RecordedLink<ServerToClient>()
        let (_, client) = engine.accept(
            client: ClientHello(session: SessionID(rawValue: 7)), as: Principal(role: .client, user: "ann"), token: nil,
            peer: "test", over: link)
        return (engine, client, link)
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
    func takes(_ writes: Int, telling delegate: any LinkDelegate<ClientToServer>) {
        room = writes
        isWritable = true
        delegate.linkWritabilityChanged(true)
    }
}

/// A store that holds one job of ann's that has ended, an outcome a batch, and counts how often it is read.
private final class StoredResults: PoolStore, @unchecked Sendable {
    let job = JobID(rawValue: 9)
    let pool: StoredPool
    /// Only the test's thread touches it.
    private(set) var reads = 0

    init(count: UInt32) {
        var stored = StoredJob(
            spec: JobSpec(id: job, runtime: .command, retention: .durable), number: 1, user: "ann", age: .seconds(5))
        stored.standing.isClosed = true
        stored.endedAge = .seconds(1)
        stored.chunks = [PayloadArray((0..<count).map { [UInt8($0)] })]
        for task in 0..<count {
            var batch = OutcomeBatch(job: job, epoch: 1, node: "a")
            batch.append(task: task, attempt: 1, code: .succeeded, payload: [])
            stored.facts += [
                .granted(
                    AttemptRun(job: job, epoch: 1, number: 1, tasks: TaskRange(first: task, count: 1)), NodeID(rawValue: 1)),
                .outcomes(sequence: UInt64(task), batch),
            ]
        }
        var pool = StoredPool()
        pool.jobs = [stored]
        pool.lastJobNumber = 1
        self.pool = pool
    }

    func commit(_ writes: [StoreWrite], done: @escaping @Sendable (RoostError?) -> Void) { done(nil) }

    func outcomePayloads(of job: JobID, sequence: UInt64) throws(RoostError) -> PayloadArray {
        reads += 1
        return PayloadArray([[UInt8(sequence)]])
    }
}
