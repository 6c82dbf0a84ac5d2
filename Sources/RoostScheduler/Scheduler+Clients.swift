import DequeModule
import RoostModel

extension Scheduler {
    // MARK: Coming and going

    mutating func clientConnected(
        _ connection: ConnectionID, _ principal: Principal, _ hello: ClientHello, peer: String, at now: Instant,
        into effects: inout Effects
    ) {
        let user = userSlot(principal.user)
        users[user].weight = Double(max(principal.weight, 1))
        if let existing = sessions[hello.session] {
            guard existing.user == user else {
                effects.close(connection, RoostError(.refused, "this session belongs to another user"))
                return
            }
            if let old = existing.connection {
                owners[old] = nil
                dropReaders(of: old)
                effects.close(old, RoostError(.lost, "the session has a newer connection"))
            }
        }
        var session =
            sessions[hello.session]
            ?? SessionRecord(id: hello.session, user: user, role: principal.role, description: hello.description)
        session.connection = connection
        session.role = principal.role
        session.departures += 1
        session.lastHeard = now
        sessions[hello.session] = session
        owners[connection] = .client(hello.session)
        schedule(
            .clientSilence(hello.session, departures: session.departures), at: now + configuration.suspectAfter)
    }

    /// A client lets itself be heard as nodes do; one that does not is away, whatever its connection says.
    mutating func lookForSilence(
        of id: SessionID, departures: Int, at now: Instant, into effects: inout Effects
    ) {
        guard let session = sessions[id], session.departures == departures, let connection = session.connection
        else { return }
        let due = session.lastHeard + configuration.suspectAfter
        if due > now {
            schedule(.clientSilence(id, departures: departures), at: due)
            return
        }
        owners[connection] = nil
        effects.close(connection, RoostError(.lost, "nothing was heard from the client for too long"))
        clientLeft(id, at: now)
    }

    /// The client is out of contact: its readers pause, its attached jobs wait a grace time for it.
    mutating func clientLeft(_ id: SessionID, at now: Instant) {
        guard var session = sessions[id], let connection = session.connection else { return }
        session.connection = nil
        session.departures += 1
        sessions[id] = session
        dropReaders(of: connection)
        schedule(.clientGrace(id, departures: session.departures), at: now + configuration.clientGrace)
    }

    mutating func clientGraceEnded(
        _ id: SessionID, departures: Int, at now: Instant, into effects: inout Effects
    ) {
        guard let session = sessions[id], session.connection == nil, session.departures == departures else { return }
        effects.notices.append(.sessionLost(description: session.description, jobs: session.jobs.count))
        endSession(id, at: now, into: &effects)
    }

    /// Attached jobs of the session are cancelled and forgotten; kept ones go on without it.
    mutating func endSession(_ id: SessionID, at now: Instant, into effects: inout Effects) {
        guard let session = sessions.removeValue(forKey: id) else { return }
        if let connection = session.connection {
            owners[connection] = nil
            dropReaders(of: connection)
        }
        for job in session.jobs.sorted() {
            guard let slot = jobSlots[job], jobs[slot].spec.retention == .attached else { continue }
            cancelJob(slot, kill: true, at: now, into: &effects)
            forgetJob(slot, into: &effects)
        }
        // What a kept job still lacks of its setup will never come.
        for slot in 0..<jobs.end where jobs.isUsed(slot) && jobs[slot].spec.session == id && !isSetUp(slot) {
            cancelJob(slot, kill: true, at: now, into: &effects)
        }
        forgetSetupIfUnused(id, into: &effects)
    }

    private mutating func dropReaders(of connection: ConnectionID) {
        for slot in 0..<jobs.end where jobs.isUsed(slot) {
            jobs[slot].readers.removeAll { $0.connection == connection }
            jobs[slot].watchers.removeAll { $0.connection == connection }
        }
    }

    mutating func userSlot(_ name: String) -> Int {
        if let slot = userSlots[name] { return slot }
        users.append(UserRecord(name: name))
        userSlots[name] = users.count - 1
        return users.count - 1
    }

    // MARK: What clients say

