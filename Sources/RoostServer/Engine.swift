package import Logging
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
    private let onStoreFailure: (RoostError) -> Void

    /// A connection that has been let in.
    private struct Attached {
        enum Peer {
            case client(Outbox<ServerToClient>)
            case node(Outbox<ServerToNode>)
        }
        var peer: Peer
        /// The token it showed: a revoked one ends the connection.
        var token: TokenID?
        /// Jobs that this node could not be told of, and why: none of their tasks can be sent there, until it is told.
        var untold: [JobID: RoostError] = [:]

        func close(_ reason: RoostError) {
            switch peer {
            case .client(let outbox): outbox.link.close(reason)
            case .node(let outbox): outbox.link.close(reason)
            }
        }
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
        self.onStoreFailure = onStoreFailure
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
        let connection = newConnection(Attached(peer: .client(Outbox(link)), token: token))
        apply(.clientConnected(connection, principal, hello, peer: peer))
        return (welcome, ClientEar(engine: self, connection: connection, principal: principal))
    }

    package func accept(
        node hello: NodeHello, token: TokenID?, peer: String, over link: any Link<ServerToNode>
    ) -> (Welcome, any LinkDelegate<NodeToServer>) {
        let connection = newConnection(Attached(peer: .node(Outbox(link)), token: token))
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
            links.removeValue(forKey: closing.connection)?.close(closing.reason)
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
            guard case .node(let outbox) = links[letter.connection]?.peer else { continue }
            outbox.send(letter, completing: whole)
            if case .acknowledge = letter.message {
                Touched.add(letter.connection, to: &touched.unhurried)
            } else {
                Touched.add(letter.connection, to: &touched.awaited)
            }
        }
        for letter in toClients {
            guard case .client(let outbox) = links[letter.connection]?.peer else { continue }
            outbox.send(letter, completing: whole)
            Touched.add(letter.connection, to: &touched.awaited)
        }
    }

    /// The peer has taken what was on its way: what waits for it follows, as far as it takes that.
    fileprivate func sendWaiting(_ connection: ConnectionID) {
        switch links[connection]?.peer {
        case .client(let outbox): outbox.sendWaiting(completing: whole)
        case .node(let outbox): outbox.sendWaiting(completing: whole)
        case nil: break
        }
    }

    private func flush(_ touched: Touched) {
        for connection in touched.awaited + touched.unhurried {
            switch links[connection]?.peer {
            case .client(let outbox): outbox.link.flush()
            case .node(let outbox): outbox.link.flush()
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
    private func whole(_ letter: Effects.Letter<ServerToClient>) -> ServerToClient {
        guard case .outcomes(var delivery) = letter.message, let stored = letter.stored, let journal else { return letter.message }
        // Not `read`: a client that cannot be served is no reason to stop.
        do throws(RoostError) {
            delivery.batch.payloads = try journal.payloads(stored)
            return .outcomes(delivery)
        } catch {
            log.error("stored outcomes cannot be read", metadata: ["job": "\(stored.job.rawValue)", "reason": "\(error)"])
            return .refused(job: stored.job, error)
        }
    }

    /// What a node is told, with what of it was left on disk; nil when that is not to be had: the tasks fail, when what is there is not
    /// what was written, or the server stops, when nothing can be read.
    private func whole(_ letter: Effects.Letter<ServerToNode>) -> ServerToNode? {
        switch letter.message {
        case .job(var spec):
            links[letter.connection]?.untold[spec.id] = nil
            guard let stored = letter.stored else { break }
            switch read(stored) {
            case .success(let found):
                spec.common = Array(found[0])
                return .job(spec)
            case .failure(let error):
                links[letter.connection]?.untold[spec.id] = error
                apply(.jobNotSent(letter.connection, spec.id))
                return nil
            }
        case .grant(var run):
            var obstacle = links[letter.connection]?.untold[run.attempts.job]
            if obstacle == nil {
                guard let stored = letter.stored else { break }
                switch read(stored) {
                case .success(let found):
                    run.arguments = PayloadSlice(found)
                    return .grant(run)
                case .failure(let error): obstacle = error
                }
            }
            if let obstacle, obstacle.isOfContent { apply(.grantNotSent(letter.connection, run.attempts, obstacle)) }
            return nil
        default: break
        }
        return letter.message
    }

    /// Payloads that were left on disk. The server stops when the disk cannot be read.
    private func read(_ stored: Effects.StoredPayloads) -> Result<PayloadArray, RoostError> {
        guard let journal else { return .failure(RoostError(.internal, "there is no store to read from")) }
        do throws(RoostError) {
            return .success(try journal.payloads(stored))
        } catch {
            log.error("what is stored cannot be read", metadata: ["job": "\(stored.job.rawValue)", "reason": "\(error)"])
            if !error.isOfContent { onStoreFailure(error) }
            return .failure(error)
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
            links[connection]?.close(reason)
        }
        links.removeAll()
    }

    /// Ends the connections whose tokens are not good any more.
    package func closeConnections(where isBad: (TokenID) -> RoostError?) {
        for connection in links.keys.sorted() {
            guard let attached = links[connection], let token = attached.token, let reason = isBad(token) else {
                continue
            }
            attached.close(reason)
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

extension RoostError {
    /// The disk was read: what is there is not what was written, or belonged to a job that was forgotten meanwhile.
    fileprivate var isOfContent: Bool { code == .damaged || code == .notFound }
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
    func linkWritabilityChanged(_ isWritable: Bool) { if isWritable { engine.sendWaiting(connection) } }
    func linkClosed(_ reason: RoostError) { engine.closed(connection, reason) }
}
