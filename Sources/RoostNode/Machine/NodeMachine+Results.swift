import RoostModel

/// What has ended, until the server acknowledges it: in memory, and beyond ``resultsInMemory`` on disk.
///
///     built ─┬─▶ memory ─▶ sent ────────────────────────▶ acknowledged: forgotten
///            └─▶ disk ───▶ sent when the link takes it ─▶ acknowledged: discarded
///                 └▶ not written: memory again; not read back: its tasks are reported as reclaimed, and run again
///
/// While stored batches wait for the link, what ends after them is stored, too: nothing overtakes them for long.
extension NodeMachine {
    /// A batch that the server has not acknowledged.
    struct KeptBatch {
        /// Where it is stored, without what only the server needs: the tasks' ends and what they returned.
        var batch: OutcomeBatch
        /// What its tasks returned, in bytes.
        var bytes: Int
        var place = Place.memory

        enum Place { case memory, disk(isSent: Bool) }

        var isStored: Bool { if case .disk = place { true } else { false } }
        var isUnsent: Bool { if case .disk(isSent: false) = place { true } else { false } }
    }

    /// How long a node that leaves waits for its results to be taken, counted from the last one that was.
    static let handOverTime = Duration.seconds(10)

    mutating func sendOutcomes(at now: Instant, into actions: inout [NodeAction]) {
        for batch in building {
            let sequence = nextSequence
            nextSequence += 1
            keep(batch, sequence, at: now, into: &actions)
        }
        building.removeAll(keepingCapacity: true)
    }

    private mutating func keep(_ batch: OutcomeBatch, _ sequence: UInt64, at now: Instant, into actions: inout [NodeAction]) {
        let bytes = batch.payloads.bytes.count
        let isFull = bytesInMemory + bytes > resultsInMemory || unsentStored > 0
        if isFull, bytes > 0, resultsInMemory < .max, storesAgainAt <= now {
            unacknowledged[sequence] = KeptBatch(batch: batch.attemptsOnly, bytes: bytes, place: .disk(isSent: false))
            unacknowledgedBytes += bytes
            unsentStored += 1
            actions.append(.store(sequence: sequence, batch, sends: isConnected))
            return
        }
        if sabotage != .forgetWhenSent || !isConnected {
            unacknowledged[sequence] = KeptBatch(batch: batch, bytes: bytes)
            unacknowledgedBytes += bytes
            bytesInMemory += bytes
        }
        if isConnected { actions.append(.send(.outcomes(sequence: sequence, batch))) }
    }

    mutating func acknowledged(_ sequence: UInt64, into actions: inout [NodeAction]) {
        guard let kept = unacknowledged.removeValue(forKey: sequence) else { return }
        unacknowledgedBytes -= kept.bytes
        if kept.isStored {
            if kept.isUnsent { unsentStored -= 1 }
            actions.append(.discardStored(sequence: sequence))
        } else {
            bytesInMemory -= kept.bytes
        }
    }

    /// On a new connection: everything, in its order.
    mutating func sendAgain(into actions: inout [NodeAction]) {
        unsentStored = 0
        for sequence in unacknowledged.keys.sorted() {
            guard let kept = unacknowledged[sequence] else { continue }
            guard kept.isStored else {
                actions.append(.send(.outcomes(sequence: sequence, kept.batch)))
                continue
            }
            if sabotage == .forgetStored { continue }
            unacknowledged[sequence]?.place = .disk(isSent: false)
            unsentStored += 1
            actions.append(.sendStored(sequence: sequence))
        }
    }

    mutating func storedSent(_ sequence: UInt64, at now: Instant) {
        guard unacknowledged[sequence]?.isUnsent == true else { return }
        unacknowledged[sequence]?.place = .disk(isSent: true)
        unsentStored -= 1
        if leaveBy != nil { leaveBy = now + Self.handOverTime }
    }

    mutating func storingFailed(_ sequence: UInt64, _ batch: OutcomeBatch, at now: Instant, into actions: inout [NodeAction]) {
        storesAgainAt = now + Limits.storesAgainAfter
        takeBack(sequence, batch, bytes: batch.payloads.bytes.count, into: &actions)
    }

    /// Its tasks have ended, and nobody knows how any more: they run again, and none is charged.
    mutating func storedUnreadable(_ sequence: UInt64, at now: Instant, into actions: inout [NodeAction]) {
        guard let batch = unacknowledged[sequence]?.batch else { return }
        storesAgainAt = now + Limits.storesAgainAfter
        var lost = OutcomeBatch(job: batch.job, epoch: batch.epoch)
        lost.runNanoseconds = batch.runNanoseconds
        let evidence = PostMortem(reason: "its result was on the node's disk, and could not be read back")
        for task in batch.tasks.lazy.flatMap({ $0.first..<$0.end }) {
            lost.append(
                task: task, attempt: batch.attempt(at: lost.count), code: OutcomeCode(.cancelled, .reclaimed), payload: [],
                postMortem: evidence)
        }
        takeBack(sequence, lost, bytes: 0, into: &actions)
    }

    /// A stored batch is in memory again, as it is now, and leaves as such.
    private mutating func takeBack(_ sequence: UInt64, _ batch: OutcomeBatch, bytes: Int, into actions: inout [NodeAction]) {
        guard let kept = unacknowledged[sequence], kept.isStored else { return }
        if kept.isUnsent { unsentStored -= 1 }
        unacknowledged[sequence] = KeptBatch(batch: batch, bytes: bytes)
        unacknowledgedBytes += bytes - kept.bytes
        bytesInMemory += bytes
        if isConnected { actions.append(.send(.outcomes(sequence: sequence, batch))) }
    }

    /// The inventory's finished attempts.
    func appendFinished(to inventory: inout [InventoryRun]) {
        for sequence in unacknowledged.keys.sorted() {
            guard let batch = unacknowledged[sequence]?.batch else { continue }
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
    }
}

extension OutcomeBatch {
    /// Which attempts these are, and how long they ran.
    fileprivate var attemptsOnly: OutcomeBatch {
        var bare = OutcomeBatch(job: job, epoch: epoch)
        bare.tasks = tasks
        bare.attempts = attempts
        bare.runNanoseconds = runNanoseconds
        return bare
    }
}
