import NIOCore
import RSerialization
import Roost
import RoostModel

/// A job of the R session, as the bridge holds it. Lives on the server's event loop.
final class BridgeJob {
    let handle: JobHandle
    /// Whether the job was submitted here; one that was attached takes no more tasks.
    let isOwn: Bool
    /// Whether the server keeps it on its disk: it goes on without this session.
    let isDurable: Bool
    /// How many handles of it R has.
    var holders = 0
    /// The job's number on its server; nil as long as it is not known.
    var number: UInt32?
    /// An item with X's names; nil when it has none, or when tasks were appended later.
    var names: [UInt8]?
    /// Whether R made it of one expression, and wants one value.
    var isSingle = false
    var nativeEncoding = "UTF-8"
    var outcomes: JobOutcomes
    /// The kind in `.Random.seed[1]` and the stream that the next appended task gets.
    var seed: (kind: Int32, next: RStreamSeed)?
    var isOpen: Bool
    /// Whether an outcome is dropped once it was given to R: an open job of small calls would fill the memory otherwise.
    var isTransient = false
    /// Its number in brief requests.
    var brief = 0
    /// Whether the tasks of a transient job bring seeds with them.
    var isSeeded = false
    /// Tasks that wait a moment for others, and the end of the moment.
    var gathered = PayloadArray()
    var gathering: Scheduled<Void>?
    /// Requests that wait for outcomes of tasks that they appended.
    var calls: [PendingCall] = []
    /// Requests that wait for an outcome behind their cursor.
    var nexts: [PendingNext] = []
    /// Appends the tasks that are still to be cut; each waits for the one before.
    var feeding: Task<Void, Never>?
    /// How many such appends there were.
    var feeds = 0
    /// No more outcomes will come.
    var isOver = false
    /// Why the job could not go on.
    var failure: BridgeFailure?
    /// The request that waits for this job, to be told of its conditions.
    var waitingRequest: UInt64?
    /// Since when it does.
    var waitingSince = Instant.zero
    /// The server is being asked whether anything can run the job.
    var isWantAsked = false
    /// R has been told that nothing can run the job.
    var isWantTold = false
    /// Conditions that nobody has waited for yet.
    var conditions: [(task: TaskIndex, item: [UInt8])] = []
    var conditionBytes = 0
    /// The request that made the job; who leaves it before its answer never learns the job's name.
    var madeBy: UInt64?
    /// The `run` that made the job, while it may be over at once.
    var run: BriefRun?

    init(_ handle: JobHandle, isOwn: Bool, isDurable: Bool, tasks: Int, names: [UInt8]?, isOpen: Bool) {
        self.handle = handle
        self.isOwn = isOwn
        self.isDurable = isDurable
        self.names = names
        self.isOpen = isOpen
        outcomes = JobOutcomes(tasks: tasks)
    }

    var id: JobID { handle.id }

    /// X's names, if each task has one: of a job whose submission broke off there are more names than tasks.
    var namesOfTasks: [UInt8]? {
        guard !isOwn, let names else { return names }
        let cutter = try? RCutter(RItem.toStream(names, nativeEncoding: nativeEncoding))
        return cutter?.count == outcomes.taskCount ? names : nil
    }
}
