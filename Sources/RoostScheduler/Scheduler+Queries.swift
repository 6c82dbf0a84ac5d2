package import RoostModel

extension Scheduler {
    mutating func answer(
        _ query: Query, id: UInt64, _ session: SessionID, _ connection: ConnectionID, at now: Instant,
        into effects: inout Effects
    ) {
        let reply = reply(to: query, session, at: now, into: &effects)
        effects.send(.reply(id: id, reply), to: connection)
    }

    private mutating func reply(
        to query: Query, _ session: SessionID, at now: Instant, into effects: inout Effects
    ) -> Reply {
        switch query {
        case .pool: return .pool(veiled(snapshot(at: now), for: session))
        case .jobs: return .jobs(jobSnapshots(at: now))
        case .job(let selector):
            let slots = select(selector, session)
            if slots.isEmpty { return .failed(noSuchJob) }
            let isMine = slots.allSatisfy { mayUse($0, session) }
            var found = slots.map { snapshot(ofJob: $0, withTroubles: isMine, at: now) }
            if isMine, case .id = selector { found[0].annotation = jobs[slots[0]].spec.annotation }
            return .jobs(found)
        case .explain(let selector, let task):
            guard let slot = select(selector, session).first else { return .failed(noSuchJob) }
            return .explanation(explain(slot, task: task))
        case .cancel(let selector, let tasks, let kill):
            return change(selector, session) { scheduler, slot in
                scheduler.cancel(slot, tasks: tasks, kill: kill, at: now, into: &effects)
            }
        case .retry(let selector, let tasks, let held):
            return change(selector, session) { scheduler, slot in
                scheduler.retry(slot, tasks: tasks, held: held, at: now)
            }
        case .forget(let selector):
            let isNamed = selector != .all
            return change(selector, session) { scheduler, slot in
                guard scheduler.jobs[slot].isEnded || (scheduler.jobs[slot].damage != nil && isNamed) else { return 0 }
                scheduler.forgetJob(slot, into: &effects)
                return 1
            }
        case .drainNode(let name):
            return order(.drain, toNode: name, session, into: &effects)
        case .killNode(let name):
            return order(.shutDown(reason: "an administrator asked for it"), toNode: name, session, into: &effects)
        case .killWorker(let node, let processID, let signal):
            return killWorker(processID, signal, on: node, session, into: &effects)
        case .createToken, .listTokens, .revokeToken, .stopServer:
            return .failed(RoostError(.internal, "this query is answered by the server's shell"))
        }
    }

    private var noSuchJob: RoostError {
        RoostError(.notFound, "no such job", remedy: "'roost job list' shows the jobs of the pool.")
    }

    /// Jobs by people's names for them: ascending by number.
    private func select(_ selector: JobSelector, _ session: SessionID) -> [Int] {
        let mine = (0..<jobs.end).filter { jobs.isUsed($0) }.sorted { jobs[$0].number < jobs[$1].number }
        switch selector {
        case .id(let id): return jobSlots[id].map { [$0] } ?? []
        case .numbers(let ranges): return mine.filter { slot in ranges.contains { $0.contains(jobs[slot].number) } }
        case .last: return mine.last { mayUse($0, session) }.map { [$0] } ?? []
        case .all: return mine.filter { mayUse($0, session) }
        }
    }

    private mutating func change(
        _ selector: JobSelector, _ session: SessionID, _ body: (inout Scheduler, Int) -> UInt32
    ) -> Reply {
        let slots = select(selector, session)
        guard !slots.isEmpty else { return .failed(noSuchJob) }
        if let foreign = slots.first(where: { !mayUse($0, session) }) { return .failed(otherUsersJob(foreign)) }
        var count: UInt32 = 0
        for slot in slots where jobs.isUsed(slot) { count += body(&self, slot) }
        return .done(count: count)
    }

    private mutating func order(
        _ message: ServerToNode, toNode name: String, _ session: SessionID, into effects: inout Effects
    ) -> Reply {
        guard let record = sessions[session], record.role == .admin else {
            return .failed(
                RoostError(
                    .refused, "only an administrator may drain or kill a node",
                    remedy: "Use a token of role admin."))
        }
        var count: UInt32 = 0
        for slot in 0..<nodes.end where nodes.isUsed(slot) && (nodes[slot].hello.name == name || name == "all") {
            guard let connection = nodes[slot].connection else { continue }
            effects.send(message, to: connection)
            if message == .drain {
                nodes[slot].isDraining = true
                noteAllHungry()
            }
            count += 1
        }
        guard count > 0 else {
            return .failed(
                RoostError(
                    .notFound, "no node named \(name) is connected", remedy: "'roost node list' shows the nodes."))
        }
        return .done(count: count)
    }

