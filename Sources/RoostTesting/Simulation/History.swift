import RoostModel

/// What really happened, written down by the simulator as it carries messages and runs workers; every rule is
/// checked against this, not against what the scheduler believes.
final class History {
    /// One attempt, from its grant on.
    struct Attempt {
        var job: Int
        var task: TaskIndex
        var node: Int
        /// The life of the node's agent that it was granted to.
        var life: Int
        var epoch: Epoch
        var instance: Int
        var number: UInt32
        var granted: Instant
        /// The server was told that it is over.
        var isOver = false
        /// A server heard its end and died before it said so: the next one may know of it, or not.
        var mayBeOnDisk = false
        /// It may go on beside a newer one: its node was silent for its lease or reported dead, or the server
        /// has forgotten the job, or everything.
        var isExcused = false
        var isReported = false
        /// The server has said that the outcome is safe.
        var isAcknowledged = false
        /// Reported while it was current: it counts when the report is acknowledged.
        var isSurelyCharged = false
        var isGivenBack = false
        /// The server knows that nothing has come of it: given back, or not in the inventory of its node.
        var isReturned = false
        var isDropped = false
        /// When its node was told to drop it.
        var droppedAt = Instant.zero
        /// Its outcome was on its node's disk, which did not give it back: the task may run again.
        var isLost = false
        var started: Instant?
        var isRunning = false
        var end: AttemptEnd?
    }

    /// A job as its program sees it.
    final class Job {
        var plan: JobPlan
        let ordinal: Int
        let owner: Int
        /// Every attempt of each task, oldest first.
        var attempts: [[Int32]]
        var starts: [Int]
        /// How often the owner was given the task's outcome.
        var delivered: [UInt8]
        var crashes: [Charge]
        var failures: [Charge]
        /// Changes whenever a server opens the job anew.
        var instance = 0
        var number: UInt32?
        /// How many of its tasks the server has said that it has.
        var taskCount = 0
        /// The server said that it has ended: it may go at any time.
        var isEndSaid = false
        /// Its client was away so long that the server may have given it up.
        var wasOwnerAway = false
        /// It is durable, and its client may have been given up before all of its setup had come.
        var mayBeGivenUp = false
        var rounds = 0
        /// Its program does not wait for it: nobody sees what arrives.
        var isAbandoned = false
        var isCancelRequested = false
        /// The shortest time that a task took, on average over a batch, of all batches the server was sent.
        var shortestRun = Duration.seconds(1_000_000)
        var cancelledTasks: [TaskRange] = []

        init(plan: JobPlan, ordinal: Int, owner: Int) {
            self.plan = plan
            self.ordinal = ordinal
            self.owner = owner
            let count = plan.arguments.count
            attempts = Array(repeating: [], count: count)
            starts = Array(repeating: 0, count: count)
            delivered = Array(repeating: 0, count: count)
            crashes = Array(repeating: Charge(), count: count)
            failures = Array(repeating: Charge(), count: count)
        }

        var isDurable: Bool { plan.spec.retention == .durable }

        func mayBeCancelled(_ task: TaskIndex) -> Bool {
            isCancelRequested || plan.spec.policy.halt != nil || cancelledTasks.contains { $0.contains(task) }
        }

        /// Whether the server may have granted more of it than there was room for: short tasks, by measurement.
        var mayBeGrantedAhead: Bool { plan.spec.policy.halt == nil && shortestRun <= Limits.prefill }

        func forgetCharges() {
            for task in crashes.indices {
                crashes[task] = Charge()
                failures[task] = Charge()
            }
        }
    }

    /// Ends that count against a task. When a node was silent for about a lease, it cannot be known from outside
    /// whether the server still took its report.
    struct Charge {
        var sure = 0
        var possible = 0
    }

    /// One pass of a program over a job's outcomes.
    struct Reading {
        var job: Int
        var client: Int
        var order: ReadRequest.Order
        var isOwner: Bool
        var rounds: Int
        var instance: Int
        var delivered: [Bool]
        var count = 0
        var next: TaskIndex = 0
    }

