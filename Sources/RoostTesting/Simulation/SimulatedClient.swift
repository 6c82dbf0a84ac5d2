import DequeModule
import Roost
import RoostModel

/// A client: its machine, and a program that follows its plans.
final class SimulatedClient {
    /// One job and how far the program is with it.
    final class Work {
        var plan: JobPlan
        let job: Int
        var nextChunk = 0
        var appended = 0
        /// Bytes of arguments appended, how many may be, and whether the program waits for that.
        var appendedBytes: UInt64 = 0
        var roomUpTo: UInt64 = 0
        var waitsForRoom = false
        var isSubmitted = false
        /// The reading under way, in the history; nil between two.
        var reading: Int?
        var readings = 0
        var unused = 0
        var isUsing = false
        var hasEnded = false
        var stage = 0
        var isAwaitingRetry = false
        /// It is another client's job, read from here.
        var isVisit = false
        var isDone = false

        init(plan: JobPlan, job: Int) {
            self.plan = plan
            self.job = job
        }
    }

    let ordinal: Int
    let principal: Principal
    let session: SessionID
    var machine: ClientMachine?
    /// The room that its program has for each job's arguments at first.
    var submitWindow = Limits.submitWindowBytes
    /// Entries of its session's setup so far.
    var setup: UInt32 = 0
    var connection: SimulatedConnection?
    var isDialling = false
    var isWelcome = false
    var backoff = Limits.reconnectFirst
    var cutUntil = Instant.zero
    var inbox: [ClientEvent] = []
    var isTurnDue = false
    var timerAt: Instant?
    var timerToken = 0
    var works: [Work] = []
    var workOfJob: [JobID: Int] = [:]
    var queries: [UInt64: Int] = [:]
    var nextQuery: UInt64 = 1
    var hasLeft = false
    var isAlive: Bool { machine != nil }
    var isDone: Bool { works.allSatisfy(\.isDone) }

    init(ordinal: Int, principal: Principal, session: SessionID) {
        self.ordinal = ordinal
        self.principal = principal
        self.session = session
    }
}
