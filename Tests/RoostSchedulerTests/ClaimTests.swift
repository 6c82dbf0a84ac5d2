import RoostModel
import RoostScheduler
import RoostTesting
import Testing

/// Attached jobs, which a server that starts again has forgotten: clients bring their tasks, nodes claim what they have of them.
@Suite struct ClaimTests {
    private func attached(
        _ change: (inout JobSpec) -> Void = { _ in }
    ) -> (Scenario, a: Int, ann: Int, spec: JobSpec) {
        var pool = Scenario { $0.recoveryWindow = .seconds(60) }
        let a = pool.join("a", cpus: 2)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 3, change)
        var spec = pool.scheduler.jobs[pool.scheduler.jobs.slots[0]].spec
        #expect(spec.id == job)
        spec.firstEpoch = 1
        return (pool, a, ann, spec)
    }

    private func bringAgain(_ pool: inout Scenario, _ ann: Int, _ spec: JobSpec, finished: [TaskRange] = []) {
        pool.reconnect(ann)
        pool.say(
            client: ann,
            [
                .submit(spec), .append(Scenario.chunk(spec.id, first: 0, count: 3, finished: finished)),
                .close(job: spec.id, count: 3), .read(ReadRequest(job: spec.id, order: .asCompleted)),
            ])
    }

    @Test(arguments: [true, false]) func whatAnAttachedJobsNodesRunGoesOnWhoeverIsBackFirst(isNodeFirst: Bool) {
        var (pool, a, ann, spec) = attached()
        pool.restartServer()
        if isNodeFirst {
            pool.comeBack(a)
            bringAgain(&pool, ann, spec)
        } else {
            bringAgain(&pool, ann, spec)
            #expect(pool.tasks(a, spec.id) == [0, 1])
            pool.comeBack(a)
        }
        pool.end(a, spec.id, [0, 1])
        #expect(pool.tasks(a, spec.id) == [2])
        pool.end(a, spec.id, [2])
        #expect(pool.outcomes(ann, spec.id).map(\.attempt) == [1, 1, 1])
    }

    @Test(arguments: [true, false]) func anAttachedJobsResultIsTakenFromItsNodeWhoeverIsBackFirst(isNodeFirst: Bool) {
        var (pool, a, ann, spec) = attached()
        pool.restartServer()
        if isNodeFirst {
            pool.comeBack(a, finished: [0], of: spec.id)
            pool.end(a, spec.id, [0])
            #expect(!pool.told(node: a).contains { if case .acknowledge = $0 { true } else { false } })
            bringAgain(&pool, ann, spec)
        } else {
            bringAgain(&pool, ann, spec)
            pool.comeBack(a, finished: [0], of: spec.id)
            pool.end(a, spec.id, [0])
        }
        #expect(pool.outcomes(ann, spec.id).map(\.task) == [0])
        #expect(pool.tasks(a, spec.id) == [1, 2])
    }

    @Test func aStrictAttachedJobWaitsForTheLeaseOfNodesThatAreNotBack() {
        var (pool, _, ann, spec) = attached {
            $0.policy.lease = .seconds(200)
            $0.policy.isStrict = true
        }
        pool.restartServer()
        let b = pool.join("b", cpus: 4)
        pool.pass(.seconds(90))
        bringAgain(&pool, ann, spec)
        #expect(pool.tasks(b, spec.id).isEmpty)
        pool.pass(.seconds(105))
        #expect(pool.tasks(b, spec.id).isEmpty)
        pool.pass(.seconds(10))
        #expect(pool.tasks(b, spec.id) == [0, 1, 2])
    }

    @Test func whatRunsOfABroughtJobHoldsItsNodesRoom() {
        var (pool, a, ann, spec) = attached()
        pool.restartServer()
        pool.comeBack(a)
        bringAgain(&pool, ann, spec)
        #expect(pool.tasks(a, spec.id) == [0, 1], "two slots, two tasks")
    }

    @Test func aJobOfWhichOnlyWhatANodeHasWasMissingEnds() {
        var (pool, a, ann, spec) = attached()
        pool.restartServer()
        pool.comeBack(a)
        bringAgain(&pool, ann, spec, finished: [TaskRange(first: 1, count: 2)])
        pool.end(a, spec.id, [0])
        // The end is told behind the outcome of task 0, the only one that the client did not have.
        let told = pool.told(client: ann)
        #expect(told.contains { if case .outcomes(let d) = $0 { d.batch.tasks == [TaskRange(first: 0, count: 1)] } else { false } })
        #expect(told.contains { if case .ended = $0 { true } else { false } })
    }

    @Test func aNodeThatComesBetweenTwoChunksOfAJobGoesOnWithBoth() {
        var (pool, a, ann, spec) = attached()
        pool.restartServer()
        pool.reconnect(ann)
        pool.say(client: ann, [.submit(spec), .append(Scenario.chunk(spec.id, first: 0, count: 1))])
        // One run of its inventory stands for both tasks.
        pool.comeBack(a, asOneRun: true)
        #expect(pool.tasks(a, spec.id) == [0, 1])
        #expect(!pool.told(node: a).contains { if case .drop = $0 { true } else { false } })
        pool.say(
            client: ann,
            [
                .append(Scenario.chunk(spec.id, first: 1, count: 2)), .close(job: spec.id, count: 3),
                .read(ReadRequest(job: spec.id, order: .asCompleted)),
            ])
        pool.end(a, spec.id, [0, 1])
        pool.end(a, spec.id, [2])
        #expect(pool.outcomes(ann, spec.id).map(\.attempt) == [1, 1, 1])
    }

    @Test func tasksBroughtAgainWaitForNodesThatMayHaveThem() {
        var (pool, _, ann, spec) = attached()
        pool.restartServer()
        bringAgain(&pool, ann, spec)
        let b = pool.join("b", cpus: 4)
        #expect(pool.tasks(b, spec.id) == [])
        // A job that is new to the pool does not wait.
        let other = pool.submit(ann, tasks: 1)
        #expect(pool.tasks(b, other) == [0])
        pool.pass(.seconds(61))
        #expect(pool.tasks(b, spec.id) == [0, 1, 2])
    }

    @Test func theWaitEndsWhenAllNodesAreBack() {
        var (pool, a, ann, spec) = attached()
        pool.lose(a, spec.id)
        pool.restartServer()
        bringAgain(&pool, ann, spec)
        pool.comeBack(a)
        #expect(pool.tasks(a, spec.id) == [0, 1])
        #expect(pool.notices.contains { if case .recovered(_, nodesMissing: 0) = $0 { true } else { false } })
    }

    @Test(arguments: [true, false]) func aNodeThatGoesOnHearsThatItsJobIsKnown(isNodeFirst: Bool) {
        var (pool, a, ann, spec) = attached()
        pool.restartServer()
        if isNodeFirst { pool.comeBack(a) }
        bringAgain(&pool, ann, spec)
        if !isNodeFirst { pool.comeBack(a) }
        #expect(pool.told(node: a).contains { if case .job(let told) = $0 { told.id == spec.id } else { false } })
    }

    @Test func whatANodeStillRunsOfAJobThatHasEndedMeanwhileIsDropped() {
        var (pool, a, ann, spec) = attached()
        pool.restartServer()
        bringAgain(&pool, ann, spec)
        let b = pool.join("b", cpus: 4)
        pool.pass(.seconds(61))
        pool.end(b, spec.id, [0, 1, 2])
        #expect(pool.outcomes(ann, spec.id, acknowledging: true).count == 3)
        #expect(pool.progress(spec.id) == nil)
        pool.comeBack(a)
        #expect(pool.told(node: a).contains { if case .drop = $0 { true } else { false } })
    }

    /// Simulator, seed 44789.
    @Test func ofTwoNodesThatRunABroughtTaskOneIsToldToStop() {
        var (pool, a, ann, spec) = attached()
        pool.restartServer()
        bringAgain(&pool, ann, spec)
        let b = pool.join("b", cpus: 4)
        pool.pass(.seconds(61))
        #expect(pool.tasks(a, spec.id) == [0, 1])
        #expect(pool.tasks(b, spec.id) == [0, 1, 2])
        pool.restartServer()
        pool.comeBack(b)
        pool.comeBack(a)
        bringAgain(&pool, ann, spec)
        #expect((pool.tasks(a, spec.id) + pool.tasks(b, spec.id)).sorted() == [0, 1, 2])
    }

    @Test func aNodeIsToldAtOnceWhatTheClientHasAlready() {
        var (pool, a, ann, spec) = attached()
        pool.restartServer()
        pool.comeBack(a)
        bringAgain(&pool, ann, spec, finished: [TaskRange(first: 0, count: 1)])
        #expect(pool.tasks(a, spec.id) == [1, 2])
    }

    @Test func whatNobodyBringsAgainIsDroppedAfterTheGraceTime() {
        var (pool, a, _, spec) = attached()
        pool.restartServer()
        pool.comeBack(a, finished: [0], of: spec.id)
        pool.end(a, spec.id, [0])
        pool.pass(.seconds(601))
        #expect(pool.tasks(a, spec.id) == [])
        #expect(pool.told(node: a).contains { if case .acknowledge = $0 { true } else { false } })
    }
}
