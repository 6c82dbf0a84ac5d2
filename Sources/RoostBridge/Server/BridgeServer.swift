import Glibc
package import NIOCore
import NIOPosix
package import Roost
package import RoostModel
import RoostNode

/// What the bridge says of itself and its pool.
package struct BridgeConfiguration: Sendable {
    /// The pool's URL, or "embedded".
    package var pool: String
    /// Who the pool takes us for; nil when it is not known.
    package var user: String?
    package var version: String
    /// 32 hexadecimal digits that R shows at each connection.
    package var secret: String

    package init(pool: String, user: String?, version: String, secret: String) {
        self.pool = pool
        self.user = user
        self.version = version
        self.secret = secret
    }
}

/// What an R session talks to: a listener on loopback, one session, its jobs.
///
/// It lives on the event loop of its pool: a request becomes tasks, and an outcome becomes an answer, without a change of threads.
/// An embedded pool's loop has R's sockets watched (``BridgeSocket``), that of a connection to a server has channels (``BridgeConnection``).
/// What is long, cutting and joining of much, is done elsewhere.
package actor BridgeServer {
    package nonisolated let loop: any EventLoop
    package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor.asUnownedSerialExecutor() }

    let pool: Pool
    /// How many processes of this machine may run at once.
    let cpus = AvailableCPUs.slots()
    let configuration: BridgeConfiguration
    private var machine: BridgeMachine
    private var listener: (any Channel)?
    var listeningSocket: DescriptorWatch?
    /// Connections on sockets of our own, until they are closed.
    var sockets: [Int: BridgeSocket] = [:]
    private var lastConnection = 0
    /// The connection that said the secret last.
    private var current: (id: Int, link: any BridgeLink)?
    private var strangers: [Int: any BridgeLink] = [:]
    private var firstConnectionDue: Scheduled<Void>?
    /// What answers each request; ended by its answer, by `stop`, or with the server.
    var requests: [UInt64: Task<Void, Never>] = [:]
    var jobs: [JobID: BridgeJob] = [:]
    /// Open jobs of small calls, by the number that brief requests have for them.
    var briefJobs: [Int: JobID] = [:]
    var lastBriefJob = 0
    var waiters: [Int: Waiter] = [:]
    var lastWaiter = 0
    var poolSize = PoolSize()
    /// Whether a look at jobs that cannot run is due.
    var isWantWatched = false
    private var endReason: String?
    private var endWaiter: CheckedContinuation<String, Never>?

    private init(pool: Pool, configuration: BridgeConfiguration) {
        self.pool = pool
        self.configuration = configuration
        loop = pool.loop
        machine = BridgeMachine(secret: configuration.secret)
    }

    // MARK: Opening and ending

    /// Listens on a free port of 127.0.0.1.
    /// - Throws: `.io` when the system refuses.
    package static func start(
        pool: Pool, configuration: BridgeConfiguration
    ) async throws(RoostError) -> (server: BridgeServer, port: Int) {
        let server = BridgeServer(pool: pool, configuration: configuration)
        do {
            return (server, try await server.listen())
        } catch {
            throw RoostError(.io, "the bridge cannot listen on 127.0.0.1", cause: "\(error)")
        }
    }

    private func listen() async throws -> Int {
        firstConnectionDue = loop.scheduleTask(in: .seconds(BridgeLimits.firstConnectionSeconds)) {
            self.assumeIsolated {
                $0.finish("no R session connected within \(BridgeLimits.firstConnectionSeconds) s")
            }
        }
        if let loop = loop as? ProcessEventLoop { return try listen(on: loop) }
        let channel = try await ServerBootstrap(group: loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 2048, initial: 64 << 10, maximum: 1 << 20)
            )
            .childChannelOption(
                .writeBufferWaterMark, value: .init(low: BridgeLimits.writeAheadBytes / 2, high: BridgeLimits.writeAheadBytes)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let id = self.assumeIsolated { $0.nextConnection() }
                    try channel.pipeline.syncOperations.addHandler(BridgeConnection(id: id, server: self))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        listener = channel
        guard let port = channel.localAddress?.port else { throw RoostError(.io, "the listener has no port") }
        return port
    }

    /// Waits until the session is over; why.
    package func untilEnded() async -> String {
        if let endReason { return endReason }
        return await withCheckedContinuation { endWaiter = $0 }
    }

    /// Ends the session, from anywhere.
    package nonisolated func end(_ reason: String) { loop.execute { self.assumeIsolated { $0.finish(reason) } } }

    private func finish(_ reason: String) {
        guard endReason == nil else { return }
        endReason = reason
        firstConnectionDue?.cancel()
        listener?.close(promise: nil)
        listeningSocket?.close()
        listeningSocket = nil
        for id in strangers.keys.sorted() { strangers[id]?.close() }
        for request in requests.keys.sorted() { requests[request]?.cancel() }
        endWaiter?.resume(returning: reason)
        endWaiter = nil
    }

    // MARK: Connections

    /// What a connection does after a frame.
    enum Order { case goOn, trust, close }

    func nextConnection() -> Int {
        lastConnection += 1
        return lastConnection
    }

    func opened(_ id: Int, _ link: any BridgeLink) -> Bool {
        guard endReason == nil, strangers.count < BridgeLimits.strangers else { return false }
        strangers[id] = link
        loop.scheduleTask(in: .seconds(BridgeLimits.helloSeconds)) { self.assumeIsolated { $0.strangers[id]?.close() } }
        return true
    }

    func closed(_ id: Int) {
        strangers[id] = nil
        if current?.id == id { current = nil }
    }

    func received(_ id: Int, _ frame: BridgeFrame) -> Order {
        if let link = strangers[id] { return greet(id, link, frame) }
        guard current?.id == id else { return .close }
        switch machine.request(frame.header) {
        case .seen: return .goOn
        case .fault: return .close
        case .new:
            let sequence = frame.header.sequence
            if runAtOnce(sequence, frame) || appendAtOnce(sequence, frame) || nextAtOnce(sequence, frame)
                || forgetAtOnce(sequence, frame)
            {
                return .goOn
            }
            // Ends with its answer; `stop` and the end of the session cancel it.
            requests[sequence] = Task { await self.answer(sequence, frame) }
            return .goOn
        }
    }

    private func greet(_ id: Int, _ link: any BridgeLink, _ frame: BridgeFrame) -> Order {
        guard case .welcome(let answer, let again) = machine.hello(frame) else { return .close }
        firstConnectionDue?.cancel()
        strangers[id] = nil
        let former = current
        current = (id, link)
        former?.link.close()
        link.send([answer] + again)
        return .trust
    }

    // MARK: Requests

    private func answer(_ sequence: UInt64, _ frame: BridgeFrame) async {
        do throws(BridgeFailure) {
            let answer = try await perform(sequence, frame)
            if frame.control.flag("quiet") ?? false { finishQuietly(sequence) } else { finish(sequence, .success(answer)) }
        } catch {
            failed(sequence, frame.control, error)
        }
        if frame.control.text("op") == "bye" { finish("R said bye") }
    }

    /// R did not want an answer if all went well.
    func finishQuietly(_ sequence: UInt64) {
        machine.stopped(sequence)
        requests[sequence] = nil
    }

    /// Gives a request its final answer.
    func finish(_ sequence: UInt64, _ result: Result<BridgeAnswer, BridgeFailure>) {
        switch result {
        case .success(let answer):
            let (control, parts) = answer.finished()
            send(sequence, .final, control: control, parts: parts)
        case .failure(let failure):
            send(sequence, .final, control: failure.control)
        }
        requests[sequence] = nil
    }

    /// Sends a frame that answers `request`, unless nobody waits for it; kept for a later connection where there is none now.
    func send(_ request: UInt64, _ kind: BridgeMachine.Kind, control: [UInt8], parts: [[UInt8]] = []) {
        // Who does not read is not told how far things are, nor of conditions without end.
        let isRead = current?.link.isWritable == true
        guard let frame = machine.answer(request, kind, control: control, parts: parts, isRead: isRead) else { return }
        current?.link.send([frame])
    }

    /// Ends a request that R no longer waits for.
    func stop(_ request: UInt64) {
        machine.stopped(request)
        requests[request]?.cancel()
        dropJob(madeBy: request)
        dropCall(madeBy: request)
        dropNext(request)
    }
}
