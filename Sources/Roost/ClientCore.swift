import Logging
package import NIOCore
package import RoostModel
package import RoostWire

/// The shell around the client's machine, on one event loop: links, timers, and where outcomes go.
package final class ClientCore {
    private let loop: any EventLoop
    private var machine: ClientMachine
    private var actions: [ClientAction] = []
    private var link: (any Link<ClientToServer>)?
    /// Distinguishes the connections, so that a late word of an old one is not heard.
    private var generation = 0
    private var sinks: [JobID: JobSink] = [:]
    private var queries: [UInt64: CheckedContinuation<Reply, Never>] = [:]
    private var nextQuery: UInt64 = 1
    /// Who waits for the server to have an entry of the setup log, in order.
    private var setupWaiters: [(number: UInt32, continuation: CheckedContinuation<RoostError?, Never>)] = []
    private var isFlushDue = false
    private var timer: Scheduled<Void>?
    private var timerAt = Instant.never
    /// Why nothing more will come; nil while the pool is open.
    private var ended: RoostError?
    /// Told when the connection is gone and a new one is wanted.
    private let onDisconnect: @Sendable (RoostError) -> Void

    package init(session: SessionID, loop: any EventLoop, onDisconnect: @escaping @Sendable (RoostError) -> Void) {
        self.loop = loop
        self.onDisconnect = onDisconnect
        machine = ClientMachine(session: session)
    }

    // MARK: The connection

    /// A connection was welcomed; the answer hears it from now on.
    package func connected(_ welcome: Welcome, _ link: any Link<ClientToServer>) -> any LinkDelegate<ServerToClient> {
        self.link?.close(nil)
        self.link = link
        generation += 1
        apply(.connected(welcome))
        return Ear(core: self, generation: generation)
    }

    fileprivate func received(_ messages: [ServerToClient], _ generation: Int) {
        guard generation == self.generation else { return }
        let now = Clock.now()
        for message in messages { machine.apply(.serverSaid(message), at: now, into: &actions) }
        carryOut()
    }

    fileprivate func closed(_ reason: RoostError, _ generation: Int) {
        guard generation == self.generation else { return }
        link = nil
        apply(.disconnected)
        onDisconnect(reason)
    }

    // MARK: The program's wishes

    func add(_ sink: JobSink, for job: JobID, _ event: ClientEvent) {
        if let ended { return sink.end(.failure(ended)) }
        guard sinks[job] == nil, !machine.knows(job) else {
            return sink.end(.failure(RoostError(.conflict, "this client reads the job already")))
        }
        sinks[job] = sink
        apply(event)
    }

    package func apply(_ event: ClientEvent) {
        guard ended == nil else { return }
        machine.apply(event, at: Clock.now(), into: &actions)
        carryOut()
    }

    func query(_ query: Query, _ continuation: CheckedContinuation<Reply, Never>) {
        if let ended { return continuation.resume(returning: .failed(ended)) }
        let id = nextQuery
        nextQuery += 1
        queries[id] = continuation
        apply(.query(id: id, query))
    }

    /// Appends to the setup log; told when the server has the entry, or why it will not.
    func addSetup(_ payload: [UInt8], number: UInt32, _ continuation: CheckedContinuation<RoostError?, Never>) {
        if let ended { return continuation.resume(returning: ended) }
        setupWaiters.append((number, continuation))
        apply(.setup(payload))
    }

    private func setupHeld(_ count: UInt32, _ error: RoostError?) {
        let answered = setupWaiters.prefix { $0.number <= count || error != nil }
        setupWaiters.removeFirst(answered.count)
        for waiter in answered { waiter.continuation.resume(returning: waiter.number <= count ? nil : error) }
    }

    /// The pool is closed, or will never be reached again: nobody waits any longer.
    func end(_ reason: RoostError) {
        guard ended == nil else { return }
        timer?.cancel()
        apply(.leave)
        ended = reason
        flush()
        generation += 1
        link?.close(nil)
        link = nil
        for job in sinks.keys.sorted() { sinks[job]?.end(.failure(reason)) }
        sinks.removeAll()
        for id in queries.keys.sorted() { queries[id]?.resume(returning: .failed(reason)) }
        queries.removeAll()
        for waiter in setupWaiters { waiter.continuation.resume(returning: reason) }
        setupWaiters.removeAll()
    }

    // MARK: Acting

    private func carryOut() {
        let due = actions
        actions.removeAll(keepingCapacity: true)
        for action in due { perform(action) }
        armTimer()
    }

    private func perform(_ action: ClientAction) {
        switch action {
        case .send(let message):
            link?.send(message)
            flushSoon()
        case .deliver(let job, let batch):
            sinks[job]?.deliver(batch)
        case .progress(let job, let progress):
            sinks[job]?.progress(progress)
        case .numbered(let job, let number):
            sinks[job]?.numbered(number)
        case .ended(let job, let progress):
            sinks.removeValue(forKey: job)?.end(.success(progress))
        case .refused(let job, let error):
            sinks.removeValue(forKey: job)?.end(.failure(error))
        case .reply(let id, let reply):
            queries.removeValue(forKey: id)?.resume(returning: reply)
        case .output(let chunk):
            sinks[chunk.job]?.output(chunk)
        case .condition(let condition):
            sinks[condition.job]?.condition(condition)
        case .setupHeld(let count, let error):
            setupHeld(count, error)
        case .roomToAppend(let job, let bytes):
            sinks[job]?.room(upTo: bytes)
        case .reconnect:
            link?.close(RoostError(.lost, "nothing was heard from the server for too long"))
        }
    }

    private func flushSoon() {
        guard !isFlushDue else { return }
        isFlushDue = true
        loop.assumeIsolated().execute { self.flush() }
    }

    private func flush() {
        isFlushDue = false
        link?.flush()
    }

    private func armTimer() {
        guard let due = machine.nextDeadline, due < timerAt else { return }
        timer?.cancel()
        timerAt = due
        let wait = max(0, (due - Clock.now()).wholeNanoseconds)
        timer = loop.assumeIsolated().scheduleTask(in: .nanoseconds(wait)) {
            self.timerAt = .never
            self.apply(.deadlinePassed)
        }
    }
}

/// Hears one connection of the client.
private final class Ear: LinkDelegate {
    private let core: ClientCore
    private let generation: Int

    init(core: ClientCore, generation: Int) {
        self.core = core
        self.generation = generation
    }

    func linkReceived(_ messages: [ServerToClient]) { core.received(messages, generation) }
    func linkWritabilityChanged(_ isWritable: Bool) {}
    func linkClosed(_ reason: RoostError) { core.closed(reason, generation) }
}
