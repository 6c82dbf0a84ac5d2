package import NIOCore
import NIOPosix
public import RoostModel
package import RoostWire
import Synchronization

/// A pool, as a client sees it.
///
/// ```swift
/// let pool = try await Pool.connect("roost://head:7117", token: token)
/// let job = try await pool.submit(commands: files.map { .program("gzip", [$0]) })
/// for try await outcome in job.results { print(outcome.task, outcome.kind) }
/// await pool.close()
/// ```
///
/// The connection is kept up in the background: after a cut the pool is dialled again until it answers, and jobs
/// go on where they were. Jobs are *attached* unless said otherwise: they end with this client. *Durable* ones
/// (``JobOptions/retention``) are on the server's disk, and can be read by another client later: ``attach(_:order:)``.
public final class Pool: Sendable {
    package let loop: any EventLoop
    package let session: SessionID
    private let core: NIOLoopBound<ClientCore>
    /// What ends with the pool: the task that keeps the connection up, the event loop, an embedded server.
    private let closers = Mutex<[@Sendable () async -> Void]>([])
    private let welcomed: Mutex<Welcome?>
    /// Set by ``close()``, before the event loop ends: nothing may be handed to it from then on.
    private let closed = Mutex<RoostError?>(nil)
    /// Entries of the session's setup log so far.
    private let setupCount = Mutex<UInt32>(0)

    package init(loop: any EventLoop, session: SessionID, core: NIOLoopBound<ClientCore>, welcome: Welcome?) {
        self.loop = loop
        self.session = session
        self.core = core
        welcomed = Mutex(welcome)
    }

    // MARK: Opening and closing

    /// Connects to a server.
    /// - Parameters:
    ///   - url: `roost://HOST:PORT`.
    ///   - token: What `roost token create --role client` printed; nil only for a server without TLS on loopback.
    ///   - description: Who this is, for the people who run the pool.
    /// - Throws: `.usage` for a bad URL or token, `.unreachable` naming host, address, port and cause, `.refused`
    ///   when the server does not want us.
    public static func connect(
        _ url: String, token: String?, description: String = "Swift client"
    ) async throws(RoostError) -> Pool {
        let address = try PoolAddress(parsing: url)
        return try await connect(address, token: token, description: description)
    }

