import DequeModule
package import RoostModel

/// Something the client's machine is told.
package enum ClientEvent: Sendable {
    case connected(Welcome)
    case disconnected
    case serverSaid(ServerToClient)
    /// Open a job; its tasks follow.
    case submit(JobSpec, order: ReadRequest.Order)
    /// More tasks of an open job.
    case append(JobID, PayloadArray)
    /// No more tasks.
    case close(JobID)
    /// Read a job that some client submitted, here or elsewhere: all of it, or in order from task `after` on;
    /// `window` tasks at a time instead of the client's usual number.
    case attach(JobID, order: ReadRequest.Order, after: UInt64 = 0, window: UInt32? = nil)
    /// The program has used this many tasks' outcomes of those delivered, in order of delivery.
    case consumed(JobID, tasks: Int)
    /// Nobody waits for this job any more: it goes on (or not) without us. One that is only read here is not to be
    /// attached again on the same connection: what is on its way to the first reading would be taken for the second's.
    case abandon(JobID)
    case query(id: UInt64, Query)
    /// The next entry of the session's setup log.
    case setup([UInt8])
    case watch(JobID, task: TaskIndex?, on: Bool)
    /// The program ends.
    case leave
    case deadlinePassed
}

/// Something the client's shell has to do.
package enum ClientAction: Sendable {
    case send(ClientToServer)
    /// Outcomes, each task's once.
    case deliver(JobID, OutcomeBatch)
    case progress(JobID, JobProgress)
    /// The job exists on the server under this number.
    case numbered(JobID, UInt32)
    /// Every outcome has been delivered.
    case ended(JobID, JobProgress)
    case refused(JobID, RoostError)
    case reply(id: UInt64, Reply)
    case output(OutputChunk)
    case condition(TaskCondition)
    /// The server has the first entries of the setup log; or takes no more, and why.
    case setupHeld(count: UInt32, RoostError?)
    /// The program may append tasks to the job until it has appended `upTo` bytes in all (``PayloadArray/submittedBytes``). The
    /// number only grows: whoever compares it with what he has appended cannot miss it.
    case roomToAppend(JobID, upTo: UInt64)
    /// Nothing was heard from the server for too long: connect anew.
    case reconnect
}

/// A deliberate bug of the client, switched on in a test to prove that the simulator would find it.
package enum ClientSabotage: String, Sendable, CaseIterable {
    /// After a cut the job is read on from what the program has used, not from what it was given.
    case deliverTwice
    /// Outcomes are acknowledged when the next ones are asked for, whether they arrived or not.
    case acknowledgeAhead
    /// A server that forgot a job is not sent its tasks again.
    case forgetToResend
    /// A program that waits until it may append more is not told when it may.
    case forgetRoom
}

