package import RoostModel

/// One fact about a durable job that must be on disk before anybody is told what follows from it.
///
/// Facts of one job are written in the order in which the scheduler stated them, and read back in that order:
/// what a job is after a restart comes of applying them again.
package enum StoreWrite: Sendable, Equatable {
    /// A durable job was opened.
    case opened(JobSpec, number: UInt32, user: String)
    /// Arguments of the tasks from `first` on, as they came.
    case appended(JobID, first: TaskIndex, PayloadArray)
    /// How the job stands as a whole, whenever that changes.
    case changed(JobID, JobStanding)
    /// Something about single tasks.
    case task(JobID, TaskFact)
    /// The job, its arguments and its outcomes may go.
    case forgotten(JobID)
    /// An entry of the setup log of a session that durable jobs may need.
    case setup(SetupEntry, user: String)
    /// Neither the session nor a job of it is left.
    case sessionForgotten(SessionID)
    /// A node is in the pool: after a restart its grants wait for it.
    case nodeJoined(NodeID, Incarnation, name: String)
    /// A node has left, or is known to be dead.
    case nodeGone(NodeID)
}

/// How a job stands as a whole.
package struct JobStanding: Hashable, Sendable {
    /// No more tasks will come.
    package var isClosed = false
    /// Nothing of it starts any more.
    package var isCancelled = false
    /// What runs is stopped, too.
    package var isStopped = false
    package var isKilled = false
    /// Every task has an outcome; from then on its time to live runs.
    package var isEnded = false

    package init() {}
}

/// One fact about tasks of a durable job.
package enum TaskFact: Sendable, Equatable {
    /// Consecutive tasks were granted to a node, all with the same attempt number.
    case granted(AttemptRun, NodeID)
    /// Outcomes were recorded: entry `sequence` of the job's outcome log. Sequences count from 0 without gaps.
    case outcomes(sequence: UInt64, OutcomeBatch)
    /// An attempt ended badly and its task is tried again: its charges as they are now, and what happened.
    case charged(TaskIndex, failures: UInt8, crashes: UInt8, losses: UInt8, PostMortem?)
    /// These tasks' outcomes do not count any more: a new round.
    case reopened([TaskRange])
    /// Somebody wants these tasks cancelled that were granted.
    case cancelRequested([TaskRange])
}

/// Everything that a store holds, as a server finds it when it starts.
package struct StoredPool: Sendable {
    /// Ascending by number.
    package var jobs: [StoredJob] = []
    /// By session and number, ascending, without gaps within a session.
    package var setups: [StoredSetup] = []
    package var nodes: [StoredNode] = []
    /// The highest number any durable job ever had here, also a forgotten one.
    package var lastJobNumber: UInt32 = 0

    package init() {}
}

package struct StoredJob: Sendable {
    package var spec: JobSpec
    /// What its tasks share is left on disk; nil: it is in the description.
    package var leftCommon: LeftCommon?
    package var number: UInt32
    package var user: String
    /// How long ago it was submitted.
    package var age: Duration
    /// How long ago it ended; nil: it has not.
    package var endedAge: Duration?
    package var standing = JobStanding()
    /// Arguments, ascending without gaps from task 0.
    package var chunks: [StoredArguments] = []
    /// In the order in which they were written. Payloads of outcomes are left empty here (their count is right): they are
    /// read when a client wants them, ``PoolStore/payloads(of:at:)``.
    package var facts: [TaskFact] = []
    /// Why the job cannot be served: what was read of it is not what was written. nil: all is well.
    package var damage: RoostError?

    package init(spec: JobSpec, number: UInt32, user: String, age: Duration) {
        self.spec = spec
        self.number = number
        self.user = user
        self.age = age
    }
}

/// Arguments that came together.
package struct StoredArguments: Sendable {
    /// Empty, and as many as there are, when they are left on disk.
    package var payloads: PayloadArray
    package var isOnDisk: Bool
    /// Theirs, wherever they are.
    package var byteCount: Int

    package init(_ payloads: PayloadArray, leavingOnDisk isOnDisk: Bool = false) {
        byteCount = payloads.bytes.count
        self.isOnDisk = isOnDisk
        self.payloads = isOnDisk ? PayloadArray(empty: payloads.count) : payloads
    }
}

/// Which payloads of a durable job.
package enum StoredPlace: Hashable, Sendable {
    /// What its tasks share: one payload.
    case common
    /// What the tasks of one entry of its outcome log returned.
    case outcomes(sequence: UInt64)
    /// The arguments that came together; the first chunk is 0.
    case arguments(chunk: Int)
}

package struct StoredSetup: Sendable {
    package var user: String
    package var entry: SetupEntry
    package init(user: String, entry: SetupEntry) { self.user = user; self.entry = entry }
}

package struct StoredNode: Sendable {
    package var id: NodeID
    package var incarnation: Incarnation
    package var name: String
    package init(id: NodeID, incarnation: Incarnation, name: String) {
        self.id = id
        self.incarnation = incarnation
        self.name = name
    }
}

/// Where a server keeps what must outlive it.
package protocol PoolStore: AnyObject, Sendable {
    /// Writes one group, whole or not at all, and syncs it. Groups are committed in the order of the calls.
    ///
    /// After a failure nothing more is accepted: every later call fails with the same error.
    /// - Parameter done: Called once, on any thread: nil when the group is on disk.
    func commit(_ writes: [StoreWrite], done: @escaping @Sendable (RoostError?) -> Void)

    /// Payloads of a job, all that are in one place, as they were written.
    /// - Throws: `.notFound` when there is no such job; `.io` when they cannot be read; `.damaged` when they are not what was written.
    func payloads(of job: JobID, at place: StoredPlace) throws(RoostError) -> PayloadArray
}
