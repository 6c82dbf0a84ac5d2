import DequeModule
import RoostModel

extension Scheduler {
    /// A client wants a job's outcomes from a cursor on.
    mutating func read(
        _ request: ReadRequest, _ session: SessionID, _ connection: ConnectionID, at now: Instant,
        into effects: inout Effects
    ) {
        guard let slot = ownJob(request.job, session, connection, into: &effects) else { return }
        let isOwner = jobs[slot].session == session
        jobs[slot].readers.removeAll { $0.connection == connection }
        var after = request.after
        if request.order == .asCompleted {
            after = min(max(after, jobs[slot].tasks.log.base), jobs[slot].tasks.log.end)
        }
        jobs[slot].readers.append(
            Reader(
                connection: connection, order: request.order, next: after, acknowledged: after,
                window: max(1, min(request.window, Limits.readerWindowTasks)), isOwner: isOwner))
        // What the reader says it has, it has: an acknowledgement that was lost with the connection.
        if isOwner { release(slot, request.order, upTo: request.after) }
        noteProgress(slot, at: now)
        noteNews(slot)
    }

    /// A reader has everything before the cursor.
    mutating func acknowledged(
        _ job: JobID, cursor: UInt64, _ connection: ConnectionID, into effects: inout Effects
    ) {
        guard let slot = jobSlots[job],
            let index = jobs[slot].readers.firstIndex(where: { $0.connection == connection })
        else { return }
        var freed: UInt32 = 0
        var gone = 0
        let reader = jobs[slot].readers[index]
        for sent in reader.sent {
            guard sent.cursor <= cursor else { break }
            freed += sent.count
            gone += 1
        }
        let reached = gone > 0 ? reader.sent[gone - 1].cursor : reader.acknowledged
        jobs[slot].readers[index].sent.removeFirst(gone)
        jobs[slot].readers[index].outstanding -= freed
        jobs[slot].readers[index].acknowledged = reached
        if reader.isOwner { release(slot, reader.order, upTo: reached) }
        noteNews(slot)
    }

    /// The owner has everything before the cursor: an attached job lets it go, and may go on if it had paused.
    private mutating func release(_ slot: Int, _ order: ReadRequest.Order, upTo cursor: UInt64) {
        guard jobs[slot].spec.retention == .attached else { return }
        let wasRunnable = isRunnable(slot)
        switch order {
        case .asCompleted: releaseBatches(slot, upTo: cursor)
        case .inOrder: releaseTasks(slot, upTo: cursor)
        }
        jobs[slot].tasks.log.trim()
        if !wasRunnable && isRunnable(slot) { noteAllHungry() }
    }

    private mutating func releaseBatches(_ slot: Int, upTo sequence: UInt64) {
        var next = jobs[slot].tasks.log.base
        while next < min(sequence, jobs[slot].tasks.log.end) {
            if let origin = jobs[slot].tasks.log.acknowledge(next, count: .max) { owe(origin) }
            next += 1
        }
    }

    /// From where the last release ended, on whatever connection that was.
    private mutating func releaseTasks(_ slot: Int, upTo end: UInt64) {
        var task = jobs[slot].released
        while task < min(end, UInt64(jobs[slot].tasks.nextFresh)) {
            let cell = jobs[slot].tasks.cells[Int(task)]
            guard !cell.isOpen else { break }
            task += 1
            guard let sequence = jobs[slot].tasks.sequence(of: cell) else { continue }
            if let origin = jobs[slot].tasks.log.acknowledge(sequence, count: 1) { owe(origin) }
        }
        jobs[slot].released = task
    }

    // MARK: Serving

    /// Sends what is new to whoever reads it and has room; announces ends; frees what nobody needs.
    mutating func serveReaders(at now: Instant, into effects: inout Effects) {
        guard !jobsWithNews.isEmpty else { return }
        let slots = jobsWithNews
        jobsWithNews.removeAll(keepingCapacity: true)
        for slot in slots where jobs.isUsed(slot) {
            jobs[slot].hasNews = false
            answerAppended(slot, at: now, into: &effects)
            for index in jobs[slot].readers.indices where !jobs[slot].readers[index].isEndSent {
                switch jobs[slot].readers[index].order {
                case .asCompleted: deliverAsCompleted(slot, index, into: &effects)
                case .inOrder: deliverInOrder(slot, index, into: &effects)
                }
                sendEnd(slot, index, into: &effects)
            }
            finishIfEnded(slot, at: now, into: &effects)
        }
        if !hungryNodes.isEmpty { assign(at: now, into: &effects) }
    }