    /// Whom a worker serves may end it.
    private func killWorker(
        _ processID: Int32, _ signal: Int32, on name: String, _ session: SessionID, into effects: inout Effects
    ) -> Reply {
        guard (1...64).contains(signal) else { return .failed(RoostError(.usage, "\(signal) is the number of no signal")) }
        var refusal: RoostError?
        for slot in nodes.slots where nodes[slot].hello.name == name {
            guard let connection = nodes[slot].connection,
                let worker = nodes[slot].status.workers.first(where: { $0.processID == processID })
            else { continue }
            if mayUse(worker, session) {
                effects.send(.killWorker(processID: processID, signal: signal), to: connection)
                return .done(count: 1)
            }
            refusal = RoostError(
                .refused, "worker \(processID) on node \(name) does not serve you",
                remedy: "Use a token of the user whom it serves, or an admin's.")
        }
        return .failed(
            refusal
                ?? RoostError(
                    .notFound, "no worker is process \(processID) on a node named \(name)",
                    remedy: "'roost node show \(name)' lists the workers."))
    }

    private func mayUse(_ worker: WorkerSnapshot, _ session: SessionID) -> Bool {
        guard let record = sessions[session] else { return false }
        if record.role == .admin { return true }
        guard record.role == .client, worker.session.rawValue != 0 else { return false }
        return (setups[worker.session]?.user ?? sessions[worker.session]?.user) == record.user
    }

    // MARK: Changes

    /// Cancels tasks, or the whole job when none are named; how many tasks that concerns.
    private mutating func cancel(
        _ slot: Int, tasks: [TaskRange], kill: Bool, at now: Instant, into effects: inout Effects
    ) -> UInt32 {
        guard jobs[slot].damage == nil else { return 0 }
        if tasks.isEmpty {
            let open = jobs[slot].tasks.count - jobs[slot].tasks.progress.done
            cancelJob(slot, kill: kill, at: now, into: &effects)
            return open
        }
        var count: UInt32 = 0
        let wasIdle = !isRunnable(slot)
        var (waiting, asked): ([TaskRange], [TaskRange]) = ([], [])
        var letters: [Int: [AttemptRun]] = [:]
        for range in tasks.merged(clampedTo: jobs[slot].tasks.count) {
            for task in range {
                // A task that waits among the never granted gets its cell, as do those before it.
                while task >= jobs[slot].tasks.nextFresh {
                    let made = jobs[slot].tasks.takeNeverGranted(atMost: task - jobs[slot].tasks.nextFresh + 1)
                    for index in made.first..<made.end { jobs[slot].tasks.queueAgain(index) }
                }
                let cell = jobs[slot].tasks.cells[Int(task)]
                guard cell.isOpen else { continue }
                count += 1
                if cell.state == .ready {
                    waiting.append(task)
                    continue
                }
                jobs[slot].cancelRequested.insert(task)
                asked.append(task)
                let run = AttemptRun(
                    job: jobs[slot].spec.id, epoch: jobs[slot].tasks.epoch(of: task), number: cell.attempt,
                    tasks: TaskRange(first: task, count: 1))
                append(task, of: run, to: &letters[Int(cell.node), default: []])
            }
        }
        for run in waiting {
            for first in stride(from: run.first, to: run.end, by: 65_536) {
                let part = TaskRange(first: first, count: min(65_536, run.end - first))
                recordWithoutNode(slot, part, OutcomeCode(.cancelled, .neverRan), nil)
            }
        }
        if !asked.isEmpty { write(slot, .cancelRequested(asked)) }
        for node in letters.keys.sorted() where nodes.isUsed(node) {
            guard let connection = nodes[node].connection, let runs = letters[node] else { continue }
            effects.send(.cancel(attempts: runs, kill: kill), to: connection)
        }
        if wasIdle && isRunnable(slot) { noteAllHungry() }
        noteProgress(slot, at: now)
        noteNews(slot)
        return count
    }

    /// Opens a new round of tasks that failed or were cancelled (`held`: that are held).
    private mutating func retry(_ slot: Int, tasks: [TaskRange], held: Bool, at now: Instant) -> UInt32 {
        guard jobs[slot].spec.retention == .durable, jobs[slot].damage == nil else { return 0 }
        var count: UInt32 = 0
        var reopened: [TaskRange] = []
        for index in 0..<jobs[slot].tasks.nextFresh {
            guard tasks.isEmpty || tasks.contains(where: { $0.contains(index) }) else { continue }
            switch jobs[slot].tasks.cells[Int(index)].state {
            case .held: guard held else { continue }
            case .failed, .cancelled: guard !held else { continue }
            case .succeeded, .ready, .granted, .running: continue
            }
            jobs[slot].tasks.reopen(index)
            reopened.append(index)
            count += 1
        }
        guard count > 0 else { return 0 }
        write(slot, .reopened(reopened))
        jobs[slot].hadRounds = true
        jobs[slot].isCancelled = false
        jobs[slot].isStopped = false
        jobs[slot].isKilled = false
        if jobs[slot].isEndAnnounced {
            jobs[slot].isEndAnnounced = false
            rank(slot)
        }
        noteAllHungry()
        noteProgress(slot, at: now)
        noteNews(slot)
        failIfSeatIsDead(slot, at: now)
        return count
    }

