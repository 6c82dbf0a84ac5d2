import DequeModule
package import RoostModel

/// Something the node's machine is told.
package enum NodeEvent: Sendable {
    /// The server said welcome on a new connection; the hello before it carried ``NodeMachine/hello``.
    case connected(Welcome)
    case disconnected
    case serverSaid(ServerToNode)
    /// A worker's attempt ended, all by itself or by a signal we asked for.
    case workerEnded(worker: Int, WorkerEnd)
    /// A worker has done a whole batch; the batch carries job, epoch, tasks and payloads.
    case batchEnded(worker: Int, OutcomeBatch)
    case workerPrinted(worker: Int, OutputChunk.Stream, offset: UInt64, bytes: [UInt8])
    /// SIGTERM, or a reclaim notice: finish what runs, take no more.
    case drainRequested(reason: String)
    /// A second SIGTERM: stop at once.
    case stopRequested(reason: String)
    case loadMeasured(milliLoad: UInt32)
    case deadlinePassed
}

/// How a worker's attempt ended, as the runtime saw it.
package struct WorkerEnd: Sendable {
    package var end: AttemptEnd
    package var payload: [UInt8]
    package var postMortem: PostMortem?
    package var runNanoseconds: UInt64

    package init(end: AttemptEnd, payload: [UInt8], postMortem: PostMortem? = nil, runNanoseconds: UInt64 = 0) {
        self.end = end
        self.payload = payload
        self.postMortem = postMortem
        self.runNanoseconds = runNanoseconds
    }
}

/// Something the node's shell has to do.
package enum NodeAction: Sendable {
    case send(NodeToServer)
    /// Run these tasks, one after the other, on this worker.
    case start(worker: Int, WorkerStart)
    case signal(worker: Int, WorkerSignal)
    case stream(worker: Int, on: Bool)
    /// Nothing was heard from the server for too long: connect anew.
    case reconnect
    /// All is done, or all is given up: end the agent.
    case leave(reason: String)
}

/// How an attempt is stopped.
package enum WorkerSignal: Sendable, Hashable { case interrupt, terminate, kill }

package struct WorkerStart: Sendable {
    package var job: JobSpec
    package var epoch: Epoch
    package var attempt: UInt32
    package var tasks: TaskRange
    package var arguments: PayloadSlice
    /// Whether somebody watches: output goes out while the task runs. Also where ``JobSpec/streamsOutput`` says so.
    package var isWatched: Bool
}

/// A deliberate bug of the node, switched on in a test to prove that the simulator would find it.
package enum NodeSabotage: String, Sendable, CaseIterable {
    /// Results are forgotten when sent, not when acknowledged.
    case forgetWhenSent
    /// A retract gives back what a worker runs already.
    case giveBackRunning
    /// Retracted tasks are given back and run all the same.
    case keepRetracted
    /// A drop is ignored.
    case ignoreDrop
    /// More runs at once than the node has room for.
    case overCommit
}