    /// Says how far the server is with a submission; not while too much is queued, so that clients slow down
    /// instead of filling our memory.
    private mutating func answerAppended(_ slot: Int, at now: Instant, into effects: inout Effects) {
        guard jobs[slot].owesAppended else { return }
        if countedBytes + appendedBytes > configuration.queuedBytes, isTooMuchQueued {
            if withheld.isEmpty { schedule(.memory, at: now + .milliseconds(100)) }
            withheld.append(slot)
            return
        }
        jobs[slot].owesAppended = false
        guard let connection = sessions[jobs[slot].session]?.connection else { return }
        effects.send(.appended(job: jobs[slot].spec.id, tasks: jobs[slot].tasks.count), to: connection)
    }

    /// Counts what is queued; bytes leave in many places, so they are counted and not reckoned. What a durable job that has ended
    /// keeps for another round is queued for nothing.
    private var isTooMuchQueued: Bool {
        mutating get {
            appendedBytes = 0
            countedBytes = 0
            for slot in jobs.slots where !jobs[slot].isEnded { countedBytes += jobs[slot].tasks.arguments.byteCount }
            return countedBytes > configuration.queuedBytes
        }
    }

    mutating func memoryChecked(at now: Instant) {
        if isTooMuchQueued {
            schedule(.memory, at: now + .milliseconds(100))
            return
        }
        let waiting = withheld
        withheld.removeAll()
        for slot in waiting where jobs.isUsed(slot) { noteNews(slot) }
    }

    private mutating func deliverAsCompleted(_ slot: Int, _ index: Int, into effects: inout Effects) {
        // What the owner has acknowledged meanwhile is gone: a slower reader goes on behind it.
        jobs[slot].readers[index].next = max(jobs[slot].readers[index].next, jobs[slot].tasks.log.base)
        while jobs[slot].readers[index].outstanding < jobs[slot].readers[index].window,
            jobs[slot].readers[index].next < jobs[slot].tasks.log.end
        {
            let sequence = jobs[slot].readers[index].next
            let (batch, positions) = latest(slot, sequence)
            jobs[slot].readers[index].next += configuration.sabotage == .skipDelivery && sequence % 5 == 4 ? 2 : 1
            let next = min(jobs[slot].readers[index].next, jobs[slot].tasks.log.end)
            jobs[slot].readers[index].next = next
            deliver(batch, from: sequence, positions, cursor: next, slot, index, into: &effects)
        }
    }

    private mutating func deliver(
        _ batch: OutcomeBatch, from sequence: UInt64, _ positions: [Range<Int>], cursor: UInt64, _ slot: Int, _ index: Int,
        into effects: inout Effects
    ) {
        jobs[slot].readers[index].outstanding += UInt32(batch.count)
        jobs[slot].readers[index].sent.append(Reader.SentDelivery(cursor: cursor, count: UInt32(batch.count)))
        let stored =
            jobs[slot].tasks.log[sequence].isStored
            ? Effects.StoredPayloads(job: batch.job, place: .outcomes(sequence: sequence), positions: positions) : nil
        effects.send(
            .outcomes(OutcomeDelivery(cursor: cursor, batch: batch)), to: jobs[slot].readers[index].connection,
            stored: stored)
    }

    /// The batch as it was recorded, or, when some of its tasks have had a later round, without those.
    private func latest(_ slot: Int, _ sequence: UInt64) -> (OutcomeBatch, positions: [Range<Int>]) {
        let batch = jobs[slot].tasks.log[sequence].batch
        guard jobs[slot].hadRounds else { return (batch, [0..<batch.count]) }
        var positions: [Range<Int>] = []
        var kept = OutcomeBatch(job: batch.job, epoch: batch.epoch, node: batch.node)
        var position = 0
        for run in batch.tasks {
            for task in run.first..<run.end {
                if jobs[slot].tasks.isLatest(task, sequence: sequence, position: position) {
                    positions.append(position..<(position + 1))
                    kept.append(
                        task: task, attempt: batch.attempt(at: position), code: batch.code(at: position),
                        payload: batch.payloads[position], postMortem: batch.postMortem(at: position))
                }
                position += 1
            }
        }
        return (kept, positions)
    }

