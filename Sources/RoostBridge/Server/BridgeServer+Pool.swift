import NIOCore
import RSerialization
import Roost
import RoostModel
import Synchronization

/// How large the pool was, and when.
struct PoolSize {
    var nodes: Int?
    var slots: Int?
    var asOf = Instant.zero
    var isAsked = false
}

extension BridgeServer {
    // MARK: The session

    /// What R asks first.
    func openSession(_ control: Control) async throws(BridgeFailure) -> BridgeAnswer {
        let snapshot = try await snapshot()
        var answer = BridgeAnswer()
        answer.control.set("pool", configuration.pool)
        answer.control.set("user", item: RItem.strings([configuration.user]))
        answer.control.set("slots", poolSize.slots.map(Double.init))
        answer.control.set("nodes", poolSize.nodes.map(Double.init))
        answer.control.set("version", configuration.version)
        let versions = Set(snapshot.nodes.compactMap(\.rVersion)).sorted()
        answer.control.set("r", versions)
        return answer
    }

    /// Adds an entry to the session's setup, which jobs submitted from now on have run before their tasks.
    func addSetup(_ frame: BridgeFrame) async throws(BridgeFailure) -> BridgeAnswer {
        guard frame.parts.count == 1 else { throw .usage("'setup' has one part: the entry") }
        do throws(RoostError) {
            let number = try await pool.addSetup(frame.parts[0])
            var answer = BridgeAnswer()
            answer.control.set("number", Double(number))
            return answer
        } catch { throw BridgeFailure(error) }
    }

    // MARK: Jobs and nodes

    func listJobs() async throws(BridgeFailure) -> BridgeAnswer {
        guard case .jobs(let all) = try await ask(.jobs) else { throw Self.unexpected }
        let jobs = all.filter { $0.runtime.rawValue == "r" }
        let now = Double(Clock.unixNanoseconds()) / 1e9
        var answer = BridgeAnswer()
        answer.control.set("id", jobs.map { JobText.show($0.id) })
        answer.control.set("number", jobs.map { Double($0.number) })
        answer.control.set("label", jobs.map(\.name))
        answer.control.set("durable", item: RItem.logicals(jobs.map { $0.retention == .durable }))
        answer.control.set("state", jobs.map(\.state))
        answer.control.set("tasks", jobs.map { Double($0.progress.tasks) })
        answer.control.set("succeeded", jobs.map { Double($0.progress.succeeded) })
        answer.control.set("failed", jobs.map { Double($0.progress.failed) })
        answer.control.set("held", jobs.map { Double($0.progress.held) })
        answer.control.set("cancelled", jobs.map { Double($0.progress.cancelled) })
        answer.control.set("submitted", jobs.map { now - $0.ageSeconds })
        return answer
    }

    func listNodes() async throws(BridgeFailure) -> BridgeAnswer {
        let nodes = try await snapshot().nodes
        let now = Double(Clock.unixNanoseconds()) / 1e9
        var answer = BridgeAnswer()
        answer.control.set("node", nodes.map(\.name))
        answer.control.set("state", nodes.map(\.word))
        answer.control.set("platform", nodes.map(\.platform))
        answer.control.set("version", nodes.map(\.version))
        answer.control.set("r", item: RItem.strings(nodes.map(\.rVersion)))
        answer.control.set("slots", nodes.map { Double($0.offer.milliCPUs) / 1000 })
        answer.control.set("busy", nodes.map { Double(min($0.status.running, $0.granted)) })
        answer.control.set("finished", nodes.map { Double($0.finished) })
        answer.control.set("connected", nodes.map { now - $0.connectedSeconds })
        answer.control.set("silent", nodes.map(\.silentSeconds))
        answer.control.set("address", nodes.map(\.peer))
        answer.control.set("pid", nodes.map { Double($0.processID) })
        return answer
    }

    /// Workers of all nodes that are in contact.
    func listWorkers() async throws(BridgeFailure) -> BridgeAnswer {
        let nodes = try await snapshot().nodes.filter { $0.state == .connected || $0.state == .draining }
        let workers = nodes.flatMap { node in node.status.workers.map { (node: node.name, worker: $0) } }
        let now = Double(Clock.unixNanoseconds()) / 1e9
        var answer = BridgeAnswer()
        answer.control.set("node", workers.map(\.node))
        answer.control.set("pid", integers: workers.map(\.worker.processID))
        answer.control.set(
            "session",
            item: RItem.strings(
                workers.map {
                    $0.worker.session.rawValue == 0 ? nil : String(JobText.show(JobID(rawValue: $0.worker.session.rawValue)).prefix(8))
                }))
        answer.control.set("mine", item: RItem.logicals(workers.map { $0.worker.session == pool.session }))
        answer.control.set("seat", workers.map { $0.worker.seat == 0 ? nil : Double($0.worker.seat) })
        answer.control.set("state", workers.map { Self.word($0.worker.state) })
        answer.control.set("job", item: RItem.strings(workers.map { $0.worker.task.map { JobText.show($0.job) } }))
        answer.control.set("task", workers.map { $0.worker.task.map { Double($0.index) + 1 } })
        answer.control.set("since", workers.map { now - $0.worker.seconds })
        answer.control.set("memory", workers.map { $0.worker.memoryBytes == 0 ? nil : Double($0.worker.memoryBytes) })
        answer.control.set("done", workers.map { Double($0.worker.tasksDone) })
        return answer
    }

