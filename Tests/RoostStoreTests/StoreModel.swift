import RoostModel
import RoostScheduler
import RoostStore

/// What a store should hold: the writes applied to plain values.
struct StoreModel {
    struct Job {
        var spec: JobSpec
        var number: UInt32
        var user: String
        var standing = JobStanding()
        var chunks: [PayloadArray] = []
        var facts: [TaskFact] = []
        /// By sequence.
        var outcomes: [PayloadArray] = []
        var tasks: UInt32 { chunks.reduce(0) { $0 + UInt32($1.count) } }
    }

    var jobs: [JobID: Job] = [:]
    var setups: [SessionID: [StoredSetup]] = [:]
    var nodes: [NodeID: StoredNode] = [:]
    var lastNumber: UInt32 = 0

    mutating func apply(_ writes: [StoreWrite]) { for write in writes { apply(write) } }

    private mutating func apply(_ write: StoreWrite) {
        switch write {
        case .opened(let spec, let number, let user):
            jobs[spec.id] = Job(spec: spec, number: number, user: user)
            lastNumber = max(lastNumber, number)
        case .appended(let job, _, let arguments): jobs[job]?.chunks.append(arguments)
        case .changed(let job, let standing): jobs[job]?.standing = standing
        case .task(let job, .outcomes(let sequence, var batch)):
            jobs[job]?.outcomes.append(batch.payloads)
            batch.payloads = PayloadArray(bytes: [], ends: batch.payloads.ends.map { _ in 0 })
            jobs[job]?.facts.append(.outcomes(sequence: sequence, batch))
        case .task(let job, let fact): jobs[job]?.facts.append(fact)
        case .forgotten(let job): jobs[job] = nil
        case .setup(let entry, let user): setups[entry.session, default: []].append(StoredSetup(user: user, entry: entry))
        case .sessionForgotten(let session): setups[session] = nil
        case .nodeJoined(let id, let incarnation, let name):
            nodes[id] = StoredNode(id: id, incarnation: incarnation, name: name)
        case .nodeGone(let id): nodes[id] = nil
        }
    }

    /// What differs from what a store gave at its start and gives as outcomes' payloads; nil: nothing.
    func difference(from pool: StoredPool, _ store: PoolDatabase) -> String? {
        if let damage = store.damage.first { return "\(damage)" }
        if pool.lastJobNumber != lastNumber { return "last number \(pool.lastJobNumber), not \(lastNumber)" }
        let expected = jobs.values.sorted { $0.number < $1.number }.map(\.spec.id)
        if pool.jobs.map(\.spec.id) != expected { return "jobs \(pool.jobs.map(\.number)), not \(expected)" }
        return pool.jobs.lazy.compactMap { difference(of: $0, store) }.first ?? differenceOfSetups(pool) ?? differenceOfNodes(pool)
    }

    /// What differs in a job that is not damaged.
    func difference(of job: StoredJob, _ store: PoolDatabase, mayBeDamaged: Bool = false) -> String? {
        guard let model = jobs[job.spec.id] else { return "job \(job.number) is not known" }
        var spec = model.spec
        let leftCommon = model.standing.isEnded ? spec.takeCommon() : nil
        guard job.spec == spec, job.leftCommon == leftCommon, job.number == model.number, job.user == model.user else {
            return "job \(job.number)'s description"
        }
        guard job.standing == model.standing, (job.endedAge != nil) == model.standing.isEnded else {
            return "job \(job.number)'s standing"
        }
        guard job.age >= .zero, job.age < .seconds(600) else { return "job \(job.number)'s age" }
        guard job.chunks.map(\.payloads.count) == model.chunks.map(\.count),
            job.chunks.map(\.byteCount) == model.chunks.map(\.bytes.count),
            zip(job.chunks, model.chunks).allSatisfy({ $0.isOnDisk || $0.payloads == $1 })
        else { return "job \(job.number)'s arguments" }
        guard job.facts == model.facts else { return "job \(job.number)'s facts" }
        var onDisk: [(StoredPlace, PayloadArray)] = model.outcomes.enumerated().map { (.outcomes(sequence: UInt64($0)), $1) }
        onDisk.append((.common, PayloadArray([model.spec.common])))
        onDisk += model.chunks.enumerated().map { (.arguments(chunk: $0), $1) }
        for (place, payloads) in onDisk {
            do throws(RoostError) {
                if try store.payloads(of: job.spec.id, at: place) != payloads { return "job \(job.number)'s \(place)" }
            } catch {
                if mayBeDamaged && error.code == .damaged && error.message.contains("job \(job.number)") { continue }
                return "\(error)"
            }
        }
        return nil
    }

    private func differenceOfSetups(_ pool: StoredPool) -> String? {
        let expected = setups.keys.sorted { Int64(bitPattern: $0.rawValue) < Int64(bitPattern: $1.rawValue) }
            .flatMap { setups[$0] ?? [] }
        guard pool.setups.map(\.entry) == expected.map(\.entry), pool.setups.map(\.user) == expected.map(\.user) else {
            return "setup"
        }
        return nil
    }

    private func differenceOfNodes(_ pool: StoredPool) -> String? {
        guard pool.nodes.count == nodes.count else { return "nodes" }
        let isSame = pool.nodes.allSatisfy { node in
            nodes[node.id].map { $0.incarnation == node.incarnation && $0.name == node.name } ?? false
        }
        return isSame ? nil : "a node"
    }
}