/// Every decision of a node's agent: what runs when, what is kept, what is given back. Pure.
///
///     grant ─▶ queue ─▶ worker ─▶ batch being built ─▶ unacknowledged ─▶ forgotten
///                │                                        (sent, kept, sent again after a cut)
///                └▶ given back (retract, drain)
package struct NodeMachine {
    package let identity: NodeHello
    package private(set) var isConnected = false
    private var jobs: [JobID: JobSpec] = [:]
    private var queue: Deque<QueuedRun> = []
    private var queuedTasks = 0
    private var workers: [Worker?] = []
    private var running = 0
    private var free: Resources
    /// Ends of attempts of this turn, by job, in order of their jobs' first end.
    private var building: [OutcomeBatch] = []
    private var unacknowledged: [UInt64: OutcomeBatch] = [:]
    private var unacknowledgedBytes = 0
    private var nextSequence: UInt64 = 1
    private var drainReason: String?
    private var hasSaidDraining = false
    private var leaveBy: Instant?
    private var hasLeft = false
    private var milliLoad: UInt32 = 0
    private var heartbeatInterval: Duration
    private var nextHeartbeat = Instant.never
    private var lastHeard = Instant.zero
    private var watches: Set<TaskID> = []
    private var watchedJobs: Set<JobID> = []
    private let sabotage: NodeSabotage?

    /// Granted tasks that no worker has.
    private struct QueuedRun {
        var run: GrantRun
        /// How many of the run's tasks have been taken from the front.
        var taken: Int
        var count: Int { run.arguments.count - taken }
        var firstTask: TaskIndex { run.attempts.tasks.first + UInt32(taken) }
    }

    /// A task (or a batch) in a worker's hands.
    private struct Worker {
        var job: JobID
        var request: Resources
        var attempts: AttemptRun
        var started: Instant
        var timeout: Duration?
        var timeoutAt: Instant
        var isReported = false
        var stopping = Stopping.no
        var escalateAt = Instant.never
        var grace: Duration
        /// Its result is nobody's any more.
        var isDropped = false

        enum Stopping { case no, cancelled, timedOut }
        var nextSignal = WorkerSignal.terminate
    }

    /// After this long a running attempt is reported as such.
    package static let reportRunningAfter = Duration.milliseconds(100)
    /// How many tasks a worker of a runtime that does batches is given at a time.
    package static let batchTasks = 1024

    package init(identity: NodeHello, sabotage: NodeSabotage? = nil) {
        self.identity = identity
        free = identity.offer
        heartbeatInterval = Limits.heartbeat
        self.sabotage = sabotage
    }

    package var runningCount: Int { running }
    package var queuedCount: Int { queuedTasks }
    package var unacknowledgedCount: Int { unacknowledged.count }
    /// CPUs (in thousandths) that running tasks hold beyond the offer; for the simulator's checker.
    package var freeResources: Resources { free }

    // MARK: Events

    package mutating func apply(_ event: NodeEvent, at now: Instant, into actions: inout [NodeAction]) {
        guard !hasLeft else { return }
        switch event {
        case .connected(let welcome):
            isConnected = true
            heartbeatInterval = welcome.heartbeat
            lastHeard = now
            nextHeartbeat = now + heartbeatInterval
            for sequence in unacknowledged.keys.sorted() {
                if let batch = unacknowledged[sequence] { actions.append(.send(.outcomes(sequence: sequence, batch))) }
            }
            for worker in workers.indices { workers[worker]?.isReported = false }
            hasSaidDraining = false
            forgetUnusedJobs()
        case .disconnected:
            isConnected = false
            nextHeartbeat = .never
        case .serverSaid(let message):
            lastHeard = now
            serverSaid(message, at: now, into: &actions)
        case .workerEnded(let worker, let end):
            workerEnded(worker, end, at: now)
        case .batchEnded(let worker, let batch):
            batchEnded(worker, batch)
        case .workerPrinted(let worker, let stream, let offset, let bytes):
            guard isConnected, let record = workers[worker], !record.isDropped else { return }
            let chunk = OutputChunk(
                job: record.job, task: record.attempts.tasks.first, attempt: record.attempts.number, stream: stream,
                offset: offset, bytes: bytes)
            actions.append(.send(.output(chunk)))
        case .drainRequested(let reason):
            if drainReason == nil { drainReason = reason }
        case .stopRequested(let reason):
            stop(reason: reason, into: &actions)
        case .loadMeasured(let load):
            milliLoad = load
        case .deadlinePassed:
            deadlinesPassed(at: now, into: &actions)
        }
    }

    /// Ends a turn: starts what can be started, sends what has ended.
    package mutating func settle(at now: Instant, into actions: inout [NodeAction]) {
        guard !hasLeft else { return }
        startWorkers(at: now, into: &actions)
        sendOutcomes(into: &actions)
        if drainReason != nil { drain(at: now, into: &actions) }
    }

    /// What the node says of itself when it connects: everything it was granted and nobody acknowledged.
    package var hello: NodeHello {
        var hello = identity
        var inventory: [InventoryRun] = []
        for queued in queue where queued.count > 0 {
            var attempts = queued.run.attempts
            attempts.tasks = TaskRange(first: queued.firstTask, count: UInt32(queued.count))
            inventory.append(InventoryRun(attempts: attempts, state: .queued))
        }
        for case let worker? in workers where !worker.isDropped {
            inventory.append(InventoryRun(attempts: worker.attempts, state: .running))
        }
        for sequence in unacknowledged.keys.sorted() {
            guard let batch = unacknowledged[sequence] else { continue }
            var position = 0
            for tasks in batch.tasks {
                // A run of one batch may have several attempt numbers.
                for task in tasks.first..<tasks.end {
                    let attempts = AttemptRun(
                        job: batch.job, epoch: batch.epoch, number: batch.attempt(at: position),
                        tasks: TaskRange(first: task, count: 1))
                    if let last = inventory.last, last.state == .finished, last.attempts.job == attempts.job,
                        last.attempts.number == attempts.number, last.attempts.epoch == attempts.epoch,
                        last.attempts.tasks.end == task
                    {
                        inventory[inventory.count - 1].attempts.tasks.count += 1
                    } else {
                        inventory.append(InventoryRun(attempts: attempts, state: .finished))
                    }
                    position += 1
                }
            }
        }
        hello.inventory = inventory
        return hello
    }

    // MARK: The server's words

    private mutating func serverSaid(_ message: ServerToNode, at now: Instant, into actions: inout [NodeAction]) {
        switch message {
        case .job(let spec):
            jobs[spec.id] = spec
        case .grant(let run):
            queue.append(QueuedRun(run: run, taken: 0))
            queuedTasks += run.arguments.count
        case .retract(let job, let count):
            actions.append(.send(.retracted(job: job, giveBack(job, atMost: Int(count)))))
        case .cancel(let attempts, let kill):
            for run in attempts { cancel(run, kill: kill, at: now, into: &actions) }
        case .acknowledge(let sequences):
            for sequence in sequences {
                if let batch = unacknowledged.removeValue(forKey: sequence) {
                    unacknowledgedBytes -= batch.payloads.bytes.count
                }
            }
        case .drop(let runs):
            guard sabotage != .ignoreDrop else { return }
            for run in runs { drop(run, into: &actions) }
        case .forget(let job):
            jobs[job] = nil
            watchedJobs.remove(job)
        case .watch(let job, let task, let on):
            watch(job, task: task, on: on, into: &actions)
        case .drain:
            if drainReason == nil { drainReason = "the server asked for it" }
        case .shutDown(let reason):
            stop(reason: reason, into: &actions)
        case .heartbeat(let interval):
            heartbeatInterval = interval
        }
    }

    /// The server introduces a job again before the first grant on a new connection, and a job that it forgot
    /// meanwhile it will not mention.
    private mutating func forgetUnusedJobs() {
        var used: [JobID: JobSpec] = [:]
        for queued in queue { used[queued.run.attempts.job] = jobs[queued.run.attempts.job] }
        jobs = used
    }

    /// Takes up to `count` tasks of a job off the end of the queue, and says which.
    private mutating func giveBack(_ job: JobID, atMost count: Int) -> [AttemptRun] {
        var left = count
        var runs: [AttemptRun] = []
        var position = queue.count - 1
        while position >= 0 && left > 0 {
            if queue[position].run.attempts.job == job, queue[position].count > 0 {
                let taken = min(left, queue[position].count)
                var attempts = queue[position].run.attempts
                attempts.tasks = TaskRange(first: attempts.tasks.end - UInt32(taken), count: UInt32(taken))
                runs.append(attempts)
                left -= taken
                if sabotage != .keepRetracted { shorten(position, by: taken) }
            }
            position -= 1
        }
        if sabotage == .giveBackRunning, left > 0 {
            for case let worker? in workers where worker.job == job && left > 0 {
                runs.append(worker.attempts)
                left -= Int(worker.attempts.tasks.count)
            }
        }
        return runs
    }

    /// Takes tasks off the end of a queued run.
    private mutating func shorten(_ position: Int, by count: Int) {
        let run = queue[position].run
        queuedTasks -= count
        if count == queue[position].count {
            queue.remove(at: position)
            return
        }
        queue[position].run.attempts.tasks.count -= UInt32(count)
        queue[position].run.arguments = run.arguments.base.slice(
            run.arguments.positions.lowerBound..<(run.arguments.positions.upperBound - count))
    }

    /// Takes the given attempts out of the queue; those that stood there.
    private mutating func unqueue(_ run: AttemptRun) -> [AttemptRun] {
        var found: [AttemptRun] = []
        var position = 0
        while position < queue.count {
            let queued = queue[position]
            let attempts = queued.run.attempts
            let low = max(queued.firstTask, run.tasks.first)
            let high = min(attempts.tasks.end, run.tasks.end)
            guard attempts.job == run.job, attempts.number == run.number, attempts.epoch == run.epoch, low < high else {
                position += 1
                continue
            }
            var hit = attempts
            hit.tasks = TaskRange(first: low, count: high - low)
            found.append(hit)
            queuedTasks -= Int(high - low)
            queue.remove(at: position)
            // What stood after and before the hit goes on waiting.
            if high < attempts.tasks.end { queue.insert(cut(queued, high, attempts.tasks.end), at: position) }
            if low > queued.firstTask {
                queue.insert(cut(queued, queued.firstTask, low), at: position)
                position += 1
            }
        }
        return found
    }

    private func cut(_ queued: QueuedRun, _ low: TaskIndex, _ high: TaskIndex) -> QueuedRun {
        var attempts = queued.run.attempts
        let from = queued.run.arguments.positions.lowerBound + Int(low - attempts.tasks.first)
        attempts.tasks = TaskRange(first: low, count: high - low)
        return QueuedRun(
            run: GrantRun(
                attempts: attempts, arguments: queued.run.arguments.base.slice(from..<(from + Int(high - low)))),
            taken: 0)
    }

    private mutating func cancel(
        _ run: AttemptRun, kill: Bool, at now: Instant, into actions: inout [NodeAction]
    ) {
        for hit in unqueue(run) {
            for task in hit.tasks.first..<hit.tasks.end {
                ended(hit, task: task, OutcomeCode(.cancelled, .neverRan), payload: [], nil, 0)
            }
        }
        for worker in workers.indices {
            guard let record = workers[worker], matches(record, run), !record.isDropped else { continue }
            if record.stopping == .no {
                workers[worker]?.stopping = .cancelled
                beginStop(worker, with: kill ? .kill : .interrupt, at: now, into: &actions)
            } else if kill {
                beginStop(worker, with: .kill, at: now, into: &actions)
            }
        }
    }

    /// Whether all that the worker has is named. A batch of which only a part is, goes on: outcomes that
    /// nobody wants any more are counted and dropped.
    private func matches(_ worker: Worker, _ run: AttemptRun) -> Bool {
        let tasks = worker.attempts.tasks
        return worker.job == run.job && worker.attempts.number == run.number
            && worker.attempts.epoch == run.epoch && run.tasks.first <= tasks.first && run.tasks.end >= tasks.end
    }

    private mutating func drop(_ run: AttemptRun, into actions: inout [NodeAction]) {
        _ = unqueue(run)
        for worker in workers.indices {
            guard let record = workers[worker], matches(record, run), !record.isDropped else { continue }
            workers[worker]?.isDropped = true
            actions.append(.signal(worker: worker, .kill))
        }
    }

    private mutating func watch(_ job: JobID, task: TaskIndex?, on: Bool, into actions: inout [NodeAction]) {
        if let task {
            if on {
                watches.insert(TaskID(job: job, index: task))
            } else {
                watches.remove(TaskID(job: job, index: task))
            }
        } else if on {
            watchedJobs.insert(job)
        } else {
            watchedJobs.remove(job)
        }
        for worker in workers.indices {
            guard let record = workers[worker], record.job == job,
                task == nil || record.attempts.tasks.first == task
            else { continue }
            // What the job's own reader is sent goes on.
            if !on, jobs[job]?.streamsOutput == true { continue }
            actions.append(.stream(worker: worker, on: on))
        }
    }

    // MARK: Workers

    private mutating func startWorkers(at now: Instant, into actions: inout [NodeAction]) {
        // What waits is given back, as soon as there is somebody to give it to.
        guard drainReason == nil else { return }
        var position = 0
        var looked = 0
        while position < queue.count, looked < 64, unacknowledgedBytes < Limits.unacknowledgedBytes {
            guard let spec = jobs[queue[position].run.attempts.job] else {
                // The server forgot the job; nobody waits for these tasks.
                shorten(position, by: queue[position].count)
                continue
            }
            let fits =
                sabotage == .overCommit ? running < 2 * workers.count + 2 : free.fits(spec.request, atMost: 1) > 0
            guard fits else {
                position += 1
                looked += 1
                continue
            }
            start(position, spec, at: now, into: &actions)
            if queue[position].count == 0 { queue.remove(at: position) }
        }
    }

    private mutating func start(
        _ position: Int, _ spec: JobSpec, at now: Instant, into actions: inout [NodeAction]
    ) {
        let queued = queue[position]
        let count = spec.runtime == .digest ? min(Self.batchTasks, queued.count) : 1
        queue[position].taken += count
        queuedTasks -= count
        var attempts = queued.run.attempts
        attempts.tasks = TaskRange(first: queued.firstTask, count: UInt32(count))
        let from = queued.run.arguments.positions.lowerBound + queued.taken
        let worker = Worker(
            job: spec.id, request: spec.request, attempts: attempts, started: now, timeout: spec.policy.timeout,
            timeoutAt: spec.policy.timeout.map { now + $0 } ?? .never, grace: spec.policy.killGrace)
        free.subtract(spec.request)
        running += 1
        let slot = workers.firstIndex { $0 == nil } ?? workers.count
        if slot == workers.count { workers.append(worker) } else { workers[slot] = worker }
        let isWatched =
            watchedJobs.contains(spec.id)
            || (!watches.isEmpty && watches.contains(TaskID(job: spec.id, index: attempts.tasks.first)))
        actions.append(
            .start(
                worker: slot,
                WorkerStart(
                    job: spec, epoch: attempts.epoch, attempt: attempts.number, tasks: attempts.tasks,
                    arguments: queued.run.arguments.base.slice(from..<(from + count)), isWatched: isWatched)))
    }

    private mutating func freeWorker(_ worker: Int) -> Worker? {
        guard worker < workers.count, let record = workers[worker] else { return nil }
        workers[worker] = nil
        running -= 1
        free.add(record.request)
        return record
    }

    private mutating func workerEnded(_ worker: Int, _ end: WorkerEnd, at now: Instant) {
        guard let record = freeWorker(worker), !record.isDropped else { return }
        let code: OutcomeCode
        switch (record.stopping, end.end) {
        case (_, .succeeded): code = .succeeded
        case (.cancelled, _): code = OutcomeCode(.cancelled, .cancelled)
        case (.timedOut, _): code = OutcomeCode(.failed, .timedOut)
        case (.no, .crashed): code = OutcomeCode(.held, .crashed)
        case (.no, _): code = OutcomeCode(.failed, end.end)
        }
        var evidence = end.postMortem
        if record.stopping == .timedOut {
            evidence?.reason = "ran longer than its timeout of \(record.timeout?.inSeconds ?? 0) s"
        }
        ended(
            record.attempts, task: record.attempts.tasks.first, code, payload: end.payload[...], evidence,
            end.runNanoseconds)
    }

    private mutating func batchEnded(_ worker: Int, _ batch: OutcomeBatch) {
        guard let record = freeWorker(worker), !record.isDropped else { return }
        building.append(batch)
    }

    private mutating func ended(
        _ run: AttemptRun, task: TaskIndex, _ code: OutcomeCode, payload: ArraySlice<UInt8>, _ evidence: PostMortem?,
        _ nanoseconds: UInt64
    ) {
        let position =
            building.firstIndex { $0.job == run.job && $0.epoch == run.epoch && $0.count < Self.batchTasks }
            ?? {
                building.append(OutcomeBatch(job: run.job, epoch: run.epoch))
                return building.count - 1
            }()
        building[position].append(
            task: task, attempt: run.number, code: code, payload: payload, postMortem: evidence)
        building[position].runNanoseconds += nanoseconds
    }

    private mutating func sendOutcomes(into actions: inout [NodeAction]) {
        for batch in building {
            let sequence = nextSequence
            nextSequence += 1
            if sabotage != .forgetWhenSent || !isConnected {
                unacknowledged[sequence] = batch
                unacknowledgedBytes += batch.payloads.bytes.count
            }
            if isConnected { actions.append(.send(.outcomes(sequence: sequence, batch))) }
        }
        building.removeAll(keepingCapacity: true)
    }

    // MARK: Stopping attempts

    private mutating func beginStop(
        _ worker: Int, with signal: WorkerSignal, at now: Instant, into actions: inout [NodeAction]
    ) {
        guard let grace = workers[worker]?.grace else { return }
        actions.append(.signal(worker: worker, signal))
        workers[worker]?.nextSignal = signal == .interrupt ? .terminate : .kill
        workers[worker]?.escalateAt = signal == .kill ? .never : now + grace
    }

    /// Deadlines of running attempts are few: one pass over the workers finds the next.
    package var nextDeadline: Instant? {
        guard !hasLeft else { return nil }
        var next = nextHeartbeat
        if isConnected { next = min(next, lastHeard + Limits.suspectAfter) }
        if let leaveBy { next = min(next, leaveBy) }
        for case let worker? in workers {
            next = min(next, worker.timeoutAt, worker.escalateAt)
            if isConnected && !worker.isReported { next = min(next, worker.started + Self.reportRunningAfter) }
        }
        return next == .never ? nil : next
    }

    private mutating func deadlinesPassed(at now: Instant, into actions: inout [NodeAction]) {
        var longRunning: [AttemptRun] = []
        for worker in workers.indices {
            guard let record = workers[worker] else { continue }
            if record.escalateAt <= now {
                beginStop(worker, with: record.nextSignal, at: now, into: &actions)
            }
            if record.timeoutAt <= now {
                if record.stopping == .no {
                    workers[worker]?.stopping = .timedOut
                    beginStop(worker, with: .terminate, at: now, into: &actions)
                }
                workers[worker]?.timeoutAt = .never
            }
            if isConnected, !record.isReported, record.started + Self.reportRunningAfter <= now {
                workers[worker]?.isReported = true
                longRunning.append(record.attempts)
            }
        }
        if !longRunning.isEmpty { actions.append(.send(.running(longRunning))) }
        if nextHeartbeat <= now {
            nextHeartbeat = now + heartbeatInterval
            actions.append(.send(.heartbeat(status)))
        }
        if isConnected && lastHeard + Limits.suspectAfter <= now {
            lastHeard = now
            actions.append(.reconnect)
        }
    }

    package var status: NodeStatus {
        NodeStatus(
            queued: UInt32(queuedTasks), running: UInt32(running), unacknowledged: UInt32(unacknowledged.count),
            milliLoad: milliLoad)
    }

    // MARK: Leaving

    /// No more work: what waits is given back, what runs ends, results are handed over, then the node leaves.
    private mutating func drain(at now: Instant, into actions: inout [NodeAction]) {
        guard let reason = drainReason else { return }
        if isConnected && !hasSaidDraining {
            hasSaidDraining = true
            actions.append(.send(.draining(reason: reason)))
        }
        if isConnected, !queue.isEmpty {
            var jobsHere: [JobID] = []
            for queued in queue where !jobsHere.contains(queued.run.attempts.job) {
                jobsHere.append(queued.run.attempts.job)
            }
            for job in jobsHere {
                actions.append(.send(.retracted(job: job, giveBack(job, atMost: .max))))
            }
        }
        guard running == 0 else { return }
        if leaveBy == nil { leaveBy = now + .seconds(10) }
        // Out of contact, it waits a little for a chance to hand over what it has and to say goodbye.
        let isHandedOver = isConnected && unacknowledged.isEmpty && queue.isEmpty
        guard isHandedOver || leaveBy.map({ $0 <= now }) == true else { return }
        hasLeft = true
        if isConnected { actions.append(.send(.goodbye(reason: reason))) }
        actions.append(.leave(reason: reason))
    }

    private mutating func stop(reason: String, into actions: inout [NodeAction]) {
        hasLeft = true
        for worker in workers.indices where workers[worker] != nil {
            actions.append(.signal(worker: worker, .kill))
        }
        if isConnected { actions.append(.send(.goodbye(reason: reason))) }
        actions.append(.leave(reason: reason))
    }
}
