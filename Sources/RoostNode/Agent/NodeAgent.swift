import Glibc
package import Logging
package import NIOCore
package import RoostModel
package import RoostWire
import Synchronization

/// A node's agent: its machine, its processes, its connection to the server.
package final class NodeAgent: Sendable {
    package let core: NIOLoopBound<AgentCore>
    private let loop: any EventLoop
    private let log: Logger
    private let cuts: AsyncStream<RoostError>
    private let left: AsyncStream<String>
    private let guardLine: GuardLine?

    /// - Parameter loop: A ``ProcessEventLoop`` is taken to the thread that watches the processes.
    /// - Throws: `.io` when the system refuses what the agent needs: descriptors, the guard process.
    package static func make(
        _ configuration: AgentConfiguration, incarnation: Incarnation, loop: any EventLoop, log: Logger
    ) async throws(RoostError) -> NodeAgent {
        let (cuts, cut) = AsyncStream<RoostError>.makeStream()
        let (left, leave) = AsyncStream<String>.makeStream()
        let guardLine = try startGuard(configuration, incarnation)
        let relay = ProcessRelay(loop: loop)
        var reactor: ProcessReactor?
        if configuration.runtimes.contains(.command) {
            do {
                reactor = try ProcessReactor(guardLine: guardLine, eventLoop: loop as? ProcessEventLoop) {
                    relay.pass($0)
                }
            } catch {
                throw RoostError(.io, "the agent cannot watch processes", cause: "\(error)")
            }
        }
        let identity = NodeHello(
            node: configuration.node, incarnation: incarnation, name: configuration.name,
            processID: getpid(), offer: configuration.offer, labels: configuration.labels,
            runtimes: configuration.runtimes + (configuration.r == nil ? [] : [.r]), platform: configuration.platform,
            version: configuration.version)
        do {
            let core = try await loop.submit { [reactor] in
                let core = AgentCore(
                    identity: identity,
                    runtime: reactor.map {
                        CommandRuntime(
                            reactor: $0, spool: configuration.spool, environment: configuration.environment)
                    },
                    guardLine: guardLine, loop: loop, log: log, onDisconnect: { cut.yield($0) },
                    onLeave: { reason in
                        leave.yield(reason)
                        leave.finish()
                        cut.finish()
                    })
                if let reactor, let r = configuration.r {
                    core.adopt {
                        RRuntime(
                            reactor: reactor, loop: loop, configuration: r, node: configuration.name,
                            slots: Int(max(1, configuration.offer.milliCPUs / 1000)), spool: configuration.spool,
                            environment: configuration.environment, tell: $0)
                    }
                }
                if let directory = configuration.resultDirectory {
                    core.keepResults(in: ResultStore(directory: directory), beyond: configuration.resultsInMemory)
                }
                let bound = NIOLoopBound(core, eventLoop: loop)
                relay.open(bound)
                return bound
            }.get()
            return NodeAgent(core, loop, log, cuts, left, guardLine)
        } catch {
            throw RoostError(.internal, "the agent's event loop does not run", cause: "\(error)")
        }
    }

    /// `roost guard NODE INCARNATION … TAG`: the guard knows whose death it would report.
    private static func startGuard(
        _ configuration: AgentConfiguration, _ incarnation: Incarnation
    ) throws(RoostError) -> GuardLine? {
        guard let executable = configuration.guardExecutable else { return nil }
        do {
            return try GuardLine.start(
                executable: executable,
                arguments: ["guard", "\(configuration.node.rawValue)", "\(incarnation.rawValue)"]
                    + configuration.guardArguments,
                waitsForProcess: configuration.guardWaitsForProcess)
        } catch {
            throw RoostError(.io, "the agent's guard process does not start", cause: "\(error)")
        }
    }

    private init(
        _ core: NIOLoopBound<AgentCore>, _ loop: any EventLoop, _ log: Logger, _ cuts: AsyncStream<RoostError>,
        _ left: AsyncStream<String>, _ guardLine: GuardLine?
    ) {
        self.core = core
        self.loop = loop
        self.log = log
        self.cuts = cuts
        self.left = left
        self.guardLine = guardLine
    }

    /// Takes no more work, finishes what runs, leaves.
    package func drain(_ reason: String) {
        loop.execute { [core] in core.value.apply(.drainRequested(reason: reason)) }
    }

    /// Kills what runs and leaves.
    package func stop(_ reason: String) {
        loop.execute { [core] in core.value.apply(.stopRequested(reason: reason)) }
    }

    /// Takes no more work, finishes what runs, leaves, and waits until that is done.
    package func drainAndWait(_ reason: String) async {
        drain(reason)
        for await _ in left {}
    }

    /// Stops (or goes on) reading what commands print, so that they wait: for whoever reads their output in this
    /// process and does not keep up.
    package func pauseOutput(_ isPaused: Bool) {
        loop.execute { [core] in core.value.pauseOutput(isPaused) }
    }

    /// Kills what runs, leaves, and waits until that is done. For an agent without a connection loop of its own.
    package func stopAndWait(_ reason: String) async {
        stop(reason)
        for await _ in left {}
        guardLine?.bye()
    }

    /// Serves the pool until the agent leaves it; the reason.
    ///
    /// Reconnects for ever, with growing waits; what runs goes on meanwhile. Only a server that refuses this
    /// node (its token was revoked) ends it.
    /// - Parameter onJoined: Told once, when the server has said welcome for the first time.
    /// - Throws: `.refused` and its like, and whatever is wrong with the very first connection.
    package func run(
        _ dialer: WireDialer, onJoined: () throws(RoostError) -> Void = {}
    ) async throws(RoostError) -> String {
        // Whatever ends us here is no accident that the guard should report.
        defer { guardLine?.bye() }
        let first = try await dial(dialer, patience: Limits.firstConnectionPatience)
        try onJoined()
        log.info("joined the pool", metadata: ["server": "\(first.address)", "epoch": "\(first.welcome.epoch)"])
        let keeper = Task { [self] () -> RoostError? in
            // Ends with `run`: leaving finishes the stream of cuts.
            var pace = RedialPace(connectedAt: RoostModel::Clock.now())
            for await cut in cuts {
                log.warning("lost the server", metadata: ["reason": "\(cut.message)"])
                do throws(RoostError) {
                    try await dialUntilAnswered(dialer, &pace)
                } catch {
                    loop.execute { [core] in core.value.apply(.stopRequested(reason: error.message)) }
                    return error.code == .cancelled ? nil : error
                }
            }
            return nil
        }
        var reason = "the agent was stopped"
        for await said in left { reason = said }
        keeper.cancel()
        if let error = await keeper.value { throw error }
        return reason
    }

    private func dial(_ dialer: WireDialer, patience: Duration = .zero) async throws(RoostError) -> WireDialer.Connected {
        let hello: NodeHello
        do {
            hello = try await loop.submit { [core] in core.value.hello }.get()
        } catch {
            throw RoostError(.internal, "the agent's event loop does not run", cause: "\(error)")
        }
        return try await dialer.connect(hello: .node(hello), on: loop, patience: patience) {
            [core] (welcome: Welcome, link: any Link<NodeToServer>) -> any LinkDelegate<ServerToNode> in
            core.value.connected(welcome, link)
        }
    }

    private func dialUntilAnswered(_ dialer: WireDialer, _ pace: inout RedialPace) async throws(RoostError) {
        var wait = pace.waitAfterCut(at: RoostModel::Clock.now())
        while true {
            // A thousand nodes do not come back in one instant.
            let jitter = Double.random(in: 1...1.5)
            do { try await Task.sleep(for: wait * jitter) } catch { throw RoostError(.cancelled, "the agent leaves") }
            do throws(RoostError) {
                let connected = try await dial(dialer)
                pace.connected(at: RoostModel::Clock.now())
                log.info("back in the pool", metadata: ["server": "\(connected.address)"])
                return
            } catch {
                guard error.code == .unreachable || error.code == .lost else { throw error }
                log.debug("the server does not answer", metadata: ["reason": "\(error.message)"])
            }
            wait = pace.waitAfterFailure()
        }
    }
}

/// Brings what processes did from the reactor's thread to the agent's event loop.
private final class ProcessRelay: Sendable {
    private let loop: any EventLoop
    private let state = Mutex<State>(.closed([]))

    private enum State: Sendable {
        /// What happened before there was anybody to tell: workers are started together with the agent.
        case closed([ProcessEvent])
        case open(NIOLoopBound<AgentCore>)
    }

    init(loop: any EventLoop) { self.loop = loop }

    /// On the event loop.
    func open(_ core: NIOLoopBound<AgentCore>) {
        let early = state.withLock { state in
            defer { state = .open(core) }
            if case .closed(let events) = state { return events }
            return []
        }
        if !early.isEmpty { core.value.processesDid(early) }
    }

    func pass(_ events: [ProcessEvent]) {
        let core: NIOLoopBound<AgentCore>? = state.withLock { state in
            switch state {
            case .open(let core): return core
            case .closed(let early):
                state = .closed(early + events)
                return nil
            }
        }
        guard let core else { return }
        if loop.inEventLoop { return core.value.processesDid(events) }
        loop.execute { core.value.processesDid(events) }
    }
}
