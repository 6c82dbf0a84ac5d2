import Glibc
import Logging
import NIOCore
package import Roost
package import RoostModel
package import RoostNode
import RoostServer
import RoostWire

/// A pool inside this process: server engine, node agent and client on one event loop, joined by links that carry
/// message values. No socket, no TLS, no files; and the loop's thread is the one that starts and watches the processes.
package struct EmbeddedPool: Sendable {
    package let pool: Pool
    private let agent: NodeAgent

    /// Opens a pool. It lives on the thread that watches the processes.
    /// - Parameter r: how R tasks are run; nil: they are not
    package static func open(
        slots: Int?, guardExecutable: String?, r: RConfiguration? = nil
    ) async throws(RoostError) -> EmbeddedPool {
        let loop: ProcessEventLoop
        do {
            loop = try ProcessEventLoop()
        } catch {
            throw RoostError(.io, "the embedded pool does not start", cause: "\(error)")
        }
        do {
            return try await make(slots: slots, guardExecutable: guardExecutable, r: r, loop: loop)
        } catch {
            try? await loop.shutdownGracefully()
            throw error
        }
    }

    /// Starts nothing more; comes back when what runs has ended.
    package func drain(_ reason: String) async { await agent.drainAndWait(reason) }

    /// Makes commands that print wait (or go on), for a reader in this process that does not keep up.
    package func pauseOutput(_ isPaused: Bool) { agent.pauseOutput(isPaused) }

    private static func make(
        slots: Int?, guardExecutable: String?, r: RConfiguration?, loop: ProcessEventLoop
    ) async throws(RoostError) -> EmbeddedPool {
        let slots = slots ?? AvailableCPUs.slots()
        let log = Logger(label: "roost.embedded") { _ in SwiftLogNoOpLogHandler() }
        var offer = Resources.cpus(slots)
        offer.memoryBytes = Int64(clamping: AvailableCPUs.memoryBytes())
        var configuration = AgentConfiguration(
            node: NodeID(rawValue: .random(in: .min ... .max)), name: MachineFacts.current().hostName, offer: offer,
            spool: .here(currentDirectory()), environment: [])
        configuration.guardExecutable = guardExecutable
        configuration.guardWaitsForProcess = true
        configuration.r = r
        if let r { configuration.labels.append(Label(key: "r", value: r.program.version)) }
        let agent = try await NodeAgent.make(
            configuration, incarnation: Incarnation(rawValue: UInt64(Clock.unixNanoseconds())), loop: loop, log: log)
        let session = SessionID(rawValue: .random(in: .min ... .max))
        do {
            let core = try await loop.submit { try join(agent: agent.core.value, session: session, loop: loop, log: log) }
                .get()
            let pool = Pool(loop: loop, session: session, core: core, welcome: nil)
            pool.onClose {
                await agent.stopAndWait("the pool was closed")
                try? await loop.shutdownGracefully()
            }
            return EmbeddedPool(pool: pool, agent: agent)
        } catch {
            throw RoostError(.internal, "the embedded pool does not start", cause: "\(error)")
        }
    }

    private static func currentDirectory() -> String {
        guard let path = getcwd(nil, 0) else { return "/" }
        defer { free(path) }
        return String(cString: path)
    }

    /// On the loop: an engine, and both its peers.
    private static func join(
        agent: AgentCore, session: SessionID, loop: any EventLoop, log: Logger
    ) throws -> NIOLoopBound<ClientCore> {
        let engine = Engine(pool: 0, epoch: 1, version: "embedded", loop: loop, log: log)
        let (nodeEnd, serverOfNode) = LocalEnd<NodeToServer, ServerToNode>.pair(loop, loop)
        let nodeLink = nodeEnd.makeLink()
        let serverNodeLink = serverOfNode.makeLink()
        let (nodeWelcome, nodeEar) = engine.accept(
            node: agent.hello, token: nil, peer: "in this process", over: serverNodeLink)
        serverNodeLink.open(nodeEar)
        nodeLink.open(agent.connected(nodeWelcome, nodeLink))

        let client = ClientCore(session: session, loop: loop) { _ in }
        let (clientEnd, serverOfClient) = LocalEnd<ClientToServer, ServerToClient>.pair(loop, loop)
        let clientLink = clientEnd.makeLink()
        let serverClientLink = serverOfClient.makeLink()
        let (welcome, ear) = engine.accept(
            client: ClientHello(session: session, description: "embedded"),
            as: Principal(role: .admin, user: "me"), token: nil, peer: "in this process", over: serverClientLink)
        serverClientLink.open(ear)
        clientLink.open(client.connected(welcome, clientLink))
        return NIOLoopBound(client, eventLoop: loop)
    }
}