    private(set) var jobs: [Job] = []
    var jobOf: [JobID: Int] = [:]
    var attempts: [Attempt] = []
    /// What each node has.
    var offers: [Resources] = []
    /// Attempts of each node that the server has not heard the end of.
    var openOfNode: [[Int]]
    var nodeHeard: [Instant]
    var clientHeard: [Instant]
    var nodeConnections: [ConnectionID?]
    /// The last life of each node that the server knows to be over.
    var deadLife: [Int]
    /// The last life of each node that takes no more work.
    var drainedLife: [Int]
    /// Attempts that the node which just connected has to be told to drop.
    var toBeDropped: Set<Int> = []
    var sentBatches: [[UInt64: OutcomeBatch]]
    private(set) var readings: [Reading] = []
    /// Where the worker of a seat is, as the outcomes that its client had say.
    var seats: [SeatID: SeatPlace] = [:]

    /// A node, in one life of its agent.
    struct SeatPlace: Hashable {
        var node: Int
        var life: Int
    }
    var epoch: Epoch = 1
    var serverStart = Instant.zero
    var recoveryWindow = Duration.zero
    /// The epoch in which each node was last met, and in which life.
    var met: [(epoch: Epoch, life: Int)]
    let grace: Duration
    /// The first rule that was broken, and how.
    private(set) var broken: (rule: Rule, detail: String)?
    var lateOutcomes = 0
    var grants = 0
    var outcomes = 0

    init(nodes: Int, clients: Int, grace: Duration) {
        openOfNode = Array(repeating: [], count: nodes)
        nodeHeard = Array(repeating: .zero, count: nodes)
        clientHeard = Array(repeating: .zero, count: clients)
        nodeConnections = Array(repeating: nil, count: nodes)
        deadLife = Array(repeating: -1, count: nodes)
        drainedLife = Array(repeating: -1, count: nodes)
        met = Array(repeating: (0, -1), count: nodes)
        sentBatches = Array(repeating: [:], count: nodes)
        self.grace = grace
    }

    func fail(_ rule: Rule, _ detail: @autoclosure () -> String) {
        if broken == nil { broken = (rule, detail()) }
    }

    func add(_ reading: Reading) -> Int {
        readings.append(reading)
        return readings.count - 1
    }

    func update(_ reading: Int, _ change: (inout Reading) -> Void) { change(&readings[reading]) }

    func addJob(_ plan: JobPlan, owner: Int) -> Int {
        jobOf[plan.spec.id] = jobs.count
        jobs.append(Job(plan: plan, ordinal: jobs.count, owner: owner))
        return jobs.count - 1
    }

    /// The job was submitted, as a part of its client's session.
    func belongs(_ job: Int, _ spec: JobSpec) { jobs[job].plan.spec = spec }

    func job(_ id: JobID) -> Job? { jobOf[id].map { jobs[$0] } }

    func show(_ attempt: Attempt) -> String {
        "job \(attempt.job) task \(attempt.task) attempt \(attempt.epoch).\(attempt.number) on node-\(attempt.node)"
    }

    /// The newest attempt of that number.
    func find(_ job: Job, _ task: TaskIndex, _ epoch: Epoch, _ number: UInt32, node: Int?) -> Int? {
        guard Int(task) < job.attempts.count else { return nil }
        for index in job.attempts[Int(task)].reversed() {
            let attempt = attempts[Int(index)]
            if attempt.number == number, attempt.epoch == epoch, node == nil || attempt.node == node {
                return Int(index)
            }
        }
        return nil
    }

    func isLatest(_ index: Int) -> Bool {
        let attempt = attempts[index]
        return jobs[attempt.job].attempts[Int(attempt.task)].last == Int32(index)
    }

    /// Whether this server may take it for the latest: of an attached job it may not have met the newer one, which was another server's.
    func isLatestHere(_ index: Int) -> Bool {
        if isLatest(index) { return true }
        let (job, task) = (jobs[attempts[index].job], Int(attempts[index].task))
        return !job.isDurable && job.attempts[task].last.map { attempts[Int($0)].epoch } != epoch
    }
}

/// What a worker is started with, as far as the history cares.
struct WorkerStartFacts {
    var job: JobID
    var tasks: TaskRange
    var epoch: Epoch
    var number: UInt32
}
