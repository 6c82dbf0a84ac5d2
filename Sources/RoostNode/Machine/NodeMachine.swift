import DequeModule
package import RoostModel

/// Every decision of a node's agent: what runs when, what is kept, what is given back. Pure.
///
///     grant ─▶ queue ─▶ worker ─▶ batch being built ─▶ unacknowledged ─▶ forgotten
///                │                                        (sent, kept in memory or on disk, sent again after a cut)
///                └▶ given back (retract, drain)
package struct NodeMachine {
    package let identity: NodeHello
    package internal(set) var isConnected = false
    var jobs: [JobID: JobSpec] = [:]
    /// In which epoch a server last said something of a job.
    var confirmed: [JobID: Epoch] = [:]
    var queue = GrantQueue()
    var workers: [Worker?] = []
    var running = 0
    var free: Resources
    /// Ends of attempts of this turn, by job, in order of their jobs' first end.
    var building: [OutcomeBatch] = []
    var unacknowledged: [UInt64: KeptBatch] = [:]
    /// Of all of them, and of those in memory.
    var unacknowledgedBytes = 0
    var bytesInMemory = 0
    /// What may be kept in memory, in bytes; batches beyond are stored. `.max`: there is no place to store any.
    package var resultsInMemory = Int.max
    /// With so many bytes of all of them, nothing new starts.
    package var mostUnacknowledgedBytes = Limits.unacknowledgedBytes
    /// Stored batches that have not left on this connection.
    var unsentStored = 0
    /// Nothing is stored before.
    var storesAgainAt = Instant.zero
    var nextSequence: UInt64 = 1
    var drainReason: String?
    var hasSaidDraining = false
    var leaveBy: Instant?
    var hasLeft = false
    var milliLoad: UInt32 = 0
    var heartbeatInterval: Duration
    var nextHeartbeat = Instant.never
    var report = WorkerReport()
    var lastHeard = Instant.zero
    /// When heartbeats were sent that have not been answered.
    var heartbeatsSent: Deque<Instant> = []
    /// When the last heartbeat was sent that was answered: from then on the server counts this node's leases, or from later.
    var provenAt = Instant.zero
    /// How much of sessions' setup logs is here, and in which epoch it was used last.
    var setups: [SessionID: (count: UInt32, epoch: Epoch)] = [:]
    /// Seats that were given a worker here, and the epoch of the latest of their tasks.
    var seats: [SessionID: [UInt32: Epoch]] = [:]
    /// Mean run time of the tasks of jobs that run in batches, in nanoseconds.
    var meanNanoseconds: [JobID: Double] = [:]
    var contacts = ContactLog()
    var watches: Set<TaskID> = []
    var watchedJobs: Set<JobID> = []
    let sabotage: NodeSabotage?

    /// A task (or a batch) in a worker's hands.
    struct Worker {
        var job: JobID
        var request: Resources
        /// Whether the process outlives its tasks.
        var keepsWorkers: Bool
        var attempts: AttemptRun
        /// To run its tasks again, one by one, should one of them end the worker.
        var arguments: PayloadSlice
        var started: Instant
        var timeout: Duration?
        var timeoutAt: Instant
        var isReported = false
        /// The seat that it runs on; 0: none.
        var seat: UInt32 = 0
        var session = SessionID(rawValue: 0)
        /// The worker of its seat is busy: it holds nothing, and its time has not begun.
        var isWaiting = false
        var stopping = Stopping.no
        /// The tasks that were to be cancelled: with others of a batch, they are in the hands of one process.
        var cancelled: [TaskRange] = []
        var escalateAt = Instant.never
        var grace: Duration
        /// How long it may run without the server's hearing from this node; nil: as long as it likes.
        var strictLease: Duration?
        /// Its result is nobody's any more.
        var isDropped = false

        enum Stopping { case no, cancelled, timedOut, expired }

        /// Whether what stops the worker is meant for this task.
        func isMeant(_ task: TaskIndex) -> Bool {
            stopping != .cancelled || attempts.tasks.count == 1 || cancelled.contains { $0.first <= task && task < $0.end }
        }
        var nextSignal = WorkerSignal.terminate
    }

    /// After this long a running attempt is reported as such.
    package static let reportRunningAfter = Duration.milliseconds(100)
    /// The most tasks that a worker of a runtime that does batches is given at a time.
    package static let batchTasks = 1024
    /// How long a batch should take.
    static let batchTime = Duration.milliseconds(5)

    package init(identity: NodeHello, sabotage: NodeSabotage? = nil) {
        self.identity = identity
        free = identity.offer
        heartbeatInterval = Limits.heartbeat
        self.sabotage = sabotage
    }

    package var runningCount: Int { running }
    package var queuedCount: Int { queue.tasks }
    package var unacknowledgedCount: Int { unacknowledged.count }
    /// Whether it has anything that it was granted and the server has not acknowledged.
    package var hasWork: Bool { running > 0 || queue.tasks > 0 || !unacknowledged.isEmpty }
    /// CPUs (in thousandths) that running tasks hold beyond the offer; for the simulator's checker.
    package var freeResources: Resources { free }

    // MARK: Events

    package mutating func apply(_ event: NodeEvent, at now: Instant, into actions: inout [NodeAction]) {
        guard !hasLeft else { return }
        switch event {
        case .connected(let welcome):
            isConnected = true
            contacts.connected(to: welcome.epoch, at: now)
            heartbeatInterval = welcome.heartbeat
            lastHeard = now
            nextHeartbeat = now + heartbeatInterval
            heartbeatsSent.removeAll()
            // Whether what must not run twice may go on, the answer shows.
            if hasStrictWork { sendHeartbeat(at: now, into: &actions) }
            sendAgain(into: &actions)
            for worker in workers.indices { workers[worker]?.isReported = false }
            hasSaidDraining = false
            forgetUnusedJobs()
            report.said = []
            workersChanged(report.workers, seen: report.seen, at: now, into: &actions)
        case .disconnected:
            isConnected = false
            contacts.disconnected(at: now)
            nextHeartbeat = .never
            report.dueAt = .never
        case .serverSaid(let message):
            lastHeard = now
            serverSaid(message, at: now, into: &actions)
        case .workerEnded(let worker, let end):
            workerEnded(worker, end, at: now)
        case .batchEnded(let worker, let batch):
            batchEnded(worker, batch)
        case .workerWaits(let worker): workerWaits(worker)
        case .workerBegan(let worker): workerBegan(worker, at: now)
        case .workerSignalled(let worker, let position, let bytes):
            guard isConnected, let record = workers[worker], !record.isDropped else { return }
            let task = record.attempts.tasks.first + UInt32(position)
            let condition = TaskCondition(job: record.job, task: task, attempt: record.attempts.number, bytes: bytes)
            actions.append(.send(.condition(condition)))
        case .workerPrinted(let worker, let stream, let offset, let bytes):
            guard isConnected, let record = workers[worker], !record.isDropped else { return }
            let chunk = OutputChunk(
                job: record.job, task: record.attempts.tasks.first, attempt: record.attempts.number, stream: stream,
                offset: offset, bytes: bytes)
            actions.append(.send(.output(chunk)))
        case .storingFailed(let sequence, let batch):
            storingFailed(sequence, batch, at: now, into: &actions)
        case .storedSent(let sequence): storedSent(sequence, at: now)
        case .storedUnreadable(let sequence): storedUnreadable(sequence, at: now, into: &actions)
        case .drainRequested(let reason):
            if drainReason == nil { drainReason = reason }
        case .stopRequested(let reason):
            stop(reason: reason, into: &actions)
        case .loadMeasured(let load):
            milliLoad = load
        case .workersChanged(let workers):
            workersChanged(workers, seen: now, at: now, into: &actions)
        case .deadlinePassed:
            deadlinesPassed(at: now, into: &actions)
        }
    }

    /// Ends a turn: starts what can be started, sends what has ended.
    package mutating func settle(at now: Instant, into actions: inout [NodeAction]) {
        guard !hasLeft else { return }
        startWorkers(at: now, into: &actions)
        sendOutcomes(at: now, into: &actions)
        if drainReason != nil { drain(at: now, into: &actions) }
    }

    /// What the node says of itself when it connects: everything it was granted and nobody acknowledged.
    package var hello: NodeHello {
        var hello = identity
        var inventory: [InventoryRun] = []
        for queued in queue.runs { inventory.append(InventoryRun(attempts: queued.attempts, state: .queued)) }
        for case let worker? in workers where !worker.isDropped {
            inventory.append(InventoryRun(attempts: worker.attempts, state: .running))
        }
        appendFinished(to: &inventory)
        for index in inventory.indices { inventory[index].confirmed = confirmed[inventory[index].attempts.job] ?? 0 }
        hello.inventory = inventory
        hello.setups = setups.sorted { $0.key.rawValue < $1.key.rawValue }
            .map { SetupHeld(session: $0.key, count: $0.value.count, epoch: $0.value.epoch) }
        hello.contacts = contacts.contacts
        for (session, numbers) in seats.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            hello.seats += numbers.sorted { $0.key < $1.key }
                .map { SeatHeld(seat: SeatID(session: session, number: $0.key), epoch: $0.value) }
        }
        return hello
    }
}
