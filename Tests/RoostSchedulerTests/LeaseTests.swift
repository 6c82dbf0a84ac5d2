import RoostModel
import RoostScheduler
import RoostTesting
import Testing

/// Nodes that are cut off, come back, or do not.
@Suite struct LeaseTests {
    private func poolWithOneTaskRunning(
        _ change: (inout JobSpec) -> Void = { _ in }
    ) -> (Scenario, node: Int, client: Int, job: JobID) {
        var pool = Scenario()
        let a = pool.join("a")
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 1, change)
        pool.reportRunning(a, job, [0])
        return (pool, a, ann, job)
    }

    @Test func aSuspectNodeKeepsItsTasksUntilItsLeaseEnds() {
        var (pool, a, _, job) = poolWithOneTaskRunning { $0.policy.lease = .seconds(60) }
        let b = pool.join("b")
        pool.cut(a)
        pool.pass(.seconds(59))
        #expect(pool.tasks(b, job) == [])
        pool.pass(.seconds(2))
        #expect(pool.tasks(b, job) == [0])
        #expect(pool.attempt(b, job, 0) == 2)
    }

    @Test func silenceMakesANodeSuspectEvenWhenItsConnectionLooksAlive() {
        var (pool, a, _, _) = poolWithOneTaskRunning()
        pool.silence(a)
        pool.pass(.seconds(14))
        #expect(!pool.notices.contains(.nodeSuspect(name: "a")))
        pool.pass(.seconds(3))
        #expect(pool.notices.contains(.nodeSuspect(name: "a")))
        #expect(!pool.isConnected(a))
    }

    @Test func aNodeThatComesBackInTimeGoesOn() {
        var (pool, a, ann, job) = poolWithOneTaskRunning()
        pool.cut(a)
        pool.pass(.seconds(200))
        pool.comeBack(a)
        #expect(pool.tasks(a, job) == [0])
        pool.end(a, job, [0])
        #expect(pool.outcomes(ann, job).map(\.attempt) == [1], "it never ran twice")
    }

    @Test func aResultKeptThroughACutCounts() {
        var (pool, a, ann, job) = poolWithOneTaskRunning()
        pool.cut(a)
        pool.comeBack(a, finished: [0], of: job)
        #expect(pool.tasks(a, job) == [0], "neither dropped nor granted again")
        pool.end(a, job, [0])
        #expect(pool.outcomes(ann, job).map(\.code) == [.succeeded])
    }

    @Test func aGrantThatNeverArrivedIsGrantedAgain() {
        var (pool, a, _, job) = poolWithOneTaskRunning()
        pool.cut(a)
        pool.lose(a, job)
        pool.comeBack(a)
        #expect(pool.attempt(a, job, 0) == 2)
    }

    @Test func aNodeThatComesBackTooLateIsToldToDrop() {
        var (pool, a, ann, job) = poolWithOneTaskRunning { $0.policy.lease = .seconds(20) }
        let b = pool.join("b")
        pool.cut(a)
        pool.pass(.seconds(30))
        #expect(pool.tasks(b, job) == [0])
        pool.comeBack(a)
        #expect(pool.tasks(a, job) == [])
        // What it reports all the same is late: counted, acknowledged and dropped.
        pool.end(a, job, [0], attempt: 1)
        #expect(pool.progress(job)?.late == 1)
        #expect(pool.outcomes(ann, job).isEmpty)
        #expect(pool.told(node: a).contains(.acknowledge([1])))
        pool.end(b, job, [0])
        #expect(pool.outcomes(ann, job).map(\.attempt) == [2])
    }

    @Test func aGuardsReportMovesTasksAtOnceAndChargesOnlyWhatRan() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 2)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 2) { $0.policy.nodeLossLimit = 1 }
        pool.reportRunning(a, job, [0])
        let b = pool.join("b", cpus: 2)
        pool.reportDead(a)
        #expect(pool.tasks(b, job) == [1], "task 0 was running, and may lose one node at most")
        #expect(pool.outcomes(ann, job).map(\.code) == [OutcomeCode(.held, .nodeLost)])
    }

    @Test func aReportAboutAnEarlierLifeIsNoNews() {
        var (pool, a, _, job) = poolWithOneTaskRunning()
        pool.restart(a)
        #expect(pool.attempt(a, job, 0) == 2, "the new agent proves that the old one is dead")
        pool.turn([.guardReported(GuardReport(node: NodeID(rawValue: 1), incarnation: Incarnation(rawValue: 1)))])
        #expect(pool.isConnected(a))
        #expect(pool.tasks(a, job) == [0])
    }

    @Test func anOlderAgentOfTheSameNodeIsSentAway() {
        var (pool, a, _, _) = poolWithOneTaskRunning()
        pool.restart(a)
        let hello = NodeHello(
            node: NodeID(rawValue: 1), incarnation: Incarnation(rawValue: 1), name: "a", offer: .oneCPU)
        var effects = Effects()
        var scheduler = pool.scheduler
        scheduler.apply(.nodeConnected(ConnectionID(rawValue: 99), hello, peer: "test"), at: pool.now, into: &effects)
        #expect(effects.closes.map(\.connection) == [ConnectionID(rawValue: 99)])
    }

    @Test func drainingNodesGetNothingNewAndLeaveUncharged() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 2)
        let ann = pool.connect("ann", role: .admin)
        let job = pool.submit(ann, tasks: 3)
        #expect(pool.ask(ann, .drainNode(name: "a")) == .done(count: 1))
        #expect(pool.told(node: a).contains(.drain))
        pool.end(a, job, [0])
        #expect(pool.tasks(a, job) == [1])
        pool.say(a, .goodbye(reason: "drained"))
        let b = pool.join("b", cpus: 2)
        #expect(pool.tasks(b, job) == [1, 2])
        #expect(pool.progress(job)?.lost == 0)
    }

    @Test func aDrainThatACutSwallowedIsOrderedAgain() {
        var pool = Scenario()
        let a = pool.join("a")
        let ann = pool.connect("ann", role: .admin)
        _ = pool.ask(ann, .drainNode(name: "a"))
        pool.cut(a)
        pool.comeBack(a)
        #expect(pool.told(node: a).contains(.drain))
    }

    /// Found by the simulator: reconnecting added a deadline each time, for ever.
    @Test func oneDeadlineLooksAfterANodesSilence() {
        var pool = Scenario()
        let a = pool.join("a")
        for _ in 0..<50 {
            pool.cut(a)
            pool.comeBack(a)
        }
        var turns = 0
        var scheduler = pool.scheduler
        let end = pool.now + .seconds(10)
        var effects = Effects()
        while let deadline = scheduler.nextDeadline, deadline < end + .seconds(20), turns < 100 {
            scheduler.apply(.deadlinePassed, at: deadline, into: &effects)
            turns += 1
        }
        #expect(turns < 10)
    }
}