    mutating func clientSaid(
        _ session: SessionID, _ connection: ConnectionID, _ message: ClientToServer, at now: Instant,
        into effects: inout Effects
    ) {
        switch message {
        case .submit(let spec):
            submit(spec, session, connection, at: now, into: &effects)
        case .append(let chunk):
            append(chunk, session, connection, at: now, into: &effects)
        case .close(let job, let count):
            close(job, count: count, session, connection, at: now, into: &effects)
        case .read(let request):
            read(request, session, connection, at: now, into: &effects)
        case .acknowledge(let job, let cursor):
            acknowledged(job, cursor: cursor, connection, into: &effects)
        case .watch(let job, let task, let on):
            guard let slot = readableJob(job, session, connection, into: &effects) else { return }
            watch(slot, Watcher(connection: connection, task: task), on: on, into: &effects)
        case .query(let id, let query):
            answer(query, id: id, session, connection, at: now, into: &effects)
        case .setup(let entry):
            setup(entry, session, connection, into: &effects)
        case .heartbeat:
            effects.send(.heartbeat, to: connection)
        case .goodbye:
            endSession(session, at: now, into: &effects)
        }
    }

    /// The job's slot, if this session may change it; otherwise the client is told.
    private mutating func ownJob(
        _ job: JobID, _ session: SessionID, _ connection: ConnectionID, into effects: inout Effects
    ) -> Int? {
        guard let slot = jobSlots[job] else {
            effects.send(.refused(job: job, RoostError(.notFound, "the server knows no such job")), to: connection)
            return nil
        }
        guard mayUse(slot, session) else {
            effects.send(.refused(job: job, otherUsersJob(slot)), to: connection)
            return nil
        }
        return slot
    }

    private mutating func readableJob(
        _ job: JobID, _ session: SessionID, _ connection: ConnectionID, into effects: inout Effects
    ) -> Int? { ownJob(job, session, connection, into: &effects) }

    /// A client token reaches its own user's jobs, an admin's token all.
    func mayUse(_ job: Int, _ session: SessionID) -> Bool {
        guard let record = sessions[session] else { return false }
        return record.role == .admin || (record.role == .client && record.user == jobs[job].user)
    }

    func otherUsersJob(_ job: Int) -> RoostError {
        RoostError(
            .refused, "job \(jobs[job].number) belongs to \(users[jobs[job].user].name)",
            remedy: "Use a token of that user, or an admin's.")
    }

    private mutating func submit(
        _ spec: JobSpec, _ session: SessionID, _ connection: ConnectionID, at now: Instant,
        into effects: inout Effects
    ) {
        // What the policy asks for is bounded before anything is compared: the same submission is the same job.
        var spec = spec
        let isResent = spec.firstEpoch != 0 && spec.firstEpoch < configuration.epoch
        spec.firstEpoch = 0
        spec.policy.retries = min(spec.policy.retries, Limits.attemptsPerTask)
        spec.policy.crashLimit = min(max(spec.policy.crashLimit, 1), Limits.attemptsPerTask)
        if jobSlots[spec.id] != nil {
            guard let slot = ownJob(spec.id, session, connection, into: &effects) else { return }
            spec.isSeatTaken = jobs[slot].spec.isSeatTaken
            guard jobs[slot].spec == spec else {
                effects.send(
                    .refused(job: spec.id, RoostError(.conflict, "another job has this id already")), to: connection)
                return
            }
            adopt(slot, by: session)
            effects.send(
                .submitted(job: spec.id, number: jobs[slot].number, tasks: jobs[slot].tasks.count), to: connection)
            return
        }
        if let end = sessions[session]?.ends.last(where: { $0.job == spec.id }) {
            effects.send(.ended(end), to: connection)
            return
        }
        guard let record = sessions[session], record.role == .client || record.role == .admin else {
            let error = RoostError(
                .refused, "an observer's token may not submit jobs", remedy: "Use a token of role client.")
            effects.send(.refused(job: spec.id, error), to: connection)
            return
        }
        guard spec.request.isReasonable else {
            let error = RoostError(
                .usage, "a task has to ask for some resource, and for no negative amount of any",
                remedy: "A task asks for one cpu unless it says otherwise.")
            effects.send(.refused(job: spec.id, error), to: connection)
            return
        }
        guard spec.annotation.count <= Limits.annotationBytes else {
            let error = RoostError(.limit, "an annotation of \(spec.annotation.count) bytes; at most \(Limits.annotationBytes) are allowed")
            effects.send(.refused(job: spec.id, error), to: connection)
            return
        }
        if let error = obstacle(toKeeping: spec) {
            effects.send(.refused(job: spec.id, error), to: connection)
            return
        }
        if let error = obstacle(toSetupOf: spec, for: record.user) {
            effects.send(.refused(job: spec.id, error), to: connection)
            return
        }
        if let error = obstacle(toSeatOf: spec) {
            effects.send(.refused(job: spec.id, error), to: connection)
            return
        }
        guard users[record.user].ranked.count < Limits.jobsPerUser else {
            let error = RoostError(
                .limit, "user \(users[record.user].name) has \(Limits.jobsPerUser) jobs already",
                remedy: "Forget jobs that have ended: roost job forget.")
            effects.send(.refused(job: spec.id, error), to: connection)
            return
        }
        let slot = open(spec, session: session, user: record.user, at: now, into: &effects)
        if isResent && recovery != nil && !jobs[slot].isDurable { jobs[slot].awaitsNodes = true }
        let number = jobs[slot].number
        effects.send(.submitted(job: spec.id, number: number, tasks: 0), to: connection)
    }