/// Every decision of a client: what is sent, sent again, acknowledged, delivered. Pure.
///
/// The client makes a job's id and keeps its tasks until their outcomes have arrived. After a cut it opens the
/// job again under the same id: a server that still has it goes on at the cursor; one that forgot it gets all
/// tasks again, those with outcomes marked as finished.
package struct ClientMachine {
    package let session: SessionID
    package private(set) var isConnected = false
    private var epoch: Epoch?
    private var jobs: [JobID: ClientJob] = [:]
    /// In order of submission: what is sent when connecting must be the same in every run.
    private var order: [JobID] = []
    /// Whose output is wanted: a new connection has to be told again.
    private var watches: [Watch] = []
    private var setup: SetupLog
    /// Seats of the session with a worker that has ended a task for us, and the epoch of the latest.
    private var seatEpochs: [UInt32: Epoch] = [:]
    private var openQueries: [(id: UInt64, query: Query)] = []
    /// Own jobs that are over, whose last acknowledgement the server may not have yet: were it lost with the
    /// connection, the job would stay there for ever.
    private var settled: [Settled] = []
    /// Those that were over when the last heartbeat was sent: its answer shows that the server has their last
    /// acknowledgements.
    private var settledBeforeHeartbeat: [Settled] = []
    private var unansweredHeartbeats = 0
    private var heartbeatInterval = Limits.heartbeat
    private var nextHeartbeat = Instant.never
    private var lastHeard = Instant.zero
    /// How many tasks' outcomes may be on their way to each job's program.
    private let window: UInt32
    /// How many bytes of each job's arguments may be on their way to the server.
    private let submitWindow: Int
    private let sabotage: ClientSabotage?

    /// Output that the program asked for: a task's, or, without one, a whole job's.
    private struct Watch: Hashable {
        var job: JobID
        var task: TaskIndex?
    }

    /// A job that is over, and how far it was read.
    private struct Settled {
        var job: JobID
        var order: ReadRequest.Order
        var cursor: UInt64
    }

    package init(
        session: SessionID, sabotage: ClientSabotage? = nil, window: UInt32 = Limits.readerWindowTasks,
        submitWindow: Int = Limits.submitWindowBytes
    ) {
        self.session = session
        setup = SetupLog(session: session)
        self.sabotage = sabotage
        self.window = window
        self.submitWindow = submitWindow
    }

    package var nextDeadline: Instant? {
        isConnected ? min(nextHeartbeat, lastHeard + Limits.suspectAfter) : nil
    }

    /// Whether the job is open here, or has outcomes that the program has not used up.
    package func knows(_ job: JobID) -> Bool { jobs[job] != nil }

    /// Jobs without an end; what `leave` would give up.
    package var openJobs: [JobID] { order.filter { jobs[$0]?.isOver == false } }

    package mutating func apply(_ event: ClientEvent, at now: Instant, into actions: inout [ClientAction]) {
        switch event {
        case .connected(let welcome):
            isConnected = true
            lastHeard = now
            heartbeatInterval = welcome.heartbeat
            nextHeartbeat = now + heartbeatInterval
            let isNewServer = epoch != nil && epoch != welcome.epoch
            epoch = welcome.epoch
            setup.connected(into: &actions)
            if sabotage == .deliverTwice { for id in order { jobs[id]?.rewindForSabotage() } }
            for id in order { jobs[id]?.reopen(isNewServer: isNewServer, seatEpochs: seatEpochs, into: &actions) }
            settleAgain(isNewServer: isNewServer, into: &actions)
            for query in openQueries { actions.append(.send(.query(id: query.id, query.query))) }
            for watch in watches { actions.append(.send(.watch(job: watch.job, task: watch.task, on: true))) }
        case .disconnected:
            isConnected = false
            unansweredHeartbeats = 0
            nextHeartbeat = .never
        case .serverSaid(let message):
            lastHeard = now
            serverSaid(message, into: &actions)
        case .submit(let spec, let order):
            add(ClientJob(spec: spec, order: order, window: window, submitWindow: submitWindow), spec.id, into: &actions)
        case .attach(let job, let order, let after, let most):
            add(
                ClientJob(attachedTo: job, order: order, after: after, window: most ?? window), job, into: &actions)
        case .append(let job, let payloads):
            jobs[job]?.append(payloads, into: &actions)
            pump(job, into: &actions)
        case .close(let job):
            jobs[job]?.isClosed = true
            pump(job, into: &actions)
        case .consumed(let job, let tasks):
            // What it had when it abandoned the job was counted as used then.
            guard jobs[job]?.isAbandoned != true else { return }
            jobs[job]?.consumed(tasks)
            if isConnected { jobs[job]?.acknowledge(ahead: sabotage == .acknowledgeAhead, into: &actions) }
            removeIfOver(job)
        case .abandon(let job):
            abandon(job, into: &actions)
        case .query(let id, let query):
            openQueries.append((id, query))
            if isConnected { actions.append(.send(.query(id: id, query))) }
        case .setup(let payload):
            setup.append(payload, isConnected: isConnected, into: &actions)
        case .watch(let job, let task, let on):
            let watch = Watch(job: job, task: task)
            watches.removeAll { $0 == watch }
            if on { watches.append(watch) }
            if isConnected { actions.append(.send(.watch(job: job, task: task, on: on))) }
        case .leave:
            if isConnected { actions.append(.send(.goodbye)) }
            jobs.removeAll()
            order.removeAll()
        case .deadlinePassed:
            deadlinesPassed(at: now, into: &actions)
        }
    }

    private mutating func deadlinesPassed(at now: Instant, into actions: inout [ClientAction]) {
        guard isConnected else { return }
        if nextHeartbeat <= now {
            nextHeartbeat = now + heartbeatInterval
            settledBeforeHeartbeat += settled
            settled.removeAll()
            unansweredHeartbeats += 1
            actions.append(.send(.heartbeat))
        }
        if lastHeard + Limits.suspectAfter <= now {
            lastHeard = now
            actions.append(.reconnect)
        }
    }

    private mutating func add(_ job: ClientJob, _ id: JobID, into actions: inout [ClientAction]) {
        precondition(jobs[id] == nil, "a client opens a job once")
        jobs[id] = job
        order.append(id)
        if isConnected { jobs[id]?.reopen(isNewServer: false, seatEpochs: seatEpochs, into: &actions) }
    }

    private mutating func pump(_ job: JobID, into actions: inout [ClientAction]) {
        guard isConnected else { return }
        jobs[job]?.pump(into: &actions)
    }

    /// Nobody waits any more. A job that this client keeps safe goes on all the same: its outcomes are taken and
    /// acknowledged, or they would stay in the pool for ever.
    private mutating func abandon(_ id: JobID, into actions: inout [ClientAction]) {
        guard let job = jobs[id] else { return }
        guard job.isOwn else {
            jobs[id] = nil
            order.removeAll { $0 == id }
            return
        }
        jobs[id]?.isAbandoned = true
        jobs[id]?.consumed(job.unconsumed)
        if isConnected { jobs[id]?.acknowledge(ahead: false, into: &actions) }
        removeIfOver(id)
    }

    private mutating func removeIfOver(_ id: JobID) {
        guard let job = jobs[id], job.isOver, job.unconsumed == 0 else { return }
        if job.isAttached { settled.append(Settled(job: id, order: job.order, cursor: job.cursor)) }
        jobs[id] = nil
        order.removeAll { $0 == id }
    }

    // MARK: The server's words

    private mutating func serverSaid(_ message: ServerToClient, into actions: inout [ClientAction]) {
        switch message {
        case .submitted(let job, let number, let tasks):
            actions.append(.numbered(job, number))
            if sabotage != .forgetToResend || tasks > 0 || jobs[job]?.delivered == 0 {
                let loss = jobs[job]?.opened(tasks: tasks, epoch: epoch ?? 0, into: &actions) ?? nil
                if let loss { lost(job, loss, isEmpty: tasks == 0, into: &actions) }
            }
        case .appended(let job, let tasks):
            jobs[job]?.appended(tasks, forgetsRoom: sabotage == .forgetRoom, into: &actions)
        case .outcomes(let delivery):
            received(delivery, into: &actions)
        case .progress(let progress):
            if jobs[progress.job] != nil { actions.append(.progress(progress.job, progress)) }
        case .ended(let progress):
            ended(progress, into: &actions)
        case .refused(let job, let error):
            // After its end the server knows the job no more, and what was on its way is refused: no news.
            guard let refused = jobs[job], !refused.isOver else { return }
            giveUp(job, error, into: &actions)
        case .reply(let id, let reply):
            guard openQueries.contains(where: { $0.id == id }) else { return }
            openQueries.removeAll { $0.id == id }
            actions.append(.reply(id: id, reply))
        case .output(let chunk):
            actions.append(.output(chunk))
        case .condition(let condition):
            actions.append(.condition(condition))
        case .setupHeld(let held, let error):
            setup.held(held.count, into: &actions)
            actions.append(.setupHeld(count: held.count, error))
        case .heartbeat:
            unansweredHeartbeats -= 1
            if unansweredHeartbeats <= 0 { settledBeforeHeartbeat.removeAll() }
        }
    }

    private mutating func giveUp(_ job: JobID, _ error: RoostError, into actions: inout [ClientAction]) {
        let isHeard = jobs[job]?.isAbandoned == false
        jobs[job] = nil
        order.removeAll { $0 == job }
        if isHeard { actions.append(.refused(job, error)) }
    }

    /// The server has a job no more that it had on its disk. The empty one that it made of our asking goes; an older copy of
    /// the job is somebody's to look at.
    private mutating func lost(_ job: JobID, _ error: RoostError, isEmpty: Bool, into actions: inout [ClientAction]) {
        giveUp(job, error, into: &actions)
        guard isEmpty else { return }
        // Nobody waits for the answers: no query of the program has this number.
        actions.append(.send(.query(id: 0, .cancel(.id(job), tasks: [], kill: false))))
        actions.append(.send(.query(id: 0, .forget(.id(job)))))
    }

    /// Bytes of arguments kept here, in case that a server forgets them.
    package var keptBytes: Int { jobs.values.reduce(0) { $0 + $1.keptBytes } }

    /// Says once more, on a new connection, that all of these jobs arrived.
    private mutating func settleAgain(isNewServer: Bool, into actions: inout [ClientAction]) {
        settledBeforeHeartbeat += settled
        settled.removeAll()
        unansweredHeartbeats = 0
        if isNewServer { settledBeforeHeartbeat.removeAll() }
        for job in settledBeforeHeartbeat {
            actions.append(.send(.read(ReadRequest(job: job.job, order: job.order, after: job.cursor))))
        }
    }

    private mutating func received(_ delivery: OutcomeDelivery, into actions: inout [ClientAction]) {
        let id = delivery.batch.job
        guard jobs[id] != nil else { return }
        let isNew = jobs[id]?.receive(delivery, keepsDuplicates: sabotage == .deliverTwice)
        if let batch = isNew ?? nil, batch.count > 0 {
            let isAbandoned = jobs[id]?.isAbandoned == true
            noteSeat(jobs[id]?.seat ?? 0, batch, isHeard: !isAbandoned)
            if isAbandoned { jobs[id]?.consumed(batch.count) } else { actions.append(.deliver(id, batch)) }
        }
        // A delivery without anything new still has to be acknowledged, or the window never opens again.
        jobs[id]?.acknowledge(ahead: sabotage == .acknowledgeAhead, into: &actions)
    }

    /// What a task left with the worker of its seat is the program's to rely on, also when it did not wait for the task's end
    /// (its job is abandoned), until it hears of the loss. What it does not hear neither ends that nor moves it to a later worker.
    private mutating func noteSeat(_ seat: UInt32, _ batch: OutcomeBatch, isHeard: Bool) {
        guard seat != 0 else { return }
        for position in 0..<batch.count {
            switch batch.code(at: position).end {
            case .succeeded, .failed:
                let known = seatEpochs[seat]
                seatEpochs[seat] = isHeard ? max(known ?? 0, batch.epoch) : known ?? batch.epoch
            case .nodeLost where isHeard: seatEpochs[seat] = nil
            case .nodeLost, .crashed, .timedOut, .memoryExceeded, .couldNotStart, .cancelled, .reclaimed, .neverRan: break
            }
        }
    }

    private mutating func ended(_ progress: JobProgress, into actions: inout [ClientAction]) {
        guard let job = jobs[progress.job], !job.isOver else { return }
        jobs[progress.job]?.isOver = true
        if !job.isAbandoned { actions.append(.ended(progress.job, progress)) }
        // Nothing more comes that room would have to be kept for.
        jobs[progress.job]?.acknowledgeAll(into: &actions)
        removeIfOver(progress.job)
    }
}
