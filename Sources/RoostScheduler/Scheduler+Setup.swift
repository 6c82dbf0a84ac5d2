import RoostModel

/// A session's setup log, and who still needs it.
package struct SetupRecord {
    package var user: Int
    package var entries: [[UInt8]] = []
    package var bytes = 0
    /// How many entries the store has, or will have: as far as durable jobs need them.
    package var written = 0
    /// Jobs of the session that are not forgotten.
    package var jobs = 0
    /// Where its seats are.
    package var seats: [UInt32: Seat] = [:]
    /// How many of them are on a node, by the node's life.
    package var seatsOnNodes: [UInt64: Int] = [:]
}

/// Setup: exports and expressions that are in force on every worker which runs a task submitted after them.
///
/// A job carries the number of its session's last entry. Its tasks are granted when the server has that much of
/// the log, and a node is sent it before the job. The log lives until the session and its jobs are over.
extension Scheduler {
    /// The client sends the next entry; number 0 only asks how many the server has.
    mutating func setup(
        _ entry: SetupEntry, _ session: SessionID, _ connection: ConnectionID, into effects: inout Effects
    ) {
        guard let owner = sessions[session] else { return }
        var refusal: RoostError?
        var record = setups[session] ?? SetupRecord(user: owner.user)
        if entry.session != session {
            refusal = RoostError(.refused, "this setup belongs to another session")
        } else if owner.role != .client && owner.role != .admin {
            refusal = RoostError(
                .refused, "an observer's token may not set up a session", remedy: "Use a token of role client.")
        } else if entry.number == UInt32(record.entries.count) + 1 {
            refusal = obstacle(to: entry.payload, in: record)
            if refusal == nil {
                record.entries.append(entry.payload)
                record.bytes += entry.payload.count
                setups[session] = record
                for slot in jobs.slots where jobs[slot].isDurable && jobs[slot].spec.session == session {
                    writeSetup(of: slot)
                }
                // Jobs may have waited for it.
                if record.jobs > 0 { noteAllHungry() }
            }
        }
        let held = SetupHeld(session: session, count: UInt32(record.entries.count))
        effects.send(.setupHeld(held, refusal), to: connection)
    }

    private func obstacle(to payload: [UInt8], in record: SetupRecord) -> RoostError? {
        guard record.entries.count < Int(Limits.setupEntries), record.bytes + payload.count <= Limits.setupBytes else {
            return RoostError(
                .limit,
                "this session's setup has \(record.entries.count) entries of \(record.bytes >> 20) MiB; at most \(Limits.setupEntries) of \(Limits.setupBytes >> 20) MiB are kept",
                remedy: "Export less, or open a new session.")
        }
        return nil
    }

    /// Why this job may not carry this session's setup; nil: it may.
    func obstacle(toSetupOf spec: JobSpec, for user: Int) -> RoostError? {
        guard spec.session.rawValue != 0 else {
            return spec.setup == 0 ? nil : RoostError(.usage, "a job with a setup has to name its session")
        }
        if let record = setups[spec.session], record.user != user {
            return RoostError(.refused, "the session of this job belongs to another user")
        }
        guard spec.setup <= Limits.setupEntries else {
            return RoostError(.limit, "a session has at most \(Limits.setupEntries) setup entries")
        }
        return nil
    }

    /// Whether the server has as much of the log as the job needs.
    func isSetUp(_ job: Int) -> Bool {
        // In place: this is asked for every grant, and a copy of the spec would count references.
        if jobs[job].spec.setup == 0 { return true }
        let spec = jobs[job].spec
        return setups[spec.session].map { $0.entries.count >= Int(spec.setup) } ?? false
    }

    mutating func jobNeedsSession(_ spec: JobSpec, user: Int) {
        guard spec.session.rawValue != 0 else { return }
        setups[spec.session, default: SetupRecord(user: user)].jobs += 1
    }

    mutating func jobLeavesSession(_ spec: JobSpec, into effects: inout Effects) {
        guard spec.session.rawValue != 0 else { return }
        setups[spec.session]?.jobs -= 1
        forgetSetupIfUnused(spec.session, into: &effects)
    }

    /// Once neither the session nor a job of it is left, nodes end the workers that served it.
    mutating func forgetSetupIfUnused(_ session: SessionID, into effects: inout Effects) {
        guard sessions[session] == nil, setups[session]?.jobs ?? 0 == 0 else { return }
        if setups[session]?.written ?? 0 > 0 { write(.sessionForgotten(session)) }
        setups[session] = nil
        for slot in 0..<nodes.end where nodes.isUsed(slot) { forgetSession(session, on: slot, into: &effects) }
    }