    public static func connect(
        _ address: PoolAddress, token: String?, description: String = "Swift client"
    ) async throws(RoostError) -> Pool {
        let dialer = WireDialer(
            host: address.host, port: address.port, security: try security(of: address, token: token))
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let supervisor = ConnectionSupervisor(
            dialer: dialer, loop: group.next(),
            hello: ClientHello(session: SessionID(rawValue: .random(in: .min ... .max)), description: description))
        do {
            let (pool, keeper) = try await supervisor.open()
            pool.onClose {
                keeper.cancel()
                try? await group.shutdownGracefully()
            }
            return pool
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    package static func security(
        of address: PoolAddress, token: String?
    ) throws(RoostError) -> WireDialer.Security {
        if address.isPlain { return .plain(try token.map { text throws(RoostError) in try PoolToken(parsing: text).credential }) }
        guard let token else {
            throw RoostError(
                .refused, "a token is needed to reach \(address)",
                remedy: "Make one on the server's host with 'roost token create --role client', and give it in ROOST_TOKEN or --token.")
        }
        return .token(try PoolToken(parsing: token))
    }

    /// What the server said of itself at the last welcome.
    package var welcome: Welcome? { welcomed.withLock { $0 } }

    package func noteWelcome(_ welcome: Welcome) { welcomed.withLock { $0 = welcome } }

    package func onClose(_ closer: @escaping @Sendable () async -> Void) { closers.withLock { $0.append(closer) } }

    /// Leaves the pool: attached jobs that have not ended are cancelled, and whoever waits for them gets
    /// an error. Call it at the end; later calls of anything else fail.
    public func close() async {
        let reason = RoostError(.cancelled, "the pool was closed")
        let wasOpen = closed.withLock { closed in
            defer { closed = reason }
            return closed == nil
        }
        guard wasOpen else { return }
        try? await loop.submit { [core] in core.value.end(reason) }.get()
        let closers = self.closers.withLock { closers in
            defer { closers = [] }
            return closers
        }
        for closer in closers { await closer() }
    }

    package func giveUp(_ reason: RoostError) { _ = onLoop { $0.end(reason) } }

    /// Does something on the event loop; or does not, and says why.
    private func onLoop(_ body: @escaping @Sendable (ClientCore) -> Void) -> RoostError? {
        closed.withLock { closed in
            // Under the lock: what is handed over before the pool closes is done before its event loop ends.
            if closed == nil { loop.execute { [core] in body(core.value) } }
            return closed
        }
    }

    // MARK: Jobs

    /// Submits commands as one job, whole. A durable job is on the server's disk when this returns.
    public func submit(
        commands: some Sequence<Command>, environment: CommandCommon = CommandCommon(),
        options: JobOptions = JobOptions()
    ) async throws(RoostError) -> JobHandle {
        let job = try await openCommands(environment: environment, options: options)
        for command in commands { try await job.append(command) }
        try await job.closeTasks()
        if options.retention == .durable { try await job.waitUntilSubmitted() }
        return job
    }

    /// Opens a job of commands, which are appended as they become known; see ``JobHandle/append(_:)-(Command)``,
    /// ``JobHandle/flush()`` and ``JobHandle/closeTasks()``.
    public func openCommands(
        environment: CommandCommon = CommandCommon(), options: JobOptions = JobOptions()
    ) async throws(RoostError) -> JobHandle {
        try await open(runtime: .command, common: environment.payload, options: options)
    }

    /// Opens a job whose tasks are appended as they become known; see ``JobHandle/append(_:)-([UInt8])`` and
    /// ``JobHandle/closeTasks()``.
    public func open(
        runtime: RuntimeName, common: [UInt8] = [], options: JobOptions = JobOptions()
    ) async throws(RoostError) -> JobHandle {
        try start(runtime: runtime, common: common, options: options)
    }

    /// ``open(runtime:common:options:)`` for callers that cannot suspend.
    package func start(
        runtime: RuntimeName, common: [UInt8] = [], options: JobOptions = JobOptions()
    ) throws(RoostError) -> JobHandle {
        guard common.count <= Limits.payloadBytes else {
            throw RoostError(.limit, "common data of \(common.count) bytes; at most \(Limits.payloadBytes) are allowed")
        }
        try Limits.check(name: options.name, of: "a job")
        try Label.check(options.labels)
        try options.request.check()
        var spec = JobSpec(
            id: JobID(rawValue: .random(in: 1 ... .max)), name: options.name, runtime: runtime, common: common,
            request: options.request, labels: options.labels, policy: options.policy, retention: options.retention,
            streamsOutput: options.streamsOutput)
        guard options.annotation.count <= Limits.annotationBytes else {
            throw RoostError(
                .limit, "\(options.annotation.count) bytes to note with the job; at most \(Limits.annotationBytes) are allowed")
        }
        spec.annotation = options.annotation
        spec.streamsConditions = options.streamsConditions
        if runtime.keepsWorkers {
            spec.session = session
            spec.setup = setupCount.withLock { $0 }
            spec.seat = options.seat
        }
        let sink = JobSink(job: spec.id)
        let order = options.order
        if let reason = onLoop({ [spec] in $0.add(sink, for: spec.id, .submit(spec, order: order)) }) { throw reason }
        return JobHandle(
            id: spec.id, sink: sink, pool: self, isCancelledWithReader: options.isCancelledWithReader)
    }

    /// Reads a job that some client submitted and the server keeps. A client reads a job once at a time: a second
    /// handle's results fail with `.conflict`.
    public func attach(
        _ id: JobID, order: ReadRequest.Order = .asCompleted
    ) -> JobHandle {
        attach(id, .attach(id, order: order))
    }

    /// Reads a job in order from task `first` on, `window` tasks at a time.
    package func attach(_ id: JobID, from first: UInt32, window: UInt32) -> JobHandle {
        attach(id, .attach(id, order: .inOrder, after: UInt64(first), window: window))
    }

    private func attach(_ id: JobID, _ event: ClientEvent) -> JobHandle {
        let sink = JobSink(job: id)
        if let reason = onLoop({ $0.add(sink, for: id, event) }) { sink.end(.failure(reason)) }
        return JobHandle(id: id, sink: sink, pool: self)
    }

    /// Adds an entry to the session's setup: every worker that runs a task of a job opened after this call runs it
    /// first, also on nodes that join later. Workers of other sessions never do.
    /// - Parameter entry: In the form of the runtime whose jobs follow; opaque to the pool.
    /// - Returns: The entry's number, counted from 1, once the server has it.
    /// - Throws: `.limit` when the setup has grown too large, `.refused`, `.lost`.
    @discardableResult
    package func addSetup(_ entry: [UInt8]) async throws(RoostError) -> UInt32 {
        guard entry.count <= Limits.payloadBytes else {
            throw RoostError(.limit, "a setup entry of \(entry.count) bytes; at most \(Limits.payloadBytes) are allowed")
        }
        var number: UInt32 = 0
        let refusal: RoostError? = await withCheckedContinuation { continuation in
            // Counted and handed over in one go: the order of the numbers is the order of the log.
            let reason: RoostError? = setupCount.withLock { count in
                let next = count + 1
                if let reason = onLoop({ $0.addSetup(entry, number: next, continuation) }) { return reason }
                count = next
                number = next
                return nil
            }
            if let reason { continuation.resume(returning: reason) }
        }
        if let refusal { throw refusal }
        return number
    }

    /// Asks the server.
    package func query(_ query: Query) async -> Reply {
        await withCheckedContinuation { continuation in
            if let reason = onLoop({ $0.query(query, continuation) }) { continuation.resume(returning: .failed(reason)) }
        }
    }

    /// Why no node of the pool can run what waits of the job, however long it waits, with a remedy; nil: some node can, or
    /// nothing waits.
    package func want(of job: JobID) async -> String? {
        guard case .explanation(let rows) = await query(.explain(.id(job), task: nil)), let first = rows.first, first.isUnfit else {
            return nil
        }
        return first.reason
    }

    package func tell(_ event: ClientEvent) {
        _ = onLoop { $0.apply(event) }
    }

    func hear(_ sink: JobSink, _ handler: @escaping @Sendable (Result<OutcomeBatch, RoostError>) -> Void) {
        if let reason = onLoop({ _ in sink.onOutcomes(handler) }) { handler(.failure(reason)) }
    }

    /// The pool as it is now: nodes, jobs, counters.
    /// - Throws: `.refused`, `.lost`.
    public func snapshot() async throws(RoostError) -> PoolSnapshot {
        switch await query(.pool) {
        case .pool(let snapshot): return snapshot
        case .failed(let error): throw error
        case .jobs, .explanation, .tokens, .token, .done: throw RoostError(.internal, "an unexpected answer")
        }
    }
}