    // MARK: Looking

    package func snapshot(at now: Instant) -> PoolSnapshot {
        var clients: UInt32 = 0
        for slot in 0..<jobs.end where jobs.isUsed(slot) && sessions[jobs[slot].session]?.connection != nil {
            clients += 1
        }
        return PoolSnapshot(
            pool: configuration.pool, epoch: configuration.epoch, version: configuration.version,
            uptimeSeconds: (now - started).inSeconds, clients: UInt32(sessions.count),
            nodes: (0..<nodes.end).filter { nodes.isUsed($0) }.map { nodes[$0].snapshot(at: now) }
                .sorted { ($0.name, $0.id) < ($1.name, $1.id) },
            jobs: jobSnapshots(at: now), counters: counters)
    }

    /// Who knows a session's whole name could take it; of others' sessions the half is shown that people are shown.
    private func veiled(_ snapshot: PoolSnapshot, for session: SessionID) -> PoolSnapshot {
        var snapshot = snapshot
        for node in snapshot.nodes.indices {
            for worker in snapshot.nodes[node].status.workers.indices {
                let served = snapshot.nodes[node].status.workers[worker].session
                if served == session { continue }
                snapshot.nodes[node].status.workers[worker].session.rawValue = served.rawValue & ~0xFFFF_FFFF
            }
        }
        return snapshot
    }

    private func jobSnapshots(at now: Instant) -> [JobSnapshot] {
        (0..<jobs.end).filter { jobs.isUsed($0) }.sorted { jobs[$0].number < jobs[$1].number }
            .map { snapshot(ofJob: $0, withTroubles: false, at: now) }
    }

    private func snapshot(ofJob slot: Int, withTroubles: Bool, at now: Instant) -> JobSnapshot {
        var troubles: [JobSnapshot.Trouble] = []
        if withTroubles {
            for index in 0..<jobs[slot].tasks.nextFresh where troubles.count < 1000 {
                let cell = jobs[slot].tasks.cells[Int(index)]
                guard cell.state == .failed || cell.state == .held else { continue }
                // The outcome itself may have left with its client.
                let code =
                    jobs[slot].tasks.sequence(of: cell).map {
                        jobs[slot].tasks.log[$0].batch.code(at: Int(cell.outcomePosition))
                    } ?? (cell.state == .held ? OutcomeCode(.held, .crashed) : OutcomeCode(.failed, .failed))
                troubles.append(
                    JobSnapshot.Trouble(task: index, code: code, postMortem: jobs[slot].evidence[index]?.last))
            }
        }
        var progress = jobs[slot].tasks.progress
        // Of a damaged job nobody knows how many tasks it had.
        if jobs[slot].damage != nil { progress.isClosed = false }
        return JobSnapshot(
            id: jobs[slot].spec.id, number: jobs[slot].number, name: jobs[slot].spec.name,
            user: users[jobs[slot].user].name, runtime: jobs[slot].spec.runtime,
            retention: jobs[slot].spec.retention, priority: jobs[slot].spec.policy.priority,
            progress: progress, isCancelled: jobs[slot].isCancelled,
            ageSeconds: (now - jobs[slot].submitted).inSeconds,
            meanTaskSeconds: jobs[slot].meanNanoseconds.map { $0 / 1e9 }, troubles: troubles)
    }

    /// Why a job (or one of its tasks) does not run: the pool's answer first, then every node's.
    package func explain(_ slot: Int, task: TaskIndex?) -> [ExplainedNode] {
        var lines = [explainPool(slot, task: task)]
        for node in 0..<nodes.end where nodes.isUsed(node) {
            lines.append(explain(slot, node: node))
        }
        return lines
    }

