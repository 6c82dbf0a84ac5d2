package import DequeModule
package import RoostModel

/// A node as the scheduler knows it.
package struct NodeRecord {
    package var hello: NodeHello
    package var peer: String
    /// Numbers this membership for ever; slots are used again, lives are not.
    package var life: UInt64
    /// nil while the node is out of contact.
    package var connection: ConnectionID?
    package var joined: Instant
    package var lastHeard: Instant
    package var suspectSince: Instant?
    /// Whether a deadline looks after its silence; one is enough.
    package var isWatched = false
    package var isDraining = false
    /// Why the server drains it; empty when somebody else does.
    package var drainReason = ""
    /// What no lane uses.
    package var free: Resources
    package var shares: [Share] = []
    package var status = NodeStatus()
    /// When the node said so.
    package var statusAt = Instant.zero
    package var finished: UInt64 = 0
    /// Batches in a log that were not acknowledged to the node yet.
    package var heldSequences: Set<UInt64> = []
    /// Acknowledgements to send with the next settlement.
    package var owedAcknowledgements: [UInt64] = []
    /// Those that have to wait for the store.
    package var owedAfterWrites: [UInt64] = []
    /// Not met yet in this epoch: the store says that it had tasks when the server ended. Until when they wait for it.
    package var awaitedUntil: Instant?
    /// What it brought of attached jobs that this server has not met: attempts, and outcomes that are not acknowledged.
    package var claims: [JobID: Claim] = [:]
    /// Payload bytes of those outcomes: a node keeps no more than this itself.
    package var claimedBytes = 0
    /// Jobs whose specification the node has been sent.
    package var jobsKnown: Set<Int> = []
    /// How much of sessions' setup logs the node has, or has been sent.
    package var setups: [SessionID: UInt32] = [:]
    /// Seats it said it has, or had, when it connected: of sessions that this server may not have met.
    package var seats: [SessionID: [UInt32: Epoch]] = [:]
    /// How many tasks crashed here and succeeded elsewhere.
    package var crashedHere = 0
    /// Sessions its workers were last started for.
    package var stays: [Stay] = []
    /// Whether it may take more work than when it was last looked at.
    package var isHungry = false

    /// What a node has of one job.
    ///
    /// A *lane* is the room in which one task at a time runs; it holds the job's request of the node's resources.
    /// Up to `depth` tasks are granted for each lane.
    package struct Share {
        package var job: Int
        package var granted: Int
        package var lanes: Int
        /// Whether a retract is on its way.
        package var isRetracting = false
        /// It came with the node from an earlier epoch: the node may have more granted than its lanes say.
        package var isInherited = false
    }

    /// What a node has of a job of an earlier epoch whose client has not brought it yet.
    package struct Claim {
        package var runs: [InventoryRun] = []
        package var batches: [(sequence: UInt64, batch: OutcomeBatch)] = []
    }

    /// Lanes that serve one session and, until then, go on doing so while it has work.
    package struct Stay {
        package var session: SessionID
        package var lanes: Int
        package var until: Instant
    }

    package init(hello: NodeHello, peer: String, life: UInt64, connection: ConnectionID, now: Instant) {
        self.hello = hello
        self.peer = peer
        self.life = life
        self.connection = connection
        joined = now
        lastHeard = now
        free = hello.offer
    }

    package var isAvailable: Bool { connection != nil && suspectSince == nil && !isDraining }

    package func knowsJob(_ job: Int) -> Bool { jobsKnown.contains(job) }

    package func share(of job: Int) -> Int? { shares.firstIndex { $0.job == job } }

    package var granted: Int { shares.reduce(0) { $0 + $1.granted } }

    /// Whether the node, were it empty, could run a task of this job; the reason when not.
    package func obstacle(for spec: JobSpec) -> String? {
        if !hello.runtimes.contains(spec.runtime) { return "has no runtime '\(spec.runtime.rawValue)'" }
        for label in spec.labels where !hello.labels.contains(label) {
            return "lacks label \(label.key)=\(label.value)"
        }
        return hello.offer.shortage(for: spec.request)
    }

    package func snapshot(at now: Instant) -> NodeSnapshot {
        var status = status
        for worker in status.workers.indices { status.workers[worker].seconds += (now - statusAt).inSeconds }
        return NodeSnapshot(
            id: hello.node, name: hello.name,
            state: suspectSince != nil || connection == nil ? .suspect : isDraining ? .draining : .connected,
            processID: hello.processID, peer: peer, platform: hello.platform, version: hello.version,
            offer: hello.offer, labels: hello.labels, granted: UInt32(granted), status: status, finished: finished,
            connectedSeconds: (now - joined).inSeconds, silentSeconds: (now - lastHeard).inSeconds)
    }
}

/// One client's use of the pool.
package struct SessionRecord {
    package var id: SessionID
    package var user: Int
    package var role: Role
    package var description: String
    /// nil while its client is away.
    package var connection: ConnectionID?
    package var jobs: Set<JobID> = []
    /// Ends of attached jobs that were said and may not have arrived, the oldest first.
    package var ends: Deque<JobProgress> = []
    package var lastHeard = Instant.zero
    /// Counts the departures of its client, so that an old grace deadline does not end a session that came back.
    package var departures = 0
}

/// Whom jobs belong to and shares are reckoned for.
package struct UserRecord {
    package var name: String
    package var weight: Double = 1
    /// All jobs the pool knows of, ended ones included, and the bytes of what they hold besides tasks.
    package private(set) var jobs = 0
    package private(set) var commonBytes = 0
    /// Jobs that are not over, in order of rank: higher priority first, then older.
    package var ranked: [Int] = []
    /// CPUs (in thousandths) that lanes of this user's jobs hold.
    package var milliCPUs: Int64 = 0
    /// Breaks ties: who was served longest ago goes first.
    package var lastServed: UInt64 = 0

    package init(name: String) { self.name = name }

    mutating func count(_ job: JobRecord) {
        jobs += 1
        commonBytes += job.heldBytes
    }

    mutating func discount(_ job: JobRecord) {
        jobs -= 1
        commonBytes -= job.heldBytes
    }
}