    private mutating func open(
        _ spec: JobSpec, session: SessionID, user: Int, at now: Instant, into effects: inout Effects
    ) -> Int {
        let slot = jobs.insert(
            JobRecord(
                spec: spec, number: nextJobNumber, user: user, session: session, submitted: now,
                epoch: configuration.epoch, numbersBefore: forgottenNumbers[spec.id] ?? 0))
        jobSlots[spec.id] = slot
        if jobs[slot].isDurable {
            durableJobs.insert(spec.id)
            write(.opened(spec, number: nextJobNumber, user: users[user].name))
        }
        jobNeedsSession(spec, user: user)
        if spec.seat != 0 && seat(of: spec) == nil { unseatedJobs.append(spec.id) }
        effects.notices.append(.jobOpened(number: nextJobNumber, user: users[user].name))
        nextJobNumber += 1
        sessions[session]?.jobs.insert(spec.id)
        rank(slot)
        writeSetup(of: slot)
        return slot
    }

    /// What durable jobs need that this one, or this pool, has not.
    private func obstacle(toKeeping spec: JobSpec) -> RoostError? {
        guard spec.retention == .durable else { return nil }
        if !configuration.hasStore {
            return RoostError(
                .usage, "this pool has no disk to keep a durable job on",
                remedy: "Connect to a server (roost server start), or submit it without durability.")
        }
        if spec.seat != 0 {
            return RoostError(.usage, "a seat's worker goes with its session: its tasks cannot be a durable job's")
        }
        return nil
    }

    /// A job whose session is gone belongs to whoever of its user opens it again.
    private mutating func adopt(_ slot: Int, by session: SessionID) {
        guard jobs[slot].session != session, sessions[jobs[slot].session] == nil else { return }
        jobs[slot].session = session
        sessions[session]?.jobs.insert(jobs[slot].spec.id)
    }

    /// Puts a job among its user's by rank.
    mutating func rank(_ slot: Int) {
        let user = jobs[slot].user
        let priority = jobs[slot].spec.policy.priority
        let position =
            users[user].ranked.firstIndex { jobs[$0].spec.policy.priority < priority } ?? users[user].ranked.count
        users[user].ranked.insert(slot, at: position)
    }

    private mutating func append(
        _ chunk: AppendTasks, _ session: SessionID, _ connection: ConnectionID, at now: Instant,
        into effects: inout Effects
    ) {
        guard let slot = ownJob(chunk.job, session, connection, into: &effects) else { return }
        let have = jobs[slot].tasks.count
        // Sent again after a cut, or overtaken by a cancel: the answer says how far the server is.
        jobs[slot].owesAppended = true
        noteNews(slot)
        guard chunk.first <= have, UInt64(chunk.first) + UInt64(chunk.arguments.count) > UInt64(have) else { return }
        guard !jobs[slot].tasks.progress.isClosed else { return }
        guard UInt64(chunk.first) + UInt64(chunk.arguments.count) <= UInt64(Limits.tasksPerJob) else {
            let error = RoostError(.limit, "a job has at most \(Limits.tasksPerJob) tasks")
            effects.send(.refused(job: chunk.job, error), to: connection)
            return
        }
        let wasIdle = !isRunnable(slot)
        let skipped = Int(have - chunk.first)
        var payloads = PayloadArray()
        if skipped == 0 && chunk.arguments.positions == 0..<chunk.arguments.base.count {
            payloads = chunk.arguments.base
        } else {
            let slice = chunk.arguments
            payloads.append(
                slice.base.slice((slice.positions.lowerBound + skipped)..<slice.positions.upperBound))
        }
        appendedBytes += payloads.bytes.count
        // The server knows best what has an outcome of a job that it keeps.
        let isForgetful = configuration.sabotage == .forgetFinished || jobs[slot].isDurable
        let finished = isForgetful ? [] : ascending(chunk.finished, from: have, count: UInt32(payloads.count))
        if jobs[slot].isDurable { write(.appended(chunk.job, first: have, payloads)) }
        jobs[slot].tasks.append(payloads, finished: finished)
        takeClaims(slot, from: have, at: now, into: &effects)
        noteProgress(slot, at: now)
        if wasIdle { noteAllHungry() }
        failIfSeatIsDead(slot, at: now)
    }

