/// Every number that bounds something, with its unit. What a peer can make us hold is bounded here.
public enum Limits {
    // MARK: Tasks and payloads

    /// The most tasks in one job.
    public static let tasksPerJob: UInt32 = 1_000_000_000
    /// The largest argument, common data or outcome of one task, in bytes (2 GiB).
    public static let payloadBytes = 2 << 30
    /// The longest note that a client leaves with a job for those who attach to it (64 MiB).
    public static let annotationBytes = 64 << 20
    /// The largest message: a payload and its header.
    public static let messageBytes = payloadBytes + (1 << 20)
    /// The largest piece of a message that travels in one frame; larger messages are cut, so that a heartbeat
    /// never waits for more than this.
    public static let frameBytes = 256 << 10
    /// The most bytes of unfinished messages one connection may make us hold before it has said who it is.
    public static let unauthenticatedBytes = 64 << 10
    /// The most unfinished (cut) messages of one connection at a time.
    public static let streamsPerConnection = 64
    /// What a chunk of submitted arguments aims at, in bytes and in tasks.
    public static let chunkBytes = 128 << 10
    public static let chunkTasks = 1024
    /// Submitted chunks a client sends ahead of the server's answer, in bytes.
    public static let submitWindowBytes = 8 << 20
    /// Output of running tasks that a client keeps for a job as long as nobody asked for it: its first bytes.
    public static let earlyOutputBytes = 1 << 20
    /// The most argument bytes the server holds for all jobs before it stops answering submissions (8 GiB).
    public static let queuedBytes = 8 << 30

    /// The most entries of one session's setup log, and the most bytes of all of them (8 GiB).
    public static let setupEntries: UInt32 = 100_000
    public static let setupBytes = 8 << 30
    /// The most seats that one session ever has.
    public static let seatsPerSession = 65_536

    /// How long after its start a server waits for the node that has the worker of a seat.
    public static let seatRecovery: Duration = .seconds(30)

    // MARK: Scheduling

    /// How long a slot of a runtime that keeps its workers stays with a session that has work: changing it costs a
    /// start and the session's setup.
    public static let sessionStay: Duration = .seconds(2)
    /// The greatest weight of a user's share.
    public static let userWeight: UInt32 = 1000

    /// How much work, by measured duration, a slot is given ahead of need.
    public static let prefill: Duration = .milliseconds(20)
    /// The most tasks granted ahead for one slot.
    public static let prefillTasksPerSlot = 4096
    /// Retries, crashes and node losses a policy can ask for.
    public static let attemptsPerTask: UInt32 = 200
    /// Servers of its pool with which a node remembers to have been in contact.
    public static let contactsPerNode = 1024
    /// Outcome bytes a node holds, unacknowledged, in memory and on disk, before it starts nothing new (1 GiB). A server
    /// keeps as much for a node whose jobs it does not know yet.
    public static let unacknowledgedBytes = 1 << 30
    /// Of those, the bytes that a node with a state directory keeps in memory; what comes beyond waits in files there (64 MiB).
    public static let resultsInMemory = 64 << 20
    /// A file of such outcomes is closed when it has so many bytes (64 MiB): its room is free when all in it are acknowledged.
    public static let resultFileBytes = 64 << 20
    /// The most bytes of all these files together, with what is acknowledged already (2 GiB).
    public static let resultFilesBytes = 2 * unacknowledgedBytes
    /// Room that a node's results leave to others on its disk, in bytes (1 GiB); of a small disk, a twentieth.
    public static let diskReserveBytes = 1 << 30
    /// So long after a file could not be written, or read back, a node keeps its results in memory.
    public static let storesAgainAfter: Duration = .seconds(60)
    /// Outcomes (tasks) sent to a reader ahead of its acknowledgement.
    public static let readerWindowTasks: UInt32 = 65_536
    /// Undelivered outcome bytes of one attached job before its grants pause (256 MiB).
    public static let undeliveredBytes = 256 << 20

    // MARK: Liveness

    /// Silence after which a node is suspect.
    public static let suspectAfter: Duration = .seconds(15)
    /// How long an attempt stays granted to a node that is out of contact.
    public static let lease: Duration = .seconds(300)
    /// How long an attached job waits for its client.
    public static let clientGrace: Duration = .seconds(600)
    /// So many tasks that crash on a node and succeed elsewhere make it suspect: it is drained.
    public static let crashesOfNode = 3
    /// How long after a server's start granted tasks wait for the nodes that had them.
    public static let recoveryWindow: Duration = .seconds(60)
    /// Payload bytes of durable jobs' outcomes that a server keeps in memory beside its disk.
    public static let cachedOutcomeBytes = 64 << 20
    /// Bytes of durable jobs' arguments that a server keeps in memory beside its disk (128 MiB); what comes beyond is read when it is
    /// granted.
    public static let cachedArgumentBytes = 128 << 20
    /// The least time between two heartbeats of one peer.
    public static let heartbeat: Duration = .seconds(3)
    /// The least time between two heartbeats that tell of workers: of their coming and going, and of what they do.
    public static let workersChanged: Duration = .milliseconds(50)
    public static let workersTurned: Duration = .milliseconds(500)
    /// Heartbeats a second the server is willing to read from all nodes together; intervals stretch beyond.
    public static let heartbeatsPerSecond = 200
    /// A connection attempt, a TLS handshake, a hello: each ends within this.
    public static let connectTimeout: Duration = .seconds(10)
    /// For so long a first connection is tried again where the server seems to be just starting; connected peers
    /// come back on their own, however long that takes.
    public static let firstConnectionPatience: Duration = .seconds(5)
    /// Reconnecting waits grow from the first to the second.
    public static let reconnectFirst: Duration = .milliseconds(100)
    public static let reconnectMost: Duration = .seconds(10)

    // MARK: Peers

    public static let connections = 20_000
    /// Jobs of one user that the server knows, those that have ended included, and the bytes of their common data and annotations.
    public static let jobsPerUser = 100_000
    public static let commonBytesPerUser = 8 << 30
    /// How long a durable job is kept after its end, unless the server or the job says otherwise.
    public static let keep: Duration = .seconds(30 * 86_400)
    /// Jobs forgotten while unfinished of which the server remembers how far their attempts were numbered.
    public static let forgottenJobs = 100_000
    /// Ends of attached jobs that the server remembers for each session, should they be asked for again.
    public static let endsPerSession = 1000
    public static let nameBytes = 256
    public static let labelsPerNode = 64
    /// Workers that a node tells of; those beyond serve unseen.
    public static let workersPerNode = 4096
    public static let namedResources = 64

    // MARK: Output

    /// Of each of stdout and stderr, kept with the outcome: the first and the last so many bytes.
    public static let outputHeadBytes = 1 << 20
    public static let outputTailBytes = 64 << 10
    /// Last output lines quoted in a post-mortem, in bytes.
    public static let postMortemOutputBytes = 2048
}
