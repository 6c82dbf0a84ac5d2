import RoostModel

/// How a job comes to the server: opened, appended to, closed.
extension Scheduler {
    mutating func submit(
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
            spec.seatEpoch = jobs[slot].spec.seatEpoch
            guard jobs[slot].isSubmission(spec) else {
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
        guard let user = sessions[session]?.user else { return }
        if let error = obstacle(to: spec, of: session) {
            effects.send(.refused(job: spec.id, error), to: connection)
            return
        }
        let slot = open(spec, session: session, user: user, at: now, into: &effects)
        if isResent && !jobs[slot].isDurable { awaitNodes(slot, at: now) }
        let number = jobs[slot].number
        effects.send(.submitted(job: spec.id, number: number, tasks: 0), to: connection)
    }

    /// Why this session may not submit this job, if so.
    private func obstacle(to spec: JobSpec, of session: SessionID) -> RoostError? {
        guard let record = sessions[session], record.role == .client || record.role == .admin else {
            return RoostError(
                .refused, "an observer's token may not submit jobs", remedy: "Use a token of role client.")
        }
        guard spec.request.isReasonable else {
            return RoostError(
                .usage, "a task has to ask for some resource, and for no negative amount of any",
                remedy: "A task asks for one cpu unless it says otherwise.")
        }
        guard spec.annotation.count <= Limits.annotationBytes else {
            return RoostError(
                .limit, "an annotation of \(spec.annotation.count) bytes; at most \(Limits.annotationBytes) are allowed")
        }
        if let error = obstacle(toKeeping: spec) ?? obstacle(toSetupOf: spec, for: record.user) ?? obstacle(toSeatOf: spec) {
            return error
        }
        let user = users[record.user]
        guard user.jobs < Limits.jobsPerUser, user.commonBytes + spec.heldBytes <= Limits.commonBytesPerUser else {
            return RoostError(
                .limit, "user \(user.name) has \(user.jobs) jobs with \(user.commonBytes >> 20) MiB of common data in the pool already",
                remedy: "Forget jobs that have ended: roost job forget.")
        }
        return nil
    }

    private mutating func open(
        _ spec: JobSpec, session: SessionID, user: Int, at now: Instant, into effects: inout Effects
    ) -> Int {
        let slot = jobs.insert(
            JobRecord(
                spec: spec, number: nextJobNumber, user: user, session: session, submitted: now,
                epoch: configuration.epoch, numbersBefore: forgottenNumbers[spec.id] ?? 0))
        jobSlots[spec.id] = slot
        users[user].count(jobs[slot])
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

    mutating func append(
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
        // What waits because it crashed may be left to others by a node that has nothing to do.
        let wasIdle = !isRunnable(slot) || jobs[slot].tasks.readyCount <= jobs[slot].crashes.count
        let skipped = Int(have - chunk.first)
        var payloads = PayloadArray()
        if skipped == 0 && chunk.arguments.positions == 0..<chunk.arguments.base.count {
            payloads = chunk.arguments.base
        } else {
            let slice = chunk.arguments
            payloads.append(
                slice.base.slice((slice.positions.lowerBound + skipped)..<slice.positions.upperBound))
        }
        // The server knows best what has an outcome of a job that it keeps.
        let isForgetful = configuration.sabotage == .forgetFinished || jobs[slot].isDurable
        let finished = isForgetful ? [] : ascending(chunk.finished, from: have, count: UInt32(payloads.count))
        if jobs[slot].isDurable { write(.appended(chunk.job, first: have, payloads)) }
        let isStored = jobs[slot].isDurable && !keepsInMemory(argumentBytes: payloads.bytes.count)
        if !isStored { appendedBytes += payloads.bytes.count }
        jobs[slot].tasks.append(payloads, finished: finished, isStored: isStored)
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

    mutating func close(
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
        closeTasks(slot, at: now)
    }

    private mutating func closeTasks(_ slot: Int, at now: Instant) {
        jobs[slot].tasks.progress.isClosed = true
        noteProgress(slot, at: now)
        noteNews(slot)
    }

    /// The client leaves for good in the middle of a durable job's submission: what was acknowledged runs and is kept, more does not
    /// come, and so the job can end. One that is only out of contact may come back for it, however late.
    mutating func closeForClientGone(_ slot: Int, at now: Instant, into effects: inout Effects) {
        guard jobs[slot].isDurable, jobs[slot].damage == nil, !jobs[slot].tasks.progress.isClosed else { return }
        effects.notices.append(.jobCutShort(number: jobs[slot].number, tasks: jobs[slot].tasks.count))
        closeTasks(slot, at: now)
    }
}