    /// The ranges that lie within the new tasks, in order, none overlapping another: whatever a client sent.
    private func ascending(_ ranges: [TaskRange], from first: TaskIndex, count: UInt32) -> [TaskRange] {
        var next = first
        var kept: [TaskRange] = []
        for range in ranges where range.first >= next && range.count > 0 {
            guard range.first - first < count, range.count <= count - (range.first - first) else { continue }
            kept.append(range)
            next = range.end
        }
        return kept
    }

    private mutating func close(
        _ job: JobID, count: UInt32, _ session: SessionID, _ connection: ConnectionID, at now: Instant,
        into effects: inout Effects
    ) {
        guard let slot = ownJob(job, session, connection, into: &effects) else { return }
        guard !jobs[slot].tasks.progress.isClosed else { return }
        guard jobs[slot].tasks.count == count else {
            let error = RoostError(
                .conflict, "the job was closed with \(count) tasks, the server has \(jobs[slot].tasks.count)")
            effects.send(.refused(job: job, error), to: connection)
            return
        }
        jobs[slot].tasks.progress.isClosed = true
        noteProgress(slot, at: now)
        noteNews(slot)
    }

    /// Nodes that know the job are asked for its output, or not any more; those that come to know it later are
    /// asked then.
    private mutating func watch(_ slot: Int, _ watcher: Watcher, on: Bool, into effects: inout Effects) {
        jobs[slot].watchers.removeAll { $0 == watcher }
        if on { jobs[slot].watchers.append(watcher) }
        guard on || !jobs[slot].watchers.contains(where: { $0.task == watcher.task }) else { return }
        for node in 0..<nodes.end where nodes.isUsed(node) && nodes[node].knowsJob(slot) {
            guard let connection = nodes[node].connection else { continue }
            effects.send(.watch(job: jobs[slot].spec.id, task: watcher.task, on: on), to: connection)
        }
    }

    // MARK: Ending jobs

    /// No task of the job starts any more; what runs is stopped (`kill`: at once).
    mutating func cancelJob(_ slot: Int, kill: Bool, at now: Instant, into effects: inout Effects) {
        guard !jobs[slot].isEnded, !jobs[slot].isStopped || (kill && !jobs[slot].isKilled) else { return }
        let isNew = !jobs[slot].isCancelled
        jobs[slot].isCancelled = true
        jobs[slot].isStopped = true
        jobs[slot].isKilled = kill
        jobs[slot].tasks.progress.isClosed = true
        if isNew && configuration.sabotage != .forgetWaitingOnCancel { endWaiting(slot) }
        stopGranted(slot, kill: kill, into: &effects)
        // A node may have been saved up for it.
        if jobs[slot].reservation != nil { noteAllHungry() }
        noteProgress(slot, at: now)
        noteNews(slot)
    }

    /// Records an outcome, `cancelled` by default, for every task that waits.
    mutating func endWaiting(
        _ slot: Int, _ code: OutcomeCode = OutcomeCode(.cancelled, .neverRan), _ evidence: PostMortem? = nil
    ) {
        for task in jobs[slot].tasks.drainReturned() {
            if let evidence { jobs[slot].keepEvidence(evidence, task: task) }
            recordWithoutNode(slot, TaskRange(first: task, count: 1), code, evidence)
        }
        while true {
            let tasks = jobs[slot].tasks.takeNeverGranted(atMost: 65_536)
            guard tasks.count > 0 else { break }
            if let evidence { jobs[slot].keepEvidence(evidence, task: tasks.first) }
            recordWithoutNode(slot, tasks, code, evidence)
        }
    }

