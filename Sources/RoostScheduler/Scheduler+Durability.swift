import DequeModule
import RoostModel

/// An entry of an outcome log that could be dropped from memory once it is on disk.
struct CachedOutcome {
    var job: JobID
    var sequence: UInt64
    var bytes: Int
    /// It is on disk when so many writes are.
    var write: UInt64
}

/// Durable jobs: what is written, and what waits for it.
///
///     apply … apply ─▶ settle ─▶ letters of attached jobs, answers      leave at once
///                            └─▶ writes ─▶ the store ─▶ on disk ─▶ letters of durable jobs
///
/// Every letter about a durable job waits for the writes made so far, so that nobody is told what a crash could take
/// back, and letters about one job keep their order.
extension Scheduler {
    /// Has a fact written.
    mutating func write(_ fact: StoreWrite) {
        guard configuration.hasStore else { return }
        writes.append(fact)
        writeCount += 1
    }

    /// Has a fact about tasks of this job written, if it is a durable one.
    mutating func write(_ job: Int, _ fact: TaskFact) {
        guard jobs[job].isDurable else { return }
        write(.task(jobs[job].spec.id, fact))
    }

    /// Has the standing of this job written, if it is a durable one and stands otherwise than last written.
    mutating func writeStanding(_ job: Int) {
        guard jobs[job].isDurable, jobs[job].damage == nil else { return }
        let standing = jobs[job].standing
        guard standing != jobs[job].writtenStanding else { return }
        jobs[job].writtenStanding = standing
        write(.changed(jobs[job].spec.id, standing))
    }

    /// The setup log is written as far as a durable job needs it.
    mutating func writeSetup(of job: Int) {
        guard jobs[job].isDurable else { return }
        let session = jobs[job].spec.session
        guard session.rawValue != 0, let record = setups[session] else { return }
        let needed = min(Int(jobs[job].spec.setup), record.entries.count)
        guard needed > record.written else { return }
        for number in record.written..<needed {
            let entry = SetupEntry(session: session, number: UInt32(number) + 1, payload: record.entries[number])
            write(.setup(entry, user: users[record.user].name))
        }
        setups[session]?.written = needed
    }

    // MARK: What waits

    /// Hands the writes over, and takes letters about durable jobs out of those that leave at once.
    mutating func holdBack(in effects: inout Effects) {
        guard configuration.hasStore else { return }
        if !durableJobs.isEmpty {
            hold(&effects.toNodes, &effects.afterWrites.toNodes) { message in message.concerns(durableJobs) }
            hold(&effects.toClients, &effects.afterWrites.toClients) { message in message.concerns(durableJobs) }
        }
        // Unless it was opened again meanwhile.
        for job in durableJobsForgotten where jobSlots[job].map({ !jobs[$0].isDurable }) ?? true { durableJobs.remove(job) }
        durableJobsForgotten.removeAll()
        guard configuration.sabotage != .acknowledgeBeforeCommit else {
            effects.toNodes += effects.afterWrites.toNodes
            effects.toClients += effects.afterWrites.toClients
            effects.afterWrites = Effects.Letters()
            return handOver(&effects)
        }
        handOver(&effects)
    }

    private mutating func handOver(_ effects: inout Effects) {
        guard !writes.isEmpty else { return }
        if configuration.sabotage == .forgetCrashCounts {
            writes.removeAll { if case .task(_, .charged) = $0 { true } else { false } }
        }
        effects.writes += writes
        writes.removeAll(keepingCapacity: true)
    }

    private func hold<Message>(
        _ now: inout [Effects.Letter<Message>], _ later: inout [Effects.Letter<Message>],
        where concernsDurable: (Message) -> Bool
    ) {
        guard now.contains(where: { !$0.isUrgent && concernsDurable($0.message) }) else { return }
        var rest: [Effects.Letter<Message>] = []
        for letter in now {
            if !letter.isUrgent && concernsDurable(letter.message) { later.append(letter) } else { rest.append(letter) }
        }
        now = rest
    }

    // MARK: Payloads on disk

