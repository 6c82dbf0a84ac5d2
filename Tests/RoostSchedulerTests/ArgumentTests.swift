import RoostModel
import RoostScheduler
import RoostTesting
import Testing

/// Arguments of durable jobs: in memory as far as memory is for them, on disk beyond.
@Suite struct ArgumentTests {
    /// A pool that keeps so many bytes of arguments in memory; each argument has one, the number of its task.
    private func pool(keeping bytes: Int, cpus: Int = 2) -> (Scenario, a: Int, ann: Int) {
        var pool = Scenario { $0.cachedArgumentBytes = bytes }
        let a = pool.join("a", cpus: cpus)
        let ann = pool.connect("ann")
        return (pool, a, ann)
    }

    private func submit(_ pool: inout Scenario, _ ann: Int, chunks: [Int], _ retention: Retention = .durable) -> JobID {
        let spec = JobSpec(id: pool.newJob(), runtime: .command, retention: retention)
        var messages: [ClientToServer] = [.submit(spec)]
        var first = 0
        for count in chunks {
            messages.append(.append(Scenario.chunk(spec.id, first: TaskIndex(first), count: count)))
            first += count
        }
        pool.say(client: ann, messages + [.close(job: spec.id, count: UInt32(first))])
        return spec.id
    }

    private func bytesInMemory(_ pool: Scenario) -> Int {
        pool.scheduler.jobs.slots.reduce(0) { $0 + pool.scheduler.jobs[$1].tasks.arguments.byteCount }
    }

    @Test func whatMemoryIsNotForIsLeftOnDiskAndGrantedFromThere() {
        var (pool, a, ann) = pool(keeping: 4)
        let job = submit(&pool, ann, chunks: [3, 3, 1, 2])
        #expect(bytesInMemory(pool) == 4)
        var given: [[UInt8]] = []
        while case let held = pool.tasks(a, job), !held.isEmpty {
            given += pool.argumentsGiven(to: a)
            pool.end(a, job, held)
        }
        #expect(given == (0..<9).map { [UInt8($0)] })
        #expect(pool.progress(job)?.succeeded == 9)
        #expect(bytesInMemory(pool) == 0)
        // There is room again.
        _ = submit(&pool, ann, chunks: [4])
        #expect(bytesInMemory(pool) == 4)
    }

    @Test func attachedJobsStayInMemory() {
        var (pool, a, ann) = pool(keeping: 0)
        let job = submit(&pool, ann, chunks: [3], .attached)
        #expect(bytesInMemory(pool) == 3)
        #expect(pool.tasks(a, job) == [0, 1])
    }

    @Test func aTaskThatComesBackIsGivenTheSameFromTheDisk() {
        var (pool, a, ann) = pool(keeping: 0)
        let job = submit(&pool, ann, chunks: [2, 2])
        _ = pool.argumentsGiven(to: a)
        pool.restart(a)
        #expect(pool.tasks(a, job) == [0, 1])
        #expect(pool.argumentsGiven(to: a) == [[0], [1]])
    }

    @Test func aRestartedServerReadsNoMoreThanMemoryIsFor() {
        var (pool, a, ann) = pool(keeping: 3, cpus: 8)
        let job = submit(&pool, ann, chunks: [2, 2, 2])
        pool.lose(a, job)
        pool.restartServer()
        #expect(bytesInMemory(pool) == 2)
        pool.comeBack(a)
        #expect(pool.argumentsGiven(to: a) == (0..<6).map { [UInt8($0)] })
    }

    @Test func whatAnEndedJobKeepsForAnotherRoundIsOnDiskOnly() {
        var (pool, a, ann) = pool(keeping: 100)
        let job = submit(&pool, ann, chunks: [2])
        pool.end(a, job, [0, 1], .failed)
        #expect(pool.progress(job)?.failed == 2)
        #expect(bytesInMemory(pool) == 0)
        _ = pool.argumentsGiven(to: a)
        _ = pool.ask(ann, .retry(.id(job), tasks: [], held: false))
        #expect(pool.argumentsGiven(to: a) == [[0], [1]])
    }

    @Test func whatAnEndedJobsTasksShareIsOnDiskOnlyAndGivenToNodesInAnotherRound() {
        var (pool, a, ann) = pool(keeping: 100)
        let job = pool.submit(ann, tasks: 1) { ($0.retention, $0.common) = (.durable, [1, 2, 3]) }
        #expect(pool.commonsGiven(to: a) == [[1, 2, 3]])
        let spec = pool.scheduler.jobs[pool.scheduler.jobs.slots[0]].spec
        pool.end(a, job, [0], .failed)
        #expect(pool.scheduler.jobs[pool.scheduler.jobs.slots[0]].spec.common.isEmpty)
        // It is still the same job, and another is another.
        pool.say(client: ann, [.submit(spec)])
        var other = spec
        other.common = [1, 2, 4]
        pool.say(client: ann, [.submit(other)])
        let refusals = pool.told(client: ann).compactMap { if case .refused(_, let error) = $0 { error.code } else { nil } }
        #expect(refusals == [.conflict])

        pool.restartServer()
        #expect(pool.scheduler.jobs[pool.scheduler.jobs.slots[0]].spec.common.isEmpty)
        pool.reconnect(ann)
        let b = pool.join("b")
        _ = pool.ask(ann, .retry(.id(job), tasks: [], held: false))
        #expect(pool.tasks(b, job) == [0])
        #expect(pool.commonsGiven(to: b) == [[1, 2, 3]])
    }

    @Test func aForgottenJobMakesRoom() {
        var (pool, _, ann) = pool(keeping: 2)
        let job = submit(&pool, ann, chunks: [2])
        _ = pool.ask(ann, .cancel(.id(job), tasks: [], kill: true))
        _ = pool.ask(ann, .forget(.id(job)))
        _ = submit(&pool, ann, chunks: [2])
        #expect(bytesInMemory(pool) == 2)
    }

    @Test func tasksWhoseArgumentsAreNotOnDiskFailAndTheirNodeGoesOn() {
        var (pool, a, ann) = pool(keeping: 0, cpus: 1)
        let job = submit(&pool, ann, chunks: [1, 1])
        pool.say(client: ann, [.read(ReadRequest(job: job, order: .asCompleted))])
        let run = AttemptRun(job: job, epoch: 1, number: 1, tasks: TaskRange(first: 0, count: 1))
        pool.failToSend(run, to: a, RoostError(.damaged, "not what was written"))
        #expect(pool.tasks(a, job) == [1])
        let outcomes = pool.outcomes(ann, job)
        #expect(outcomes.map(\.task) == [0])
        #expect(outcomes.first?.code == OutcomeCode(.failed, .couldNotStart))
        #expect(outcomes.first?.postMortem?.reason == "not what was written")
        // Whatever is said of an attempt that is not the current one changes nothing.
        pool.failToSend(run, to: a, RoostError(.damaged, "again"))
        #expect(pool.progress(job)?.failed == 1)
    }
}
