package import Logging
import DequeModule
package import NIOCore
package import RoostModel
package import RoostScheduler
package import RoostWire

/// The shell around the scheduler: hears links, tells it, carries its effects out. Lives on one event loop.
///
///     reads of one tick ─▶ apply … apply ─▶ settle ─▶ closes, sends ─▶ one flush per link
///
/// A turn is as long as one tick of the event loop: whatever arrived together is decided together, and every
/// link is flushed once.
package final class Engine {
    package let loop: any EventLoop
    package let log: Logger
    private var scheduler: Scheduler
    private var effects = Effects()
    /// The effects that are being carried out; empty between turns, with room for the next.
    private var carried = Effects()
    private var links: [ConnectionID: Attached] = [:]
    private var nextConnection = 1
    private var isTurnDue = false
    private var timer: Scheduled<Void>?
    private var timerAt = Instant.never
    /// Answers what is not the scheduler's business: tokens, stopping. nil: it is the scheduler's.
    private let office: (Query, Principal) -> Reply?
    private let configuration: SchedulerConfiguration
    private var journal: Journal?

    /// A connection that has been let in.
    private struct Attached {
        enum Peer {
            case client(any Link<ServerToClient>)
            case node(any Link<ServerToNode>)
        }
        var peer: Peer
        /// Letters to a client that has enough on its way: from the first one on whose payloads are on disk, in order; but not
        /// those that overtake on the link, too.
        var waiting: Deque<Effects.Letter<ServerToClient>> = []
        /// The token it showed: a revoked one ends the connection.
        var token: TokenID?
    }

    /// The links to flush: first those that got something their peer may wait for, then those that got acknowledgements.
    private struct Touched {
        var awaited: [ConnectionID] = []
        var unhurried: [ConnectionID] = []

        static func add(_ connection: ConnectionID, to links: inout [ConnectionID]) {
            if links.last != connection { links.append(connection) }
        }
    }

    /// - Parameters:
    ///   - store: Where durable jobs are kept, and what it held when it was opened; nil: this pool has no durable jobs.
    ///   - onStoreFailure: Told when the store has failed: nothing that depends on it is said any more, and the
    ///     server has to stop.
    ///   - office: Answers queries about tokens and the server itself.
    package init(
        pool: UInt64, epoch: Epoch, version: String, loop: any EventLoop, log: Logger,
        store: (any PoolStore, StoredPool)? = nil, keep: Duration? = Limits.keep,
        onStoreFailure: @escaping (RoostError) -> Void = { _ in },
        office: @escaping (Query, Principal) -> Reply? = { _, _ in nil }
    ) {
        var configuration = SchedulerConfiguration()
        configuration.pool = pool
        configuration.epoch = epoch
        configuration.version = version
        configuration.hasStore = store != nil
        configuration.keep = keep
        self.configuration = configuration
        self.loop = loop
        self.log = log
        self.office = office
        scheduler = Scheduler(configuration, at: Clock.now())
        guard let (store, held) = store else { return }
        journal = Journal(store: store, loop: loop) { [unowned self] result in
            switch result {
            case .success(let committed): written(committed)
            case .failure(let error): onStoreFailure(error)
            }
        }
        scheduler.restore(held, at: Clock.now(), into: &effects)
        scheduleTurn()
    }

    // MARK: Letting in

    package func accept(
        client hello: ClientHello, as principal: Principal, token: TokenID?, peer: String,
        over link: any Link<ServerToClient>
    ) -> (Welcome, any LinkDelegate<ClientToServer>) {
        let connection = newConnection(Attached(peer: .client(link), token: token))
        apply(.clientConnected(connection, principal, hello, peer: peer))
        return (welcome, ClientEar(engine: self, connection: connection, principal: principal))
    }

    package func accept(
        node hello: NodeHello, token: TokenID?, peer: String, over link: any Link<ServerToNode>
    ) -> (Welcome, any LinkDelegate<NodeToServer>) {
        let connection = newConnection(Attached(peer: .node(link), token: token))
        apply(.nodeConnected(connection, hello, peer: peer))
        return (welcome, NodeEar(engine: self, connection: connection))
    }

    package func heard(_ report: GuardReport) -> Welcome {
        apply(.guardReported(report))
        return welcome
    }

    private func newConnection(_ attached: Attached) -> ConnectionID {
        let connection = ConnectionID(rawValue: nextConnection)
        nextConnection += 1
        links[connection] = attached
        return connection
    }

    private var welcome: Welcome {
        Welcome(
            pool: configuration.pool, epoch: configuration.epoch, serverVersion: configuration.version,
            heartbeat: scheduler.heartbeatInterval, unixNanoseconds: Clock.unixNanoseconds())
    }

    // MARK: The turn

    fileprivate func apply(_ event: Event) {
        scheduler.apply(event, at: Clock.now(), into: &effects)
        scheduleTurn()
    }

    private func scheduleTurn() {
        guard !isTurnDue else { return }
        isTurnDue = true
        loop.assumeIsolated().execute { self.turn() }
    }

    private func turn() {
        isTurnDue = false
        scheduler.settle(at: Clock.now(), into: &effects)
        carryOut()
        armTimer()
    }

    private func carryOut() {
        // What a link has to say while it is written to belongs to the next turn.
        swap(&effects, &carried)
        for notice in carried.notices { report(notice) }
        for closing in carried.closes {
            switch links.removeValue(forKey: closing.connection)?.peer {
            case .client(let link): link.close(closing.reason)
            case .node(let link): link.close(closing.reason)
            case nil: break
            }
        }
        var touched = Touched()
        send(carried.toNodes, carried.toClients, &touched)
        journal?.add(carried.writes, carried.afterWrites)
        carried.removeAll()
        flush(touched)
    }

    private func send(
        _ toNodes: [Effects.Letter<ServerToNode>], _ toClients: [Effects.Letter<ServerToClient>],
        _ touched: inout Touched
    ) {
        for letter in toNodes {
            guard case .node(let link) = links[letter.connection]?.peer else { continue }
            link.send(letter.message)
            if case .acknowledge = letter.message {
                Touched.add(letter.connection, to: &touched.unhurried)
            } else {
                Touched.add(letter.connection, to: &touched.awaited)
            }
        }
        for letter in toClients {
            guard let attached = links[letter.connection], case .client(let link) = attached.peer else { continue }
            // Nothing is read from the disk ahead of what the client takes.
            let mayLeave = attached.waiting.isEmpty && (letter.stored == nil || link.isWritable)
            guard mayLeave || letter.message.lane == .urgent else {
                links[letter.connection]?.waiting.append(letter)
                continue
            }
            link.send(letter.stored.map { whole(letter.message, $0) } ?? letter.message)
            if letter.stored != nil { link.flush() }
            Touched.add(letter.connection, to: &touched.awaited)
        }
    }

    /// The client has taken what was on its way: what waits for it follows, as far as it takes that.
    fileprivate func sendWaiting(_ connection: ConnectionID) {
        guard case .client(let link) = links[connection]?.peer else { return }
        while link.isWritable, let letter = links[connection]?.waiting.popFirst() {
            link.send(letter.stored.map { whole(letter.message, $0) } ?? letter.message)
            link.flush()
        }
    }

    private func flush(_ touched: Touched) {
        for connection in touched.awaited + touched.unhurried {
            switch links[connection]?.peer {
            case .client(let link): link.flush()
            case .node(let link): link.flush()
            case nil: break
            }
        }
    }

    // MARK: The store

    /// A group of writes is on disk: what depended on it leaves.
    private func written(_ group: Journal.Group) {
        var touched = Touched()
        send(group.letters.toNodes, group.letters.toClients, &touched)
        flush(touched)
        apply(.committed(group.lastWrite))
    }

    /// The outcomes with the payloads that were left on disk; a refusal, when those are not what was written.
    private func whole(_ message: ServerToClient, _ stored: Effects.StoredPayloads) -> ServerToClient {
        guard case .outcomes(var delivery) = message, let journal else { return message }
        do throws(RoostError) {
            delivery.batch.payloads = try journal.payloads(stored)
            return .outcomes(delivery)
        } catch {
            log.error("stored outcomes cannot be read", metadata: ["job": "\(stored.job.rawValue)", "reason": "\(error)"])
            return .refused(job: stored.job, error)
        }
    }

    private func armTimer() {
        guard let due = scheduler.nextDeadline else { return }
        // An earlier timer is kept: it finds nothing due and arms the next.
        guard due < timerAt else { return }
        timer?.cancel()
        timerAt = due
        let wait = max(0, (due - Clock.now()).wholeNanoseconds)
        timer = loop.assumeIsolated().scheduleTask(in: .nanoseconds(wait)) {
            self.timerAt = .never
            self.apply(.deadlinePassed)
        }
    }

    /// The server stops: peers are told, connections closed.
    package func stop(_ reason: RoostError) {
        timer?.cancel()
        for connection in links.keys.sorted() {
            switch links[connection]?.peer {
            case .client(let link): link.close(reason)
            case .node(let link): link.close(reason)
            case nil: break
            }
        }
        links.removeAll()
    }

    /// Ends the connections whose tokens are not good any more.
    package func closeConnections(where isBad: (TokenID) -> RoostError?) {
        for connection in links.keys.sorted() {
            guard let attached = links[connection], let token = attached.token, let reason = isBad(token) else {
                continue
            }
            switch attached.peer {
            case .client(let link): link.close(reason)
            case .node(let link): link.close(reason)
            }
        }
    }

    package func snapshot() -> PoolSnapshot { scheduler.snapshot(at: Clock.now()) }

    // MARK: What links say

    fileprivate func received(_ messages: [ClientToServer], _ connection: ConnectionID, _ principal: Principal) {
        for message in messages {
            if case .query(let id, let query) = message, let reply = office(query, principal) {
                effects.send(.reply(id: id, reply), to: connection)
                scheduleTurn()
                continue
            }
            apply(.clientSaid(connection, message))
        }
    }

    fileprivate func closed(_ connection: ConnectionID, _ reason: RoostError) {
        log.debug("connection closed", metadata: ["connection": "\(connection.rawValue)", "reason": "\(reason.message)"])
        guard links.removeValue(forKey: connection) != nil else { return }
        apply(.disconnected(connection))
    }
}

/// Hears one client.
private final class ClientEar: LinkDelegate {
    private let engine: Engine
    private let connection: ConnectionID
    private let principal: Principal

    init(engine: Engine, connection: ConnectionID, principal: Principal) {
        self.engine = engine
        self.connection = connection
        self.principal = principal
    }

    func linkReceived(_ messages: [ClientToServer]) { engine.received(messages, connection, principal) }
    func linkWritabilityChanged(_ isWritable: Bool) { if isWritable { engine.sendWaiting(connection) } }
    func linkClosed(_ reason: RoostError) { engine.closed(connection, reason) }
}

/// Hears one node.
private final class NodeEar: LinkDelegate {
    private let engine: Engine
    private let connection: ConnectionID

    init(engine: Engine, connection: ConnectionID) {
        self.engine = engine
        self.connection = connection
    }

    func linkReceived(_ messages: [NodeToServer]) {
        for message in messages { engine.apply(.nodeSaid(connection, message)) }
    }
    func linkWritabilityChanged(_ isWritable: Bool) {}
    func linkClosed(_ reason: RoostError) { engine.closed(connection, reason) }
}
