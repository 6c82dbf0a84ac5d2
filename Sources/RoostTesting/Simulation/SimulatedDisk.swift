import RoostModel
import RoostScheduler

/// A store in memory, which loses what was not committed when its server dies.
///
/// What it finds again it makes of the writes by rules of its own: a second opinion on what ``StoreWrite`` means.
struct SimulatedDisk {
    /// A group on its way to the disk.
    struct Group {
        var writes: [StoreWrite] = []
        var letters = Effects.Letters()
        var lastWrite: UInt64 = 0
    }

    private(set) var committed: [(write: StoreWrite, at: Instant)] = []
    private var payloads: [JobID: [StoredPlace: PayloadArray]] = [:]
    /// Collected while a commit is under way.
    var waiting = Group()
    var inFlight: Group?
    var writeCount: UInt64 = 0

    mutating func commit(_ group: Group, at now: Instant) {
        for write in group.writes {
            committed.append((write, now))
            switch write {
            case .opened(let spec, _, _): payloads[spec.id, default: [:]][.common] = PayloadArray([spec.common])
            case .task(let job, .outcomes(let sequence, let batch)):
                payloads[job, default: [:]][.outcomes(sequence: sequence)] = batch.payloads
            case .appended(let job, _, let arguments):
                let chunk = payloads[job, default: [:]].keys.count { if case .arguments = $0 { true } else { false } }
                payloads[job, default: [:]][.arguments(chunk: chunk)] = arguments
            default: break
            }
        }
    }

    /// The server dies: what was not committed is lost, except that the disk may have all of a group nobody was told of.
    mutating func crash(keepsInFlight: Bool, at now: Instant) {
        if keepsInFlight, let inFlight { commit(inFlight, at: now) }
        inFlight = nil
        waiting = Group()
        writeCount = 0
        compact()
    }

    /// What was forgotten needs no room.
    private mutating func compact() {
        var gone: Set<JobID> = []
        for case .forgotten(let job) in committed.map(\.write) {
            gone.insert(job)
            payloads[job] = nil
        }
        committed.removeAll { item in
            switch item.write {
            case .opened(let spec, _, _): gone.contains(spec.id)
            case .appended(let job, _, _), .changed(let job, _), .task(let job, _), .forgotten(let job): gone.contains(job)
            case .setup, .sessionForgotten, .nodeJoined, .nodeGone: false
            }
        }
    }

    /// The latest attempt of the task of which it is written that a node was granted it, or will be.
    func latestGrant(of job: JobID, _ task: TaskIndex) -> AttemptRun? {
        let writes = committed.map(\.write) + (inFlight?.writes ?? []) + waiting.writes
        for case .task(job, .granted(let run, _)) in writes.reversed() where run.tasks.contains(task) { return run }
        return nil
    }

    /// The message with what was left on disk; nil when it is not there.
    func completed(_ letter: Effects.Letter<ServerToNode>) -> ServerToNode? {
        guard let stored = letter.stored else { return letter.message }
        guard let found = payloads(stored) else { return nil }
        switch letter.message {
        case .job(var spec):
            spec.common = Array(found[0])
            return .job(spec)
        case .grant(var run) where found.count == run.arguments.count:
            run.arguments = PayloadSlice(found)
            return .grant(run)
        default: return nil
        }
    }

    func payloads(_ stored: Effects.StoredPayloads) -> PayloadArray? {
        guard let all = payloads[stored.job]?[stored.place] else { return nil }
        var some = PayloadArray()
        for positions in stored.positions {
            guard positions.upperBound <= all.count else { return nil }
            some.append(all.slice(positions))
        }
        return some
    }

    /// What a server finds when it starts.
    /// - Parameter argumentBytes: Arguments beyond are left on disk.
    func load(argumentBytes: Int, at now: Instant) -> StoredPool {
        var room = argumentBytes
        var pool = StoredPool()
        for (write, at) in committed {
            switch write {
            case .opened(let spec, let number, let user):
                pool.jobs.append(StoredJob(spec: spec, number: number, user: user, age: now - at))
                pool.lastJobNumber = max(pool.lastJobNumber, number)
            case .appended(let id, let first, let payloads):
                change(&pool, id) { job in
                    precondition(job.chunks.reduce(0) { $0 + $1.payloads.count } == Int(first), "chunks come in order")
                    let isOnDisk = payloads.bytes.count > room
                    if !isOnDisk { room -= payloads.bytes.count }
                    job.chunks.append(StoredArguments(payloads, leavingOnDisk: isOnDisk))
                }
            case .changed(let id, let standing):
                change(&pool, id) { job in
                    job.standing = standing
                    job.endedAge = standing.isEnded ? now - at : nil
                }
            case .task(let id, .outcomes(let sequence, var batch)):
                batch.payloads = PayloadArray(empty: batch.count)
                change(&pool, id) { $0.facts.append(.outcomes(sequence: sequence, batch)) }
            case .task(let id, let fact):
                change(&pool, id) { $0.facts.append(fact) }
            case .forgotten(let id):
                pool.jobs.removeAll { $0.spec.id == id }
            case .setup(let entry, let user):
                pool.setups.append(StoredSetup(user: user, entry: entry))
            case .sessionForgotten(let session):
                pool.setups.removeAll { $0.entry.session == session }
            case .nodeJoined(let id, let incarnation, let name):
                pool.nodes.removeAll { $0.id == id }
                pool.nodes.append(StoredNode(id: id, incarnation: incarnation, name: name))
            case .nodeGone(let id):
                pool.nodes.removeAll { $0.id == id }
            }
        }
        for index in pool.jobs.indices where pool.jobs[index].standing.isEnded {
            pool.jobs[index].leftCommon = pool.jobs[index].spec.takeCommon()
        }
        pool.jobs.sort { $0.number < $1.number }
        return pool
    }

    private func change(_ pool: inout StoredPool, _ id: JobID, _ body: (inout StoredJob) -> Void) {
        guard let index = pool.jobs.firstIndex(where: { $0.spec.id == id }) else { return }
        body(&pool.jobs[index])
    }
}
