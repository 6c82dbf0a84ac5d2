import Glibc
import Logging
import NIOCore
import NIOPosix
import RoostModel
import RoostNode
import RoostWire
import Synchronization

/// The agents of one `roost node start`: one, or, for benchmarks, many that start no processes.
struct NodeCrew {
    private let flags: NodeStart
    private let offer: NodeOffer
    private let dialer: WireDialer
    private let log: Logger
    private let name: String
    /// Held, and locked, as long as the node runs; nil for nodes without processes.
    private let home: NodeHome?

    init(_ flags: NodeStart, offer: NodeOffer, dialer: WireDialer, log: Logger) throws(RoostError) {
        self.flags = flags
        self.offer = offer
        self.dialer = dialer
        self.log = log
        home = offer.runtimes.contains(.command) ? try NodeHome(flags.state) : nil
        name = flags.name ?? MachineFacts.current().hostName + (home?.suffix ?? "")
        guard (1...Limits.nameBytes).contains(name.utf8.count), name != "all" else {
            throw RoostError(.usage, "'\(name)' cannot be a node's name: 1 to \(Limits.nameBytes) bytes, and not 'all'")
        }
    }

    func run(guardTarget: [String]) async throws(RoostError) {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do throws(RoostError) {
            var agents: [NodeAgent] = []
            for number in 1...max(1, flags.connections) {
                let configuration = try configuration(number, guardTarget)
                let incarnation = Incarnation(rawValue: UInt64(max(0, Clock.unixNanoseconds())))
                agents.append(try await NodeAgent.make(configuration, incarnation: incarnation, loop: group.next(), log: log))
            }
            try await serve(agents)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        try? await group.shutdownGracefully()
    }

    private func configuration(_ number: Int, _ guardTarget: [String]) throws(RoostError) -> AgentConfiguration {
        let facts = MachineFacts.current()
        var configuration = AgentConfiguration(
            node: home?.node ?? NodeID(rawValue: .random(in: 1 ... .max)),
            name: flags.connections > 1 ? "\(name)-\(number)" : name, offer: offer.resources,
            spool: .freshUnder(home?.scratch ?? "/"), environment: WorkerEnvironment.inherited())
        configuration.labels = offer.labels
        configuration.runtimes = offer.runtimes
        configuration.r = offer.r
        configuration.resultDirectory = home?.path
        configuration.resultsInMemory = offer.resultsInMemory
        configuration.version = RoostVersion.text
        configuration.platform = facts.platform
        if offer.runtimes.contains(.command) {
            configuration.guardExecutable = Environment.executable()
            configuration.guardArguments = guardTarget
            GuardReporter.prepare(token: try flags.pool.tokenText(for: .node))
        }
        return configuration
    }

    // MARK: Serving

    private func serve(_ agents: [NodeAgent]) async throws(RoostError) {
        let watcher = await Signals.watch(
            first: { signal in
                log.notice("draining", metadata: ["reason": "\(signal)", "again": "stops at once"])
                for agent in agents { agent.drain("\(signal) was received") }
            },
            second: { signal in
                log.notice("stopping", metadata: ["reason": "\(signal)"])
                for agent in agents { agent.stop("\(signal) was received twice") }
            })
        defer { watcher.cancel() }
        if agents.count == 1 { return try await serve(agents[0]) }
        try await serveMany(agents)
    }

    private func serve(_ agent: NodeAgent) async throws(RoostError) {
        let reason = try await agent.run(dialer) { () throws(RoostError) in
            if let file = flags.readyFile { try ReadyFile.write(name, to: file) }
        }
        log.info("left the pool", metadata: ["reason": "\(reason)"])
    }

    /// Many agents dial a few at a time, so that no handshake waits for all the others.
    private func serveMany(_ agents: [NodeAgent]) async throws(RoostError) {
        let (places, place) = AsyncStream<Void>.makeStream()
        for _ in 0..<16 { place.yield() }
        let joined = Joined(all: agents.count)
        let readyFile = flags.readyFile
        let name = name
        let dialer = dialer
        let failure = await withTaskGroup(of: RoostError?.self) { tasks in
            var free = places.makeAsyncIterator()
            for agent in agents {
                _ = await free.next()
                tasks.addTask {
                    do throws(RoostError) {
                        _ = try await agent.run(dialer) { () throws(RoostError) in
                            place.yield()
                            if joined.isLast(), let readyFile { try ReadyFile.write(name, to: readyFile) }
                        }
                        return nil
                    } catch {
                        place.yield()
                        return error
                    }
                }
            }
            var first: RoostError?
            for await error in tasks where first == nil { first = error }
            return first
        }
        if let failure { throw failure }
    }
}

/// Counts agents that are in the pool.
private final class Joined: Sendable {
    private let count = Atomic(0)
    private let all: Int

    init(all: Int) { self.all = all }

    /// Counts one more; whether it was the last.
    func isLast() -> Bool { count.add(1, ordering: .relaxed).newValue == all }
}

/// A node's state directory, locked, with a clean place for its tasks.
final class NodeHome: Sendable {
    private let directory: StateDirectory
    let scratch: String
    /// What distinguishes several nodes of one account on one machine; empty for the first.
    let suffix: String

    var node: NodeID { NodeID(rawValue: directory.nodeID) }
    var path: String { directory.path }

    private static let mostOnOneMachine = 64

    init(_ path: String?) throws(RoostError) {
        if let path {
            directory = try Self.open(path)
            suffix = ""
        } else {
            (directory, suffix) = try Self.firstFree()
        }
        // The directory is ours alone: what a killed agent left is nobody's.
        scratch = "\(directory.path)/scratch"
        RTemporaryDirectory.removeAll(notedIn: scratch)
        DirectoryTree.remove(scratch)
        guard mkdir(scratch, 0o700) == 0 else {
            throw RoostError(.io, "cannot make \(scratch)", cause: String(cString: strerror(errno)))
        }
    }

    private static func open(_ path: String) throws(RoostError) -> StateDirectory {
        do throws(StateDirectory.Failure) {
            return try StateDirectory(path: path)
        } catch {
            throw RoostError(isTaken(error) ? .conflict : .io, "\(error)")
        }
    }

    /// `node`, or `node-2`, … when other agents of this account hold those before.
    private static func firstFree() throws(RoostError) -> (StateDirectory, suffix: String) {
        let usual = Environment.nodeStateDirectory
        for number in 1...mostOnOneMachine {
            let suffix = number == 1 ? "" : "-\(number)"
            do throws(StateDirectory.Failure) {
                return (try StateDirectory(path: usual + suffix), suffix)
            } catch {
                guard isTaken(error) else { throw RoostError(.io, "\(error)") }
            }
        }
        throw RoostError(
            .conflict, "\(mostOnOneMachine) nodes of this account run on this machine",
            remedy: "Give this one a directory of its own: --state DIR")
    }

    private static func isTaken(_ failure: StateDirectory.Failure) -> Bool {
        if case .heldByAnother = failure { return true }
        return false
    }
}

/// What workers may see of the agent's environment.
enum WorkerEnvironment {
    private static let secrets = ["ROOST_TOKEN=", "\(GuardReporter.tokenVariable)="]

    /// Everything but tokens.
    static func inherited() -> [String] {
        Environment.all().filter { entry in !secrets.contains { entry.hasPrefix($0) } }
    }
}