    private static func word(_ state: WorkerSnapshot.State) -> String {
        switch state {
        case .starting: "starting"
        case .idle: "idle"
        case .busy: "busy"
        case .ending: "ending"
        }
    }

    func killWorker(_ control: Control) async throws(BridgeFailure) -> BridgeAnswer {
        guard let node = control.text("node") else { throw .usage("the request names no node") }
        guard let pid = control.number("pid").flatMap({ Int32(exactly: $0) }), pid > 0 else {
            throw .usage("'pid' is the number of a process")
        }
        guard let signal = Int32(exactly: control.number("signal") ?? 15) else {
            throw .usage("'signal' is the number of a signal")
        }
        _ = try await ask(.killWorker(node: node, processID: pid, signal: signal))
        return BridgeAnswer()
    }

    func changeNode(_ control: Control, _ query: (String) -> Query) async throws(BridgeFailure) -> BridgeAnswer {
        guard let node = control.text("node") else { throw .usage("the request names no node") }
        guard case .done(let count) = try await ask(query(node)) else { throw Self.unexpected }
        guard count > 0 else { throw BridgeFailure(code: "notFound", "the pool has no node '\(node)'") }
        return BridgeAnswer()
    }

    // MARK: Asking

    private static var unexpected: BridgeFailure {
        BridgeFailure(
            code: "protocolViolation", "the server gave an unexpected answer", remedy: "Use the same version of roost on both sides.")
    }

    private func snapshot() async throws(BridgeFailure) -> PoolSnapshot {
        guard case .pool(let snapshot) = try await ask(.pool) else { throw Self.unexpected }
        poolSize = PoolSize(snapshot)
        return snapshot
    }

    /// Asks anew how large the pool is, for the next time; nobody waits for the answer.
    func refreshPoolSize() {
        let age = (Clock.now() - poolSize.asOf).inSeconds
        guard !poolSize.isAsked, age >= BridgeLimits.snapshotSeconds else { return }
        poolSize.isAsked = true
        // Ends with the server's answer, or with the pool.
        Task {
            let reply = await pool.query(.pool)
            poolSize.isAsked = false
            if case .pool(let snapshot) = reply { poolSize = PoolSize(snapshot) }
        }
    }

    /// Asks the server, and does not wait for ever.
    func ask(_ query: Query) async throws(BridgeFailure) -> Reply {
        let pool = pool
        let loop = loop
        let reply = await withCheckedContinuation { (continuation: CheckedContinuation<Reply, Never>) in
            let answer = FirstAnswer(continuation)
            let alarm = loop.scheduleTask(in: .seconds(Self.answerSeconds)) {
                answer.give(.failed(RoostError(.unreachable, "the server did not answer within \(Self.answerSeconds) s")))
            }
            // Ends with the server's answer, or with the pool.
            Task {
                answer.give(await pool.query(query))
                alarm.cancel()
            }
        }
        if case .failed(let error) = reply { throw BridgeFailure(error) }
        return reply
    }

    private static var answerSeconds: Int64 { 30 }
}

/// Two may answer; the first does.
private final class FirstAnswer: Sendable {
    private let continuation: Mutex<CheckedContinuation<Reply, Never>?>

    init(_ continuation: CheckedContinuation<Reply, Never>) { self.continuation = Mutex(continuation) }

    func give(_ reply: Reply) {
        let waiting = continuation.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }
        waiting?.resume(returning: reply)
    }
}

extension PoolSize {
    init(_ snapshot: PoolSnapshot) {
        let alive = snapshot.nodes.filter { $0.state != .lost }
        nodes = alive.count
        slots = Int(alive.reduce(0) { $0 + $1.offer.milliCPUs } / 1000)
        asOf = Clock.now()
    }
}

extension NodeSnapshot {
    /// The R that the node runs tasks with, if it says.
    fileprivate var rVersion: String? { labels.first { $0.key == "r" }?.value }

    fileprivate var word: String {
        switch state {
        case .connected: "connected"
        case .suspect: "suspect"
        case .draining: "draining"
        case .lost: "lost"
        }
    }
}

extension JobSnapshot {
    /// In a word: where the job stands.
    fileprivate var state: String {
        if progress.isEnded {
            return isCancelled ? "cancelled" : progress.failed + progress.held + progress.cancelled > 0 ? "failed" : "done"
        }
        if isCancelled { return "cancelling" }
        return progress.granted > 0 ? "running" : progress.isClosed ? "waiting" : "open"
    }
}