    /// A batch of a durable job was logged: its payloads stay in memory while there is room.
    mutating func noteCached(_ job: Int, sequence: UInt64, bytes: Int) {
        guard jobs[job].isDurable, configuration.hasStore, bytes > 0 else { return }
        cachedOutcomes.append(
            CachedOutcome(job: jobs[job].spec.id, sequence: sequence, bytes: bytes, write: writeCount))
        cachedBytes += bytes
    }

    /// Whether so many bytes more of a durable job's arguments are to be kept in memory, and counted, if so. What is left on disk is
    /// granted in letters that wait for its being there.
    mutating func keepsInMemory(argumentBytes bytes: Int) -> Bool {
        guard cachedArgumentBytes + bytes <= configuration.cachedArgumentBytes else { return false }
        cachedArgumentBytes += bytes
        return true
    }

    /// Where the arguments of these tasks, which stand in one chunk, are when they are not in memory.
    func storedArguments(of tasks: TaskRange, _ job: Int) -> Effects.StoredPayloads? {
        guard let (place, positions) = jobs[job].tasks.arguments.storedPlace(of: tasks) else { return nil }
        let isMisplaced = configuration.sabotage == .misplaceArguments
        return Effects.StoredPayloads(
            job: jobs[job].spec.id, place: place, positions: [isMisplaced ? 0..<positions.count : positions])
    }

    /// These tasks of the job will not run again.
    mutating func freeArguments(_ job: Int, _ tasks: TaskRange) {
        let freed = jobs[job].tasks.arguments.ended(tasks)
        if jobs[job].isDurable { cachedArgumentBytes -= freed }
    }

    /// What an ended durable job keeps for another round needs no memory.
    mutating func leaveOnDisk(_ job: Int) {
        guard jobs[job].isDurable else { return }
        cachedArgumentBytes -= jobs[job].tasks.arguments.leaveOnDisk()
        jobs[job].leftCommon = jobs[job].leftCommon ?? jobs[job].spec.takeCommon()
    }

    /// Where what the job's tasks share is, when it is not in its description.
    func storedCommon(of job: Int) -> Effects.StoredPayloads? {
        guard jobs[job].leftCommon != nil, configuration.sabotage != .forgetLeftCommon else { return nil }
        return Effects.StoredPayloads(job: jobs[job].spec.id, place: .common, positions: [0..<1])
    }

    /// The first `count` writes are on disk: payloads beyond what memory is for can be read there.
    mutating func committed(_ count: UInt64) {
        while cachedBytes > configuration.cachedOutcomeBytes, let oldest = cachedOutcomes.first, oldest.write <= count {
            cachedOutcomes.removeFirst()
            cachedBytes -= oldest.bytes
            guard let slot = jobSlots[oldest.job] else { continue }
            jobs[slot].tasks.log.dropPayloads(of: oldest.sequence)
        }
    }
}

extension ServerToNode {
    /// Whether it says something about one of these jobs, or must not overtake what does.
    fileprivate func concerns(_ jobs: Set<JobID>) -> Bool {
        switch self {
        case .job(let spec): jobs.contains(spec.id)
        case .grant(let run): jobs.contains(run.attempts.job)
        case .retract(let job, _), .forget(let job), .watch(let job, _, _): jobs.contains(job)
        case .cancel(let runs, _): runs.contains { jobs.contains($0.job) }
        case .drop(let runs): runs.contains { jobs.contains($0.job) }
        case .forgetSession: true
        case .acknowledge, .setup, .killWorker, .drain, .shutDown, .heartbeat: false
        }
    }
}

extension ServerToClient {
    fileprivate func concerns(_ jobs: Set<JobID>) -> Bool {
        switch self {
        case .submitted(let job, _, _), .appended(let job, _), .refused(let job, _): jobs.contains(job)
        case .outcomes(let delivery): jobs.contains(delivery.batch.job)
        case .progress(let progress), .ended(let progress): jobs.contains(progress.job)
        case .output(let chunk): jobs.contains(chunk.job)
        case .condition(let condition): jobs.contains(condition.job)
        // What is answered, and what was asked for, is on the disk.
        case .reply: true
        case .setupHeld, .heartbeat: false
        }
    }
}