/// Random writes that make sense one after the other.
struct WriteMaker {
    var dice: Dice
    var model = StoreModel()
    private var nextID: UInt64 = 1

    init(seed: UInt64) { dice = Dice(seed: seed) }

    mutating func group() -> [StoreWrite] {
        var group: [StoreWrite] = []
        for _ in 0..<Int.random(in: 1...8, using: &dice) {
            let write = write()
            model.apply([write])
            group.append(write)
        }
        return group
    }

    private mutating func write() -> StoreWrite {
        guard let job = model.jobs.values.sorted(by: { $0.number < $1.number }).randomElement(using: &dice), !oneIn(8) else {
            return open()
        }
        let id = job.spec.id
        switch Int.random(in: 0..<20, using: &dice) {
        case 0..<4: return .appended(id, first: job.tasks, payloads())
        case 4..<7: return .task(id, .granted(run(id), NodeID(rawValue: dice.next())))
        case 7..<12: return .task(id, .outcomes(sequence: UInt64(job.outcomes.count), outcomes(id)))
        case 12: return .task(id, charge())
        case 13: return .task(id, .reopened([range(), range()]))
        case 14: return .task(id, .cancelRequested([range()]))
        case 15: return .changed(id, standing())
        case 16: return oneIn(2) ? .forgotten(id) : .changed(id, standing())
        case 17: return setup()
        case 18:
            guard let session = model.setups.keys.min(by: { $0.rawValue < $1.rawValue }), oneIn(3) else { return setup() }
            return .sessionForgotten(session)
        default:
            guard let node = model.nodes.keys.min(), oneIn(3) else {
                return .nodeJoined(NodeID(rawValue: dice.next() | 1 << 63), Incarnation(rawValue: dice.next()), name: "nöde")
            }
            return oneIn(2) ? .nodeGone(node) : .nodeJoined(node, Incarnation(rawValue: dice.next()), name: "again")
        }
    }

    private mutating func open() -> StoreWrite {
        nextID += 1
        var spec = JobSpec(
            id: JobID(rawValue: dice.next()), name: "job \(nextID)", runtime: .r, common: bytes(),
            labels: [Label(key: "zone", value: "a")], retention: .durable)
        spec.policy.timeout = .seconds(5)
        spec.policy.priority = -3
        return .opened(spec, number: model.lastNumber + UInt32.random(in: 1...3, using: &dice), user: "ann")
    }

    private mutating func setup() -> StoreWrite {
        let session = SessionID(rawValue: UInt64.random(in: 1...3, using: &dice) << 62)
        let number = UInt32(model.setups[session]?.count ?? 0) + 1
        return .setup(SetupEntry(session: session, number: number, payload: bytes()), user: "bob")
    }

    /// Sometimes above the limit for rows, sometimes the same as before.
    private mutating func bytes() -> [UInt8] {
        let count = oneIn(4) ? 2000 + Int.random(in: 0...3, using: &dice) : Int.random(in: 0...50, using: &dice)
        return [UInt8](repeating: UInt8.random(in: 0...3, using: &dice), count: count)
    }

    private mutating func payloads() -> PayloadArray {
        PayloadArray((0..<Int.random(in: 0...20, using: &dice)).map { _ in bytes() })
    }

    private mutating func outcomes(_ job: JobID) -> OutcomeBatch {
        var batch = OutcomeBatch(job: job, epoch: UInt32.random(in: 1...5, using: &dice), node: "n")
        for task in 0..<UInt32.random(in: 1...20, using: &dice) {
            let isBad = oneIn(5)
            batch.append(
                task: task * 2, attempt: oneIn(2) ? 1 : 3, code: isBad ? OutcomeCode(.held, .crashed) : .succeeded,
                payload: bytes()[...],
                postMortem: isBad ? PostMortem(reason: "signal 9", node: "n", attempt: 3, signal: 9, lastOutput: "end") : nil)
        }
        batch.runNanoseconds = dice.next() >> 20
        return batch
    }

    private mutating func charge() -> TaskFact {
        .charged(
            UInt32.random(in: 0...9, using: &dice), failures: UInt8.random(in: 0...200, using: &dice), crashes: 2,
            losses: 0, oneIn(2) ? nil : PostMortem(reason: "x", exitStatus: -1, peakMemoryBytes: 0, outOfMemoryKilled: false))
    }

    private mutating func run(_ job: JobID) -> AttemptRun {
        AttemptRun(job: job, epoch: 3, number: UInt32.random(in: 1...9, using: &dice), tasks: range())
    }

    private mutating func range() -> TaskRange {
        TaskRange(first: UInt32.random(in: 0...1000, using: &dice), count: UInt32.random(in: 1...50, using: &dice))
    }

    private mutating func standing() -> JobStanding {
        var standing = JobStanding()
        standing.isClosed = oneIn(2)
        standing.isCancelled = oneIn(3)
        standing.isStopped = oneIn(3)
        standing.isKilled = oneIn(4)
        standing.isEnded = oneIn(2)
        return standing
    }

    private mutating func oneIn(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &dice) == 0 }
}