    /// Asks every node that has tasks of the job to stop them.
    func stopGranted(_ slot: Int, kill: Bool, into effects: inout Effects) {
        for node in 0..<nodes.end where nodes.isUsed(node) && nodes[node].share(of: slot) != nil {
            guard let connection = nodes[node].connection else { continue }
            let runs = attemptRuns(slot, node: node)
            if !runs.isEmpty { effects.send(.cancel(attempts: runs, kill: kill), to: connection) }
        }
    }

    /// Asks a node for all of a job that no worker of it has.
    func takeBack(_ slot: Int, node: Int, into effects: inout Effects) {
        guard nodes[node].share(of: slot) != nil, let connection = nodes[node].connection else { return }
        effects.send(.retract(job: jobs[slot].spec.id, count: .max), to: connection)
    }

    /// What a node has of a job, as runs.
    func attemptRuns(_ slot: Int, node: Int) -> [AttemptRun] {
        var runs: [AttemptRun] = []
        let table = jobs[slot].tasks
        for index in 0..<Int(table.nextFresh) {
            let cell = table.cells[index]
            guard cell.isGranted, cell.node == Int32(node) else { continue }
            let epoch = table.epoch(of: TaskIndex(index))
            if let last = runs.last, last.tasks.end == TaskIndex(index), last.number == cell.attempt, last.epoch == epoch {
                runs[runs.count - 1].tasks.count += 1
            } else {
                runs.append(
                    AttemptRun(
                        job: jobs[slot].spec.id, epoch: epoch, number: cell.attempt,
                        tasks: TaskRange(first: TaskIndex(index), count: 1)))
            }
        }
        return runs
    }

    /// Remembers how far the attempts were numbered of a job that its client does not have all outcomes of: it
    /// may bring the job again, and a node out of contact an outcome of long ago.
    private mutating func rememberNumbers(_ slot: Int) {
        let job = jobs[slot].spec.id
        let highest = jobs[slot].tasks.highestNumber
        let isDelivered = jobs[slot].isEnded && jobs[slot].tasks.log.base == jobs[slot].tasks.log.end
        guard highest > 0, !isDelivered else { return }
        if forgottenNumbers.updateValue(highest, forKey: job) == nil { forgottenJobs.append(job) }
        if forgottenJobs.count > Limits.forgottenJobs, let oldest = forgottenJobs.popFirst() {
            forgottenNumbers[oldest] = nil
        }
    }

    /// The job leaves the server's memory, its attempts leave their nodes.
    mutating func forgetJob(_ slot: Int, into effects: inout Effects) {
        let job = jobs[slot].spec.id
        rememberNumbers(slot)
        for node in 0..<nodes.end where nodes.isUsed(node) {
            if let connection = nodes[node].connection {
                let runs = nodes[node].share(of: slot) == nil ? [] : attemptRuns(slot, node: node)
                if !runs.isEmpty { effects.send(.drop(runs), to: connection) }
                if nodes[node].knowsJob(slot) { effects.send(.forget(job: job), to: connection) }
            }
            removeShare(of: slot, from: node)
            nodes[node].jobsKnown.remove(slot)
        }
        var sequence = jobs[slot].tasks.log.base
        while sequence < jobs[slot].tasks.log.end {
            if let origin = jobs[slot].tasks.log[sequence].origin { owe(origin) }
            sequence += 1
        }
        for reader in jobs[slot].readers where !reader.isEndSent {
            let error = RoostError(.notFound, "job \(jobs[slot].number) was forgotten while it was read")
            effects.send(.refused(job: job, error), to: reader.connection)
        }
        if jobs[slot].reservation != nil { noteAllHungry() }
        users[jobs[slot].user].ranked.removeAll { $0 == slot }
        withheld.removeAll { $0 == slot }
        sessions[jobs[slot].session]?.jobs.remove(job)
        if jobs[slot].isDurable { write(.forgotten(job)) }
        jobSlots[job] = nil
        jobsWithNews.removeAll { $0 == slot }
        let spec = jobs[slot].spec
        jobs.remove(slot)
        jobLeavesSession(spec, into: &effects)
    }
}
