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

    /// Attached jobs of the session are cancelled and forgotten; durable ones go on without it.
    mutating func endSession(_ id: SessionID, at now: Instant, into effects: inout Effects) {
        guard let session = sessions.removeValue(forKey: id) else { return }
        for end in session.ends { endedJobs.remove(end.job) }
        if let connection = session.connection {
            owners[connection] = nil
            dropReaders(of: connection)
        }
        for job in session.jobs.sorted() {
            guard let slot = jobSlots[job], jobs[slot].spec.retention == .attached else { continue }
            cancelJob(slot, kill: true, at: now, into: &effects)
            forgetJob(slot, into: &effects)
        }
        // What a durable job still lacks of its setup will never come.
        for slot in jobs.slots where jobs[slot].spec.session == id && !isSetUp(slot) {
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
            guard let slot = ownJob(job, session, connection, into: &effects) else { return }
            watch(slot, Watcher(connection: connection, task: task), on: on, into: &effects)
        case .query(let id, let query):
            answer(query, id: id, session, connection, at: now, into: &effects)
        case .setup(let entry):
            setup(entry, session, connection, into: &effects)
        case .heartbeat:
            effects.send(.heartbeat, to: connection)
        case .goodbye:
            for job in sessions[session]?.jobs.sorted() ?? [] {
                if let slot = jobSlots[job] { closeForClientGone(slot, at: now, into: &effects) }
            }
            endSession(session, at: now, into: &effects)
        }
    }

    /// The job's slot, if this session may use it and the job is whole; otherwise the client is told.
    mutating func ownJob(
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
        if let damage = jobs[slot].damage {
            effects.send(.refused(job: job, damage), to: connection)
            return nil
        }
        return slot
    }

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
}