    private mutating func forgetSession(_ session: SessionID, on slot: Int, into effects: inout Effects) {
        nodes[slot].stays.removeAll { $0.session == session }
        let hadSetup = nodes[slot].setups.removeValue(forKey: session) != nil
        let hadSeats = nodes[slot].seats.removeValue(forKey: session) != nil
        guard hadSetup || hadSeats, let connection = nodes[slot].connection else { return }
        effects.send(.forgetSession(session), to: connection)
    }

    /// Sends the node what it lacks of the job's setup.
    mutating func sendSetup(of job: Int, to node: Int, over connection: ConnectionID, into effects: inout Effects) {
        let spec = jobs[job].spec
        guard spec.session.rawValue != 0, let record = setups[spec.session] else { return }
        let known = nodes[node].setups[spec.session] ?? 0
        nodes[node].setups[spec.session] = max(known, spec.setup)
        guard known < spec.setup, configuration.sabotage != .forgetSetup else { return }
        for number in (known + 1)...spec.setup {
            let entry = SetupEntry(
                session: spec.session, number: number, payload: record.entries[Int(number) - 1])
            effects.send(.setup(entry), to: connection)
        }
    }

    /// What a node that connects has of sessions: it is believed as far as they still exist, or may come back.
    mutating func takeSessions(_ hello: NodeHello, of node: Int, at now: Instant, into effects: inout Effects) {
        nodes[node].setups.removeAll()
        if configuration.sabotage == .trustOldSetup {
            for (session, record) in setups { nodes[node].setups[session] = UInt32(record.entries.count) }
        }
        nodes[node].seats.removeAll()
        for setup in hello.setups { nodes[node].setups[setup.session] = setup.count }
        for held in hello.seats { nodes[node].seats[held.seat.session, default: [:]][held.seat.number] = held.epoch }
        // After a restart, nodes may be back before their clients: what they keep for them is given time to be asked for.
        let patience = started + configuration.clientGrace
        guard configuration.epoch > 1, now < patience else { return forgetStrangers(on: node, into: &effects) }
        // Of seats' workers no server says in every epoch that they are still wanted.
        let overdue = hello.setups.filter { !mayBeAwaited($0.epoch, of: node) && nodes[node].seats[$0.session] == nil }.map(\.session)
        let strangers = strangers(on: node)
        for session in strangers where overdue.contains(session) { forgetSession(session, on: node, into: &effects) }
        if !areStrangersWatched && !strangers.isEmpty {
            areStrangersWatched = true
            schedule(.strangers, at: patience)
        }
    }

    /// Sessions that the node serves and the server has not met.
    private func strangers(on node: Int) -> [SessionID] {
        Set(nodes[node].setups.keys).union(nodes[node].seats.keys).filter { setups[$0] == nil && sessions[$0] == nil }
            .sorted { $0.rawValue < $1.rawValue }
    }

    private mutating func forgetStrangers(on node: Int, into effects: inout Effects) {
        for session in strangers(on: node) { forgetSession(session, on: node, into: &effects) }
    }

    mutating func forgetStrangers(at now: Instant, into effects: inout Effects) {
        for slot in nodes.slots { forgetClaims(of: slot, into: &effects) }
        // What a durable job still lacks of its setup will not come.
        for slot in jobs.slots where !isSetUp(slot) && sessions[jobs[slot].spec.session] == nil {
            cancelJob(slot, kill: true, at: now, into: &effects)
        }
        for session in setups.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
            forgetSetupIfUnused(session, into: &effects)
        }
        for slot in 0..<nodes.end where nodes.isUsed(slot) { forgetStrangers(on: slot, into: &effects) }
    }

    // MARK: Staying

    /// Lanes of the node that serve the session now.
    private func lanes(of session: SessionID, on node: Int) -> Int {
        nodes[node].shares.reduce(0) { $0 + (jobs[$1.job].spec.session == session ? $1.lanes : 0) }
    }

    /// A lane of the node begins to serve the job's session: workers were started or changed for it.
    mutating func noteStay(_ job: Int, on node: Int, at now: Instant) {
        let session = jobs[job].spec.session
        guard session.rawValue != 0 else { return }
        nodes[node].stays.removeAll { $0.until <= now && $0.session != session }
        let lanes = lanes(of: session, on: node)
        guard let index = nodes[node].stays.firstIndex(where: { $0.session == session }) else {
            let stay = NodeRecord.Stay(session: session, lanes: lanes, until: now + configuration.sessionStay)
            return nodes[node].stays.append(stay)
        }
        if nodes[node].stays[index].until <= now || nodes[node].stays[index].lanes < lanes {
            nodes[node].stays[index] = NodeRecord.Stay(
                session: session, lanes: lanes, until: now + configuration.sessionStay)
        }
    }

    /// Whether one more lane of the node would serve the session as one did a moment ago.
    func mayTakeLane(_ stay: NodeRecord.Stay, on node: Int) -> Bool { lanes(of: stay.session, on: node) < stay.lanes }
}
