import Glibc
package import Logging
package import NIOCore
package import RoostModel
package import RoostWire

/// The shell around the node's machine, on one event loop: the link, the timers, and the runtimes.
package final class AgentCore {
    package let loop: any EventLoop
    private let log: Logger
    private var machine: NodeMachine
    private var actions: [NodeAction] = []
    private var link: (any Link<NodeToServer>)?
    private var generation = 0
    /// nil: a node that starts no processes.
    private var commands: CommandRuntime?
    /// nil: a node without R.
    private var r: RRuntime?
    /// nil: a node that keeps all results in memory.
    private var results: StoredResults?
    private var isSendDue = false
    private var isSettleDue = false
    private var isFlushDue = false
    private var timer: Scheduled<Void>?
    private var timerAt = Instant.never
    private var hasLeft = false
    private let guardLine: GuardLine?
    /// What the guard knows of the server's contact.
    private var toldProof = Instant.zero
    /// Told when the connection is gone and a new one is wanted.
    private let onDisconnect: @Sendable (RoostError) -> Void
    /// Told once, when the agent has nothing left to do.
    private let onLeave: @Sendable (String) -> Void

    package init(
        identity: NodeHello, runtime: CommandRuntime?, guardLine: GuardLine? = nil, loop: any EventLoop, log: Logger,
        onDisconnect: @escaping @Sendable (RoostError) -> Void, onLeave: @escaping @Sendable (String) -> Void
    ) {
        self.loop = loop
        self.log = log
        commands = runtime
        self.guardLine = guardLine
        machine = NodeMachine(identity: identity)
        self.onDisconnect = onDisconnect
        self.onLeave = onLeave
    }

    /// Gives the agent a runtime for R: before the first connection.
    func adopt(_ makeRuntime: (@escaping ([NodeEvent]) -> Void) -> RRuntime) {
        r = makeRuntime { [unowned self] events in
            let now = RoostModel::Clock.now()
            for event in events { machine.apply(event, at: now, into: &actions) }
        }
    }

    /// Gives the agent a place for results beyond so many bytes of memory: before the first connection.
    package func keepResults(in store: ResultStore, beyond bytes: Int) {
        machine.resultsInMemory = bytes
        results = StoredResults(store: store, log: log) { [unowned self] event in
            machine.apply(event, at: RoostModel::Clock.now(), into: &actions)
        }
    }

    package var hello: NodeHello { machine.hello }

    // MARK: The connection

    package func connected(_ welcome: Welcome, _ link: any Link<NodeToServer>) -> any LinkDelegate<ServerToNode> {
        self.link?.close(nil)
        self.link = link
        results?.disconnected()
        generation += 1
        apply(.connected(welcome))
        return Ear(core: self, generation: generation)
    }

    fileprivate func received(_ messages: [ServerToNode], _ generation: Int) {
        guard generation == self.generation else { return }
        let now = RoostModel::Clock.now()
        for message in messages {
            prepare(message)
            machine.apply(.serverSaid(message), at: now, into: &actions)
        }
        carryOut()
        settleSoon()
    }

    /// What runtimes have to know before the machine acts on it.
    private func prepare(_ message: ServerToNode) {
        switch message {
        case .forget(let job):
            commands?.forget(job)
            r?.forget(job)
        case .setup(let entry):
            do throws(RoostError) {
                try r?.add(entry)
            } catch {
                log.error("cannot keep a session's setup", metadata: ["reason": "\(error)"])
                loop.assumeIsolated().execute { self.apply(.stopRequested(reason: error.description)) }
            }
        case .forgetSession(let session):
            r?.forget(session)
        default: break
        }
    }

    fileprivate func closed(_ reason: RoostError, _ generation: Int) {
        guard generation == self.generation else { return }
        link = nil
        results?.disconnected()
        // A link that was full says no more that it has room again.
        pauseOutput(isLinkFull: false)
        apply(.disconnected)
        if !hasLeft { onDisconnect(reason) }
    }

    fileprivate func writabilityChanged(_ isWritable: Bool, _ generation: Int) {
        guard generation == self.generation else { return }
        // A server that does not keep up slows the commands that print too much, not our memory.
        pauseOutput(isLinkFull: !isWritable)
        if isWritable { sendStoredSoon() }
    }

    private func pauseOutput(isLinkFull: Bool) {
        commands?.pauseOutput(isLinkFull: isLinkFull)
        r?.pauseOutput(isLinkFull: isLinkFull)
    }

    func pauseOutput(_ isPaused: Bool) { commands?.pauseOutput(isReaderBehind: isPaused) }

    // MARK: Events

    package func apply(_ event: NodeEvent) {
        machine.apply(event, at: RoostModel::Clock.now(), into: &actions)
        carryOut()
        settleSoon()
    }

    /// What the runtime's processes did, as one batch.
    package func processesDid(_ events: [ProcessEvent]) {
        let now = RoostModel::Clock.now()
        for event in events {
            if let r, r.owns(event.token) {
                r.processDid(event)
            } else if let told = commands?.nodeEvent(event) {
                machine.apply(told, at: now, into: &actions)
            }
        }
        r?.flush()
        settle()
    }

    private func settleSoon() {
        guard !isSettleDue else { return }
        isSettleDue = true
        loop.assumeIsolated().execute { self.settle() }
    }

    private func settle() {
        isSettleDue = false
        machine.settle(at: RoostModel::Clock.now(), into: &actions)
        tellGuard()
        carryOut()
        armTimer()
    }

    /// Before a strict job's task starts, and as long as one runs, the guard knows from when its lease counts.
    private func tellGuard() {
        guard let guardLine, machine.provenAt > toldProof, machine.hasStrictWork else { return }
        toldProof = machine.provenAt
        guardLine.prove(at: toldProof)
        guardLine.flush()
    }

    // MARK: Acting

    private func carryOut() {
        while !actions.isEmpty {
            let due = actions
            actions.removeAll(keepingCapacity: true)
            for action in due { perform(action) }
        }
    }

    private func perform(_ action: NodeAction) {
        switch action {
        case .send(let message):
            link?.send(message)
            flushSoon()
        case .store(let sequence, let batch, let sends):
            results?.store(sequence, batch, sendingOver: sends ? link : nil)
        case .sendStored(let sequence):
            results?.send(sequence)
            sendStoredSoon()
        case .discardStored(let sequence):
            results?.discard(sequence)
        case .start(let worker, let start):
            self.start(worker, start)
        case .signal(let worker, let signal):
            commands?.signal(worker, signal)
            r?.signal(worker, signal)
            r?.flush()
            settleSoon()
        case .stream(let worker, let on):
            commands?.stream(worker, on: on)
        case .signalWorker(let processID, let signal):
            r?.signal(processID: processID, signal)
        case .reconnect:
            link?.close(RoostError(.lost, "nothing was heard from the server for too long"))
        case .leave(let reason):
            leave(reason)
        }
    }

    private func start(_ worker: Int, _ start: WorkerStart) {
        if start.job.runtime == .digest {
            machine.apply(
                .batchEnded(worker: worker, DigestRuntime.run(start)), at: RoostModel::Clock.now(), into: &actions)
            settleSoon()
            return
        }
        if start.job.runtime == .r, let r {
            if let failed = r.start(worker, start) {
                machine.apply(.workerEnded(worker: worker, failed), at: RoostModel::Clock.now(), into: &actions)
                settleSoon()
            }
            r.flush()
            return
        }
        let failed =
            commands == nil
            ? WorkerEnd(end: .couldNotStart, payload: [], postMortem: PostMortem(reason: "this node starts no processes"))
            : commands?.start(worker, start)
        if let failed {
            machine.apply(.workerEnded(worker: worker, failed), at: RoostModel::Clock.now(), into: &actions)
            settleSoon()
        }
    }

    private func leave(_ reason: String) {
        guard !hasLeft else { return }
        hasLeft = true
        timer?.cancel()
        link?.flush()
        link?.close(nil)
        commands?.shutDown()
        onLeave(reason)
    }

    private func flushSoon() {
        guard !isFlushDue else { return }
        isFlushDue = true
        loop.assumeIsolated().execute {
            self.isFlushDue = false
            self.link?.flush()
        }
    }

    private func sendStoredSoon() {
        guard results != nil, !isSendDue else { return }
        isSendDue = true
        loop.assumeIsolated().execute {
            self.isSendDue = false
            guard let link = self.link, let results = self.results else { return }
            if results.sendWaiting(over: link) { self.sendStoredSoon() }
            self.carryOut()
        }
    }

    private func armTimer() {
        guard !hasLeft, let due = machine.nextDeadline, due < timerAt else { return }
        timer?.cancel()
        timerAt = due
        let wait = max(0, (due - RoostModel::Clock.now()).wholeNanoseconds)
        timer = loop.assumeIsolated().scheduleTask(in: .nanoseconds(wait)) {
            self.timerAt = .never
            if self.commands != nil {
                var load = 0.0
                getloadavg(&load, 1)
                self.machine.apply(
                    .loadMeasured(milliLoad: UInt32(load * 1000)), at: RoostModel::Clock.now(), into: &self.actions)
            }
            if let r = self.r {
                self.machine.apply(.workersChanged(r.snapshots()), at: RoostModel::Clock.now(), into: &self.actions)
            }
            self.apply(.deadlinePassed)
        }
    }
}

/// Hears one connection of the agent.
private final class Ear: LinkDelegate {
    private let core: AgentCore
    private let generation: Int

    init(core: AgentCore, generation: Int) {
        self.core = core
        self.generation = generation
    }

    func linkReceived(_ messages: [ServerToNode]) { core.received(messages, generation) }
    func linkWritabilityChanged(_ isWritable: Bool) { core.writabilityChanged(isWritable, generation) }
    func linkClosed(_ reason: RoostError) { core.closed(reason, generation) }
}
