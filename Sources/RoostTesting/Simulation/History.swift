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
        /// It may go on beside a newer one: its node was silent for its lease or reported dead, or the server
        /// has forgotten the job, or everything.
        var isExcused = false
        var isReported = false
        var isGivenBack = false
        var isDropped = false
        var started: Instant?
        var isRunning = false
        var end: AttemptEnd?
    }

    /// A job as its program sees it.
    final class Job {
        let plan: JobPlan
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
        /// The server said that it has ended: it may go at any time.
        var isEndSaid = false
        /// Its client was away so long that the server may have given it up.
        var wasOwnerAway = false
        var rounds = 0
        var isCancelRequested = false
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

        func mayBeCancelled(_ task: TaskIndex) -> Bool {
            isCancelRequested || plan.spec.policy.halt != nil || cancelledTasks.contains { $0.contains(task) }
        }

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
    private var jobOf: [JobID: Int] = [:]
    private(set) var attempts: [Attempt] = []
    /// Attempts of each node that the server has not heard the end of.
    private var openOfNode: [[Int]]
    private var nodeHeard: [Instant]
    private var clientHeard: [Instant]
    private var nodeConnections: [ConnectionID?]
    /// The last life of each node that the server knows to be over.
    private var deadLife: [Int]
    /// Attempts that the node which just connected has to be told to drop.
    private var toBeDropped: Set<Int> = []
    private var sentBatches: [[UInt64: OutcomeBatch]]
    private(set) var readings: [Reading] = []
    var epoch: Epoch = 1
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

    func job(_ id: JobID) -> Job? { jobOf[id].map { jobs[$0] } }

    func show(_ attempt: Attempt) -> String {
        "job \(attempt.job) task \(attempt.task) attempt \(attempt.epoch).\(attempt.number) on node-\(attempt.node)"
    }

    /// The newest attempt of that number.
    func find(_ job: Job, _ task: TaskIndex, _ epoch: Epoch, _ number: UInt32, node: Int?) -> Int? {
        guard Int(task) < job.attempts.count else { return nil }
        for index in job.attempts[Int(task)].reversed() {
            let attempt = attempts[Int(index)]
            if attempt.number == number, attempt.epoch == epoch, node == nil || attempt.node == node { return Int(index) }
        }
        return nil
    }

    func isLatest(_ index: Int) -> Bool {
        let attempt = attempts[index]
        return jobs[attempt.job].attempts[Int(attempt.task)].last == Int32(index)
    }

    // MARK: What the server hears

    /// Anything from a node, on the connection that is the node's for the server.
    func heard(node: Int, at now: Instant) {
        let silence = now - nodeHeard[node]
        nodeHeard[node] = now
        guard silence >= .seconds(5) else { return }
        for index in openOfNode[node] where silence >= jobs[attempts[index].job].plan.spec.policy.lease {
            excuse(index)
        }
        openOfNode[node].removeAll { attempts[$0].isOver }
    }

    private func excuse(_ index: Int) {
        attempts[index].isOver = true
        attempts[index].isExcused = true
    }

    func isCurrent(_ connection: ConnectionID, ofNode node: Int) -> Bool { nodeConnections[node] == connection }

    func nodeConnected(_ node: Int, life: Int, _ connection: ConnectionID, _ inventory: [InventoryRun], at now: Instant) {
        heard(node: node, at: now)
        nodeConnections[node] = connection
        if life > deadLife[node] + 1 { nodeDied(node, life: life - 1) }
        var named: Set<AttemptID> = []
        for run in inventory {
            noteStrangers(run, node: node)
            for task in run.attempts.tasks.first..<run.attempts.tasks.end {
                named.insert(
                    AttemptID(
                        task: TaskID(job: run.attempts.job, index: task), epoch: run.attempts.epoch,
                        number: run.attempts.number))
            }
        }
        for index in openOfNode[node] where attempts[index].life == life && attempts[index].epoch == epoch {
            let attempt = attempts[index]
            let id = AttemptID(
                task: TaskID(job: jobs[attempt.job].plan.spec.id, index: attempt.task), epoch: attempt.epoch,
                number: attempt.number)
            guard !attempt.isOver, !named.contains(id) else { continue }
            attempts[index].isOver = true
            if (attempt.isRunning || attempt.end != nil) && !attempt.isDropped && !attempt.isReported {
                fail(.inventory, "\(show(attempt)) is missing in the inventory")
            }
        }
        openOfNode[node].removeAll { attempts[$0].isOver }
    }

    /// What a newer attempt has taken the place of, or another server granted.
    private func noteStrangers(_ run: InventoryRun, node: Int) {
        guard run.state != .finished, let job = job(run.attempts.job) else { return }
        for task in run.attempts.tasks.first..<run.attempts.tasks.end {
            guard let index = find(job, task, run.attempts.epoch, run.attempts.number, node: node) else { continue }
            if run.attempts.epoch != epoch || !isLatest(index) { toBeDropped.insert(index) }
        }
    }

    /// The turn is over in which a node connected; unless its connection is over, too, it has been told.
    func turnEnded(isOpen: (ConnectionID) -> Bool) {
        guard !toBeDropped.isEmpty else { return }
        let untold = toBeDropped.filter { nodeConnections[attempts[$0].node].map(isOpen) ?? false }
        toBeDropped.removeAll()
        guard let index = untold.min() else { return }
        fail(.superseded, "\(show(attempts[index])) is its node's no more, and the node is not told so")
    }

    func toldToDrop(_ node: Int, _ runs: [AttemptRun]) {
        guard !toBeDropped.isEmpty else { return }
        for run in runs {
            guard let job = job(run.job) else { continue }
            for task in run.tasks.first..<run.tasks.end {
                if let index = find(job, task, run.epoch, run.number, node: node) { toBeDropped.remove(index) }
            }
        }
    }

    /// The server knows that the agent's life is over.
    func nodeDied(_ node: Int, life: Int) {
        deadLife[node] = max(deadLife[node], life)
        for index in openOfNode[node] where attempts[index].life <= life { excuse(index) }
        openOfNode[node].removeAll { attempts[$0].isOver }
    }

    func nodeReported(_ node: Int, _ batch: OutcomeBatch) {
        guard let job = job(batch.job) else { return }
        var position = 0
        for run in batch.tasks {
            for task in run.first..<run.end {
                defer { position += 1 }
                guard let index = find(job, task, batch.epoch, batch.attempt(at: position), node: node) else { continue }
                guard isLatest(index), !attempts[index].isReported, attempts[index].instance == job.instance,
                    batch.epoch == epoch
                else {
                    lateOutcomes += 1
                    continue
                }
                let isSure = !attempts[index].isExcused
                attempts[index].isReported = true
                attempts[index].isOver = true
                outcomes += 1
                switch batch.code(at: position).end {
                case .crashed:
                    job.crashes[Int(task)].possible += 1
                    if isSure { job.crashes[Int(task)].sure += 1 }
                case .failed, .timedOut, .memoryExceeded, .couldNotStart:
                    job.failures[Int(task)].possible += 1
                    if isSure { job.failures[Int(task)].sure += 1 }
                case .succeeded, .cancelled, .reclaimed, .nodeLost, .neverRan: break
                }
            }
        }
    }

    func nodeGaveBackHeard(_ node: Int, _ runs: [AttemptRun]) {
        for run in runs {
            guard let job = job(run.job) else { continue }
            for task in run.tasks.first..<run.tasks.end {
                if let index = find(job, task, run.epoch, run.number, node: node) { attempts[index].isOver = true }
            }
        }
    }

    func heard(client: Int, at now: Instant) {
        if now - clientHeard[client] >= grace { clientWasAway(client) }
        clientHeard[client] = now
    }

    /// The server may have given the client up: its attached jobs with it.
    private func clientWasAway(_ client: Int) {
        for job in jobs where job.owner == client { job.wasOwnerAway = true }
    }

    func isAway(_ client: Int, at now: Instant) -> Bool { now - clientHeard[client] >= grace }

    func serverStarted(epoch: Epoch) {
        self.epoch = epoch
        for job in jobs {
            job.instance += 1
            job.number = nil
            job.forgetCharges()
        }
    }

    // MARK: What the server says

    func granted(_ run: GrantRun, node: Int, life: Int, at now: Instant) {
        guard let job = job(run.attempts.job) else { return fail(.notGranted, "a grant of an unknown job") }
        grants += run.arguments.count
        for offset in 0..<run.arguments.count {
            let task = run.attempts.tasks.first + UInt32(offset)
            guard Int(task) < job.attempts.count else { return fail(.argument, "a grant of a task that does not exist") }
            if Array(run.arguments[offset]) != job.plan.arguments[Int(task)] {
                fail(.argument, "job \(job.ordinal) task \(task) was granted with another argument")
            }
            if job.delivered[Int(task)] > 0 && job.rounds == 0 {
                fail(.runsAgain, "job \(job.ordinal) task \(task) is granted, and its client has its outcome")
            }
            if let last = job.attempts[Int(task)].last { checkSuccessor(run, of: Int(last), job, at: now) }
            checkLimits(job, task)
            job.attempts[Int(task)].append(Int32(attempts.count))
            openOfNode[node].append(attempts.count)
            attempts.append(
                Attempt(
                    job: job.ordinal, task: task, node: node, life: life, epoch: run.attempts.epoch,
                    instance: job.instance, number: run.attempts.number, granted: now))
        }
    }

    private func checkSuccessor(_ run: GrantRun, of last: Int, _ job: Job, at now: Instant) {
        let before = attempts[last]
        let isNewServer = before.epoch != epoch || before.instance != job.instance
        if before.epoch == run.attempts.epoch && before.number >= run.attempts.number {
            fail(.fencing, "\(show(before)) is followed by number \(run.attempts.number)")
        }
        if !before.isOver || isNewServer {
            let silence = now - nodeHeard[before.node]
            if isNewServer || deadLife[before.node] >= before.life || silence >= job.plan.spec.policy.lease {
                excuse(last)
            } else {
                fail(.twoAttempts, "\(show(before)) is not over, and the task is granted again")
            }
        }
        if before.end == .succeeded && !attempts[last].isExcused {
            fail(.runsAgain, "\(show(before)) succeeded, and the task is granted again")
        }
    }

    private func checkLimits(_ job: Job, _ task: TaskIndex) {
        let policy = job.plan.spec.policy
        if job.crashes[Int(task)].sure >= Int(max(policy.crashLimit, 1)) {
            fail(.limits, "job \(job.ordinal) task \(task) crashed \(job.crashes[Int(task)].sure) times and is granted again")
        }
        if job.failures[Int(task)].sure > Int(policy.retries) {
            fail(.limits, "job \(job.ordinal) task \(task) failed \(job.failures[Int(task)].sure) times and is granted again")
        }
    }

    /// The server says that the job is open, under this number.
    func submitted(_ id: JobID, number: UInt32) {
        guard let job = job(id) else { return }
        if let known = job.number, known != number {
            if !job.isEndSaid && !job.wasOwnerAway { fail(.forgotten, "job \(job.ordinal) was opened as \(known) and now as \(number)") }
            job.instance += 1
            job.forgetCharges()
        }
        job.number = number
        job.isEndSaid = false
        job.wasOwnerAway = false
    }

    /// The server has opened a new round of some of the job's tasks.
    func beginRound(_ job: Int) {
        jobs[job].rounds += 1
        jobs[job].forgetCharges()
    }

    func ended(_ id: JobID) { job(id)?.isEndSaid = true }

    func acknowledged(_ node: Int, _ sequences: [UInt64], clientNeeds: (Int) -> Bool, at now: Instant) {
        for sequence in sequences {
            guard let batch = sentBatches[node].removeValue(forKey: sequence), let job = job(batch.job),
                job.plan.spec.retention == .attached, batch.epoch == epoch, clientNeeds(job.owner),
                !isAway(job.owner, at: now), !job.wasOwnerAway
            else { continue }
            var position = 0
            for run in batch.tasks {
                for task in run.first..<run.end {
                    defer { position += 1 }
                    guard batch.code(at: position).kind == .succeeded, job.delivered[Int(task)] == 0,
                        let index = find(job, task, batch.epoch, batch.attempt(at: position), node: node),
                        isLatest(index), !attempts[index].isExcused, attempts[index].instance == job.instance
                    else { continue }
                    fail(.safe, "\(show(attempts[index])): its client does not have the outcome yet")
                }
            }
        }
    }

    // MARK: What nodes do

    func nodeStarted(_ node: Int) { sentBatches[node] = [:] }

    func nodeSent(_ node: Int, sequence: UInt64, _ batch: OutcomeBatch) { sentBatches[node][sequence] = batch }

    func nodeGaveBack(_ node: Int, _ runs: [AttemptRun]) {
        for run in runs {
            guard let job = job(run.job) else { continue }
            for task in run.tasks.first..<run.tasks.end {
                guard let index = find(job, task, run.epoch, run.number, node: node) else { continue }
                attempts[index].isGivenBack = true
                if attempts[index].started != nil { fail(.gaveBack, "\(show(attempts[index])) was given back by its node, and had started") }
            }
        }
    }

    func nodeWasToldToDrop(_ node: Int, _ runs: [AttemptRun]) {
        for run in runs {
            guard let job = job(run.job) else { continue }
            for task in run.tasks.first..<run.tasks.end {
                if let index = find(job, task, run.epoch, run.number, node: node) { attempts[index].isDropped = true }
            }
        }
    }

    /// A worker starts; its attempts.
    func started(_ node: Int, _ start: WorkerStartFacts, at now: Instant) -> [Int] {
        guard let job = job(start.job) else {
            fail(.notGranted, "node-\(node) starts a task of an unknown job")
            return []
        }
        var started: [Int] = []
        for task in start.tasks.first..<start.tasks.end {
            guard let index = find(job, task, start.epoch, start.number, node: node), attempts[index].started == nil else {
                fail(.notGranted, "node-\(node) starts job \(job.ordinal) task \(task) attempt \(start.epoch).\(start.number) twice, or unasked")
                continue
            }
            if attempts[index].isGivenBack { fail(.gaveBack, "\(show(attempts[index])) was given back, and starts") }
            if attempts[index].isDropped { fail(.superseded, "\(show(attempts[index])) was to be dropped, and starts") }
            for other in job.attempts[Int(task)] where attempts[Int(other)].isRunning {
                let older = min(Int(other), index)
                if !attempts[older].isExcused {
                    fail(.twoAttempts, "\(show(attempts[Int(other)])) still runs when \(show(attempts[index])) starts")
                }
            }
            attempts[index].started = now
            attempts[index].isRunning = true
            job.starts[Int(task)] += 1
            started.append(index)
        }
        return started
    }

    func ended(_ indices: [Int], _ end: AttemptEnd?) {
        for index in indices {
            attempts[index].isRunning = false
            attempts[index].end = end
        }
    }
}

/// What a worker is started with, as far as the history cares.
struct WorkerStartFacts {
    var job: JobID
    var tasks: TaskRange
    var epoch: Epoch
    var number: UInt32
}
