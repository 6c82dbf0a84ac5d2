import RoostModel
import RoostScheduler
import RoostTesting
import Testing

/// Cancelling, retrying, forgetting.
@Suite struct CancelTests {
    @Test func whatWaitsEndsAtOnceAndWhatRunsIsAskedToStop() {
        var pool = Scenario()
        let a = pool.join("a")
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 3)
        #expect(pool.ask(ann, .cancel(.id(job), tasks: [], kill: false)) == .done(count: 3))
        #expect(pool.progress(job)?.cancelled == 2)
        let run = AttemptRun(job: job, epoch: 1, number: 1, tasks: TaskRange(first: 0, count: 1))
        #expect(pool.told(node: a).contains(.cancel(attempts: [run], kill: false)))
        pool.end(a, job, [0], .cancelled)
        #expect(pool.progress(job)?.cancelled == 3)
    }

    @Test func oneTaskCanBeCancelledWherever() {
        var pool = Scenario()
        let a = pool.join("a")
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 4)
        let two = [TaskRange(first: 0, count: 1), TaskRange(first: 2, count: 1)]
        #expect(pool.ask(ann, .cancel(.id(job), tasks: two, kill: false)) == .done(count: 2))
        pool.end(a, job, [0], .cancelled)
        #expect(pool.tasks(a, job) == [1])
        pool.end(a, job, [1])
        #expect(pool.tasks(a, job) == [3])
    }

    /// Found by seed 9.
    @Test func cancellingTasksBeyondTheEndIsNoError() {
        var pool = Scenario()
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 2)
        let beyond = [TaskRange(first: 5, count: 3), TaskRange(first: .max, count: .max)]
        #expect(pool.ask(ann, .cancel(.id(job), tasks: beyond, kill: false)) == .done(count: 0))
    }

    @Test func aCancelThatACutSwallowedIsSaidAgain() {
        var pool = Scenario()
        let a = pool.join("a")
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 2)
        pool.cut(a)
        _ = pool.ask(ann, .cancel(.id(job), tasks: [TaskRange(first: 0, count: 1)], kill: false))
        pool.comeBack(a)
        let run = AttemptRun(job: job, epoch: 1, number: 1, tasks: TaskRange(first: 0, count: 1))
        #expect(pool.told(node: a).contains(.cancel(attempts: [run], kill: false)))
    }

    /// Found by the simulator, when connections came to end with a job's end on its way: the client opened the job
    /// again, and the rest of its tasks ran.
    @Test func aCancelledJobStaysCancelledWhenNewsOfItsEndIsLost() throws {
        var pool = Scenario()
        let a = pool.join("a")
        let ann = pool.connect("ann")
        let spec = JobSpec(id: pool.newJob(), runtime: .command)
        let first = Scenario.chunk(spec.id, first: 0, count: 2)
        pool.say(client: ann, [.submit(spec), .append(first), .read(ReadRequest(job: spec.id, order: .asCompleted))])
        _ = pool.ask(ann, .cancel(.id(spec.id), tasks: [], kill: false))
        pool.end(a, spec.id, [0], .cancelled)
        let progress = try #require(pool.progress(spec.id))
        #expect(pool.outcomes(ann, spec.id, acknowledging: true).count == 2)
        #expect(pool.progress(spec.id) == nil)
        // It has all outcomes, not the end; the program has appended one task more.
        pool.cut(client: ann)
        pool.reconnect(ann)
        let again = Scenario.chunk(
            spec.id, first: 0, count: 3, finished: [TaskRange(first: 0, count: 2)])
        pool.say(client: ann, [.submit(spec), .append(again)])
        #expect(pool.told(client: ann).first == .ended(progress))
        #expect(pool.tasks(a, spec.id) == [])
        #expect(pool.progress(spec.id) == nil)
    }

    @Test func anotherUsersJobIsNobodyElses() {
        var pool = Scenario()
        let job = pool.submit(pool.connect("ann"), tasks: 1)
        let bob = pool.connect("bob")
        let observer = pool.connect("ann", role: .observer)
        for stranger in [bob, observer] {
            guard case .failed(let error) = pool.ask(stranger, .cancel(.id(job), tasks: [], kill: true)) else {
                Issue.record("a stranger cancelled the job")
                continue
            }
            #expect(error.code == .refused)
            pool.say(client: stranger, [.read(ReadRequest(job: job, order: .asCompleted))])
            #expect(pool.told(client: stranger).contains { if case .refused = $0 { true } else { false } })
        }
        #expect(
            pool.ask(pool.connect("root", role: .admin), .cancel(.id(job), tasks: [], kill: true)) == .done(count: 1))
    }

    @Test func observersSubmitNothing() {
        var pool = Scenario()
        let observer = pool.connect("ann", role: .observer)
        let job = pool.submit(observer, tasks: 1)
        #expect(pool.progress(job) == nil)
    }

    @Test func aRetryOpensARoundAndLaterReadersGetTheLatest() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 2)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 2) { $0.retention = .durable }
        pool.end(a, job, [0])
        pool.end(a, job, [1], .failed)
        #expect(pool.ask(ann, .retry(.id(job), tasks: [], held: false)) == .done(count: 1))
        #expect(pool.attempt(a, job, 1) == 2)
        pool.end(a, job, [1])
        _ = pool.told(client: ann)
        for order in [ReadRequest.Order.asCompleted, .inOrder] {
            pool.say(client: ann, [.read(ReadRequest(job: job, order: order))])
            let outcomes = pool.outcomes(ann, job)
            #expect(outcomes.map(\.task) == [0, 1])
            #expect(outcomes.map(\.code) == [.succeeded, .succeeded])
        }
    }

    /// Found by seed 97: the second end of the old reading was taken for the end of the new one.
    @Test func aReadingThatEndedHearsNothingOfLaterRounds() {
        var pool = Scenario()
        let a = pool.join("a")
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 1) { $0.retention = .durable }
        pool.end(a, job, [0], .failed)
        _ = pool.told(client: ann)
        _ = pool.ask(ann, .retry(.id(job), tasks: [], held: false))
        _ = pool.told(client: ann)
        pool.end(a, job, [0])
        let rest = pool.told(client: ann).filter { if case .progress = $0 { false } else { true } }
        #expect(rest.isEmpty)
    }

    @Test func heldTasksAreReleasedNotRetried() {
        var pool = Scenario()
        let a = pool.join("a")
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 1) {
            $0.retention = .durable
            $0.policy.crashLimit = 1
        }
        pool.end(a, job, [0], .crashed)
        #expect(pool.ask(ann, .retry(.id(job), tasks: [], held: false)) == .done(count: 0))
        #expect(pool.ask(ann, .retry(.id(job), tasks: [], held: true)) == .done(count: 1))
        #expect(pool.attempt(a, job, 0) == 2)
    }

    @Test func whoReadsAJobThatIsForgottenHearsSo() {
        var pool = Scenario()
        let ann = pool.connect("ann")
        let other = pool.connect("ann")
        let job = pool.submit(ann, tasks: 1)
        pool.say(client: other, [.read(ReadRequest(job: job, order: .asCompleted))])
        _ = pool.told(client: other)
        pool.say(client: ann, [.goodbye])
        #expect(pool.progress(job) == nil)
        #expect(pool.told(client: other).contains { if case .refused(job, _) = $0 { true } else { false } })
    }
}
