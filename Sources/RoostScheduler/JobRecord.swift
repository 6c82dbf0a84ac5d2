package import RoostModel

/// What a job's tasks share, when it is left on disk: enough to know it again.
package struct LeftCommon: Hashable, Sendable {
    package var byteCount: Int
    package var digest: UInt64
}

extension JobSpec {
    /// Bytes that the server keeps for the job, whatever tasks it has.
    var heldBytes: Int { common.count + annotation.count }

    /// Takes what the tasks share out of the description; nil when there is nothing.
    package mutating func takeCommon() -> LeftCommon? {
        guard !common.isEmpty else { return nil }
        defer { common = [] }
        return LeftCommon(byteCount: common.count, digest: Digest.of(common[...]))
    }
}

/// A job as the scheduler knows it.
package struct JobRecord {
    package var spec: JobSpec
    /// What its tasks share is on disk only; nil: it is in the description.
    package var leftCommon: LeftCommon?
    /// The server's disk keeps it.
    package let isDurable: Bool
    /// For people; counted from 1 in the pool's life, as far as its disk remembers.
    package var number: UInt32
    package var user: Int
    package var session: SessionID
    package var submitted: Instant
    package var tasks: TaskTable
    package var readers: [Reader] = []
    /// Clients that want to see output while tasks run.
    package var watchers: [Watcher] = []
    /// Nothing of it starts any more.
    package var isCancelled = false
    /// What runs is stopped, too.
    package var isStopped = false
    /// Attempts end by KILL, not by INT and TERM: the job was cancelled with force.
    package var isKilled = false
    /// Lanes of this job on all nodes: how many of its tasks can run at once where they were granted.
    package var lanes = 0
    /// Mean run time of a task in nanoseconds, as measured; nil before the first has ended.
    package var meanNanoseconds: Double?
    /// The node kept free for this job, because others ranked behind it would always be quicker.
    package var reservation: Int?
    /// The client waits to hear that its latest chunk arrived.
    package var owesAppended = false
    /// Something was recorded since the readers were last served.
    package var hasNews = false
    /// Progress changed since readers were last told.
    package var progressChanged = false
    package var isEndAnnounced = false
    /// An owner who reads in order has all outcomes of tasks before this one.
    package var released: UInt64 = 0
    /// Some task has had more than one round: batches in the log may hold outcomes that are not the latest.
    package var hadRounds = false
    /// Evidence of abnormal ends by task, for `job show`; the first of them.
    package var evidence: [TaskIndex: [PostMortem]] = [:]
    /// As the store knows it.
    package var writtenStanding = JobStanding()
    /// Why it cannot be served: its record on disk is not what was written there.
    package var damage: RoostError?
    /// When a durable job that has ended is forgotten.
    package var keptUntil: Instant?
    /// Its tasks wait until the nodes that may still run them are back.
    package var awaitsNodes = false
    /// Where tasks crashed that have no outcome: lives of nodes.
    var crashes: [TaskIndex: Set<UInt64>] = [:]
    /// Why all its tasks fail, also those that are still to come: they were meant for a worker that is gone.
    var seatLoss: PostMortem?
    /// Tasks somebody asked to cancel while they were granted.
    package var cancelRequested: Set<TaskIndex> = []

    package init(
        spec: JobSpec, number: UInt32, user: Int, session: SessionID, submitted: Instant, epoch: Epoch,
        numbersBefore: UInt32 = 0
    ) {
        self.spec = spec
        isDurable = spec.retention == .durable
        self.number = number
        self.user = user
        self.session = session
        self.submitted = submitted
        tasks = TaskTable(job: spec.id, epoch: epoch, numbersBefore: numbersBefore)
    }

    /// Bytes that the pool keeps for it, whatever tasks it has, in memory or on disk.
    package var heldBytes: Int { spec.heldBytes + (leftCommon?.byteCount ?? 0) }

    /// Whether this is the submission that it came of.
    func isSubmission(_ other: JobSpec) -> Bool {
        var other = other
        let left = leftCommon == nil ? nil : other.takeCommon()
        return spec == other && leftCommon == left
    }

    /// How it stands as a whole.
    package var standing: JobStanding {
        var standing = JobStanding()
        standing.isClosed = tasks.progress.isClosed
        standing.isCancelled = isCancelled
        standing.isStopped = isStopped
        standing.isKilled = isKilled
        standing.isEnded = isEnded
        return standing
    }

    /// A damaged job never ends: of its tasks nothing is known.
    package var isEnded: Bool { tasks.progress.isEnded && damage == nil }

    /// How many tasks may be granted now, as far as the job itself is concerned.
    ///
    /// When its client leaves too many outcome bytes here, only tasks that were granted before go on: a reader in
    /// order may wait for one of them while later outcomes fill the room.
    package func grantable(undeliveredBytes: Int) -> Int {
        guard !isCancelled, !awaitsNodes, damage == nil else { return 0 }
        let isPaused = tasks.log.byteCount > undeliveredBytes && spec.retention == .attached
        let ready = isPaused ? tasks.returnedCount : tasks.readyCount
        guard let most = spec.policy.maxParallel else { return ready }
        return min(ready, max(0, Int(most) - Int(tasks.progress.granted)))
    }

    /// How many tasks one slot is given at a time: one when they are long or nobody knows yet, more the shorter
    /// they are, fewer when few are left, so that the end of the job stays balanced.
    package func depth(poolSlots: Int) -> Int {
        // A job that may halt at any outcome has nothing waiting at a node that could slip through.
        guard spec.policy.halt == nil, let meanNanoseconds else { return 1 }
        let byTime = 1 + Int(Double(Limits.prefill.wholeNanoseconds) / max(meanNanoseconds, 1))
        let byRemainder = 1 + tasks.readyCount / (2 * max(poolSlots, 1))
        return max(1, min(byTime, byRemainder, Limits.prefillTasksPerSlot))
    }

    /// Takes a measurement of `count` tasks into the mean; a longer one counts at once, since waiting behind a
    /// task that is longer than expected costs more than a round trip.
    package mutating func measure(nanoseconds: UInt64, count: Int) {
        let sample = Double(nanoseconds) / Double(count)
        guard let mean = meanNanoseconds else {
            meanNanoseconds = sample
            return
        }
        let weight = sample > mean ? 0.5 : min(0.2 * Double(count), 0.5)
        meanNanoseconds = mean + weight * (sample - mean)
    }

    /// Keeps evidence of an abnormal end, as far as there is room.
    package mutating func keepEvidence(_ postMortem: PostMortem, task: TaskIndex) {
        guard evidence[task] != nil || evidence.count < 1000 else { return }
        if evidence[task, default: []].count < 20 { evidence[task, default: []].append(postMortem) }
    }
}

/// One client watching a job's output.
package struct Watcher: Hashable {
    package var connection: ConnectionID
    /// nil: all of the job's tasks.
    package var task: TaskIndex?
}

/// One client reading a job's outcomes.
package struct Reader {
    package var connection: ConnectionID
    package var order: ReadRequest.Order
    /// What to send next: a batch's sequence, or a task.
    package var next: UInt64
    /// Everything before has been acknowledged.
    package var acknowledged: UInt64
    package var window: UInt32
    /// Tasks sent and not acknowledged.
    package var outstanding: UInt32 = 0
    /// Whether this reader's acknowledgement lets outcomes go: it belongs to the session that owns the job.
    package var isOwner: Bool
    /// The reading is over: later rounds are for later readings.
    package var isEndSent = false
    /// What was sent and not yet acknowledged: cursors after each delivery and its tasks.
    package var sent: [SentDelivery] = []

    /// One delivery on its way.
    package struct SentDelivery {
        package var cursor: UInt64
        package var count: UInt32
    }
}