    private mutating func deliverInOrder(_ slot: Int, _ index: Int, into effects: inout Effects) {
        while jobs[slot].readers[index].outstanding < jobs[slot].readers[index].window {
            let first = jobs[slot].readers[index].next
            guard first < UInt64(jobs[slot].tasks.nextFresh) else { return }
            let cell = jobs[slot].tasks.cells[Int(first)]
            guard !cell.isOpen else { return }
            guard let sequence = jobs[slot].tasks.sequence(of: cell) else {
                // The client has this one already.
                jobs[slot].readers[index].next += 1
                continue
            }
            let piece = self.piece(slot, from: first, sequence: sequence)
            jobs[slot].readers[index].next = first + UInt64(piece.count)
            let from = Int(jobs[slot].tasks.cells[Int(first)].outcomePosition)
            deliver(
                piece, from: sequence, [from..<(from + piece.count)], cursor: jobs[slot].readers[index].next, slot, index,
                into: &effects)
        }
    }

    /// The outcomes of consecutive tasks, from `first` on, as far as they stand consecutively in one batch.
    private func piece(_ slot: Int, from first: UInt64, sequence: UInt64) -> OutcomeBatch {
        let batch = jobs[slot].tasks.log[sequence].batch
        var piece = OutcomeBatch(job: batch.job, epoch: batch.epoch, node: batch.node)
        var task = first
        let start = Int(jobs[slot].tasks.cells[Int(first)].outcomePosition)
        while task < UInt64(jobs[slot].tasks.nextFresh), piece.count < Limits.chunkTasks,
            piece.payloads.bytes.count < Limits.chunkBytes
        {
            let position = start + Int(task - first)
            guard position < batch.count,
                jobs[slot].tasks.isLatest(TaskIndex(task), sequence: sequence, position: position)
            else { break }
            piece.append(
                task: TaskIndex(task), attempt: batch.attempt(at: position), code: batch.code(at: position),
                payload: batch.payloads[position], postMortem: batch.postMortem(at: position))
            task += 1
        }
        return piece
    }

    private mutating func sendEnd(_ slot: Int, _ index: Int, into effects: inout Effects) {
        guard jobs[slot].isEnded, !jobs[slot].readers[index].isEndSent else { return }
        switch jobs[slot].readers[index].order {
        case .asCompleted: guard jobs[slot].readers[index].next == jobs[slot].tasks.log.end else { return }
        case .inOrder:
            // Beyond the end: a client that was further with the job than this server will ever be.
            guard jobs[slot].readers[index].next >= UInt64(jobs[slot].tasks.count) else { return }
        }
        jobs[slot].readers[index].isEndSent = true
        effects.send(.ended(jobs[slot].tasks.progress), to: jobs[slot].readers[index].connection)
    }

    /// Announces a job's end once; forgets an attached one when its owner has everything.
    private mutating func finishIfEnded(_ slot: Int, at now: Instant, into effects: inout Effects) {
        writeStanding(slot)
        guard jobs[slot].isEnded else { return }
        if !jobs[slot].isEndAnnounced {
            jobs[slot].isEndAnnounced = true
            effects.notices.append(.jobEnded(number: jobs[slot].number, jobs[slot].tasks.progress))
            users[jobs[slot].user].ranked.removeAll { $0 == slot }
            leaveOnDisk(slot)
            if jobs[slot].isDurable { scheduleForgetting(slot, endedFor: .zero, at: now) }
        }
        guard jobs[slot].spec.retention == .attached, jobs[slot].tasks.log.base == jobs[slot].tasks.log.end,
            jobs[slot].readers.contains(where: { $0.isOwner && $0.isEndSent })
        else { return }
        rememberEnd(slot)
        forgetJob(slot, into: &effects)
    }

    /// News of the end may be lost with the connection, although all outcomes arrived. Were the job opened anew when
    /// its client asks again, one that was cancelled would run what has been appended since.
    private mutating func rememberEnd(_ slot: Int) {
        guard var ends = sessions[jobs[slot].session]?.ends else { return }
        sessions[jobs[slot].session]?.ends = []
        ends.append(jobs[slot].tasks.progress)
        endedJobs.insert(jobs[slot].spec.id)
        if ends.count > Limits.endsPerSession { endedJobs.remove(ends.removeFirst().job) }
        sessions[jobs[slot].session]?.ends = ends
    }

    // MARK: Progress

    mutating func sendProgress(into effects: inout Effects) {
        for slot in 0..<jobs.end where jobs.isUsed(slot) && jobs[slot].progressChanged {
            jobs[slot].progressChanged = false
            for reader in jobs[slot].readers {
                effects.send(.progress(jobs[slot].tasks.progress), to: reader.connection)
            }
        }
    }
}