    private func explainPool(_ slot: Int, task: TaskIndex?) -> ExplainedNode {
        let job = jobs[slot]
        if let task {
            guard task < job.tasks.count else {
                return ExplainedNode(node: "", canRun: false, reason: "the job has \(job.tasks.count) tasks so far")
            }
            if task < job.tasks.nextFresh {
                let cell = job.tasks.cells[Int(task)]
                let place = nodes.isUsed(Int(cell.node)) ? nodes[Int(cell.node)].hello.name : "a node that left"
                switch cell.state {
                case .running:
                    return ExplainedNode(node: "", canRun: true, reason: "runs on \(place), attempt \(cell.attempt)")
                case .granted:
                    return ExplainedNode(
                        node: "", canRun: true, reason: "granted to \(place), attempt \(cell.attempt)")
                case .succeeded, .failed, .cancelled, .held:
                    return ExplainedNode(node: "", canRun: false, reason: "has an outcome: \(cell.state)")
                case .ready: break
                }
            }
        }
        if let damage = job.damage {
            return ExplainedNode(
                node: "", canRun: false, reason: "its record on disk is damaged: \(damage.message)", isUnfit: true)
        }
        if job.awaitsNodes {
            return ExplainedNode(
                node: "", canRun: false, reason: "the server started again: nodes that may still run it have a minute to come back")
        }
        if job.isEnded { return ExplainedNode(node: "", canRun: false, reason: "the job has ended") }
        if job.isCancelled { return ExplainedNode(node: "", canRun: false, reason: "the job was cancelled") }
        if let most = job.spec.policy.maxParallel, job.tasks.progress.granted >= most {
            return ExplainedNode(node: "", canRun: false, reason: "the job may have \(most) tasks in flight, and has")
        }
        if job.spec.retention == .attached && job.tasks.log.byteCount > configuration.undeliveredBytes {
            return ExplainedNode(
                node: "", canRun: false,
                reason: "its client has not fetched \(job.tasks.log.byteCount >> 20) MiB of outcomes")
        }
        if !isSetUp(slot) {
            return ExplainedNode(
                node: "", canRun: false, reason: "its session's setup (\(job.spec.setup) entries) has not arrived yet")
        }
        if job.tasks.readyCount == 0 {
            return ExplainedNode(
                node: "", canRun: false, reason: "no task waits: \(job.tasks.progress.granted) are granted")
        }
        if job.spec.seatEpoch > 0, seat(of: job.spec) == nil {
            return ExplainedNode(
                node: "", canRun: false,
                reason: "the node that has the worker of seat \(job.spec.seat) has not come back since the server's restart")
        }
        if let want = want(of: slot) { return ExplainedNode(node: "", canRun: false, reason: want, isUnfit: true) }
        return ExplainedNode(node: "", canRun: true, reason: "\(job.tasks.readyCount) tasks wait for a free slot")
    }

    /// What the pool lacks to run the job, however long it waits, and what would help; nil: some node can.
    private func want(of slot: Int) -> String? {
        var obstacles: [(node: String, obstacle: String)] = []
        for node in nodes.slots where !nodes[node].isDraining && nodes[node].awaitedUntil == nil {
            guard let obstacle = obstacle(slot, on: node) else { return nil }
            obstacles.append((nodes[node].hello.name, obstacle))
        }
        // Nodes that are not back yet have not said what they offer.
        let missing = recovery?.missing.count ?? 0
        let later = missing == 0 ? "" : "; nodes from before the server's restart that are not back yet: \(missing)"
        let runtime = jobs[slot].spec.runtime
        if obstacles.isEmpty { return "no node is in the pool that takes work: start one with 'roost node start'\(later)" }
        guard (0..<nodes.end).contains(where: { nodes.isUsed($0) && nodes[$0].hello.runtimes.contains(runtime) }) else {
            return runtime == .r
                ? "no node of the pool runs R: start one where R is installed with 'roost node start', or name its R with --r\(later)"
                : "no node of the pool has the runtime '\(runtime.rawValue)'\(later)"
        }
        let shown = obstacles.prefix(3).map { "\($0.node) \($0.obstacle)" }.joined(separator: "; ")
        let more = obstacles.count > 3 ? "; and \(obstacles.count - 3) more" : ""
        return "no node of the pool can run it: \(shown)\(more). Start one that can with 'roost node start', or ask for less\(later)"
    }

    private func explain(_ slot: Int, node: Int) -> ExplainedNode {
        let record = nodes[node]
        let name = record.hello.name
        if let obstacle = obstacle(slot, on: node) {
            return ExplainedNode(node: name, canRun: false, reason: obstacle, isUnfit: true)
        }
        if record.connection == nil || record.suspectSince != nil {
            return ExplainedNode(node: name, canRun: false, reason: "is out of contact")
        }
        if record.isDraining {
            let because = record.drainReason.isEmpty ? "" : ": " + record.drainReason
            return ExplainedNode(node: name, canRun: false, reason: "is draining" + because)
        }
        if isSeatBusy(slot, on: node) {
            return ExplainedNode(node: name, canRun: false, reason: "the worker of seat \(jobs[slot].spec.seat) runs another job's task")
        }
        if let shortage = record.free.shortage(for: jobs[slot].spec.request) {
            return ExplainedNode(node: name, canRun: false, reason: "is busy: \(shortage)")
        }
        return ExplainedNode(node: name, canRun: true, reason: "could run it now")
    }
}
