import RoostModel
import RoostScheduler
import RoostTesting
import Testing

/// A session's setup is in force wherever its tasks run, and nowhere else.
@Suite struct SetupTests {
    private static func pool(_ configure: (inout SchedulerConfiguration) -> Void = { _ in }) -> Scenario {
        Scenario(configure)
    }

    private static func setups(_ messages: [ServerToNode]) -> [UInt32] {
        messages.compactMap { if case .setup(let entry) = $0 { entry.number } else { nil } }
    }

    private static func refusal(_ messages: [ServerToClient]) -> RoostError? {
        messages.compactMap { if case .refused(_, let error) = $0 { error } else { nil } }.first
    }

    @Test func aNodeIsSentWhatAJobNeedsOnceAndBeforeTheJob() throws {
        var pool = Self.pool()
        let a = pool.join("a", cpus: 4, runtimes: [.r])
        let ann = pool.connect("ann")
        pool.setUp(ann, number: 1)
        pool.setUp(ann, number: 2)
        #expect(Self.setups(pool.told(node: a)).isEmpty, "nobody needs it there yet")
        let session = pool.session(ann)
        let first = pool.submit(ann, tasks: 1) { ($0.runtime, $0.session, $0.setup) = (.r, session, 2) }
        let told = pool.told(node: a)
        #expect(Self.setups(told) == [1, 2])
        let job = try #require(told.firstIndex { if case .job(let spec) = $0 { spec.id == first } else { false } })
        #expect(told[..<job].count { if case .setup = $0 { true } else { false } } == 2)
        pool.setUp(ann, number: 3)
        _ = pool.submit(ann, tasks: 1) { ($0.runtime, $0.session, $0.setup) = (.r, session, 3) }
        #expect(Self.setups(pool.told(node: a)) == [3])
    }

    @Test func aNodeThatJoinsLateIsSentAllOfIt() {
        var pool = Self.pool()
        let ann = pool.connect("ann")
        for number in 1...3 { pool.setUp(ann, number: UInt32(number)) }
        let session = pool.session(ann)
        let job = pool.submit(ann, tasks: 1) { ($0.runtime, $0.session, $0.setup) = (.r, session, 2) }
        let a = pool.join("late", runtimes: [.r])
        #expect(Self.setups(pool.told(node: a)) == [1, 2], "as much as was in force when the job was submitted")
        #expect(pool.tasks(a, job) == [0])
    }

    @Test func aNodeThatComesBackKeepsWhatItHas() {
        var pool = Self.pool()
        let a = pool.join("a", cpus: 2, runtimes: [.r])
        let ann = pool.connect("ann")
        pool.setUp(ann, number: 1)
        let session = pool.session(ann)
        _ = pool.submit(ann, tasks: 1) { ($0.runtime, $0.session, $0.setup) = (.r, session, 1) }
        pool.cut(a)
        pool.comeBack(a)
        _ = pool.submit(ann, tasks: 1) { ($0.runtime, $0.session, $0.setup) = (.r, session, 1) }
        #expect(Self.setups(pool.told(node: a)).isEmpty)
        pool.restart(a)
        #expect(Self.setups(pool.told(node: a)) == [1], "a new agent has nothing")
    }

    @Test func tasksWaitForSetupThatIsOnItsWay() throws {
        var pool = Self.pool()
        let a = pool.join("a", runtimes: [.r])
        let ann = pool.connect("ann")
        let session = pool.session(ann)
        let job = pool.submit(ann, tasks: 1) { ($0.runtime, $0.session, $0.setup) = (.r, session, 2) }
        pool.setUp(ann, number: 1)
        #expect(pool.tasks(a, job).isEmpty)
        guard case .explanation(let lines) = pool.ask(ann, .explain(.id(job), task: nil)) else {
            throw RoostError(.internal, "no explanation")
        }
        #expect(lines[0].reason.contains("setup"))
        pool.setUp(ann, number: 2)
        #expect(pool.tasks(a, job) == [0])
    }

    @Test func anEntrySentTwiceCountsOnceAndAGapIsNotTaken() {
        var pool = Self.pool()
        let ann = pool.connect("ann")
        func held() -> UInt32? {
            pool.told(client: ann).compactMap { if case .setupHeld(let held, _) = $0 { held.count } else { nil } }.last
        }
        pool.setUp(ann, number: 0)
        #expect(held() == 0)
        pool.setUp(ann, number: 1)
        pool.setUp(ann, number: 1)
        #expect(held() == 1)
        pool.setUp(ann, number: 5)
        #expect(held() == 1)
    }

    @Test func nobodyReachesAnothersSession() {
        var pool = Self.pool()
        _ = pool.join("a", cpus: 4, runtimes: [.r])
        let ann = pool.connect("ann")
        let bob = pool.connect("bob")
        pool.setUp(ann, number: 1)
        let session = pool.session(ann)
        _ = pool.submit(bob, tasks: 1) { ($0.runtime, $0.session, $0.setup) = (.r, session, 1) }
        #expect(Self.refusal(pool.told(client: bob))?.code == .refused)
        pool.say(client: bob, [.setup(SetupEntry(session: session, number: 2, payload: [9]))])
        let refusals = pool.told(client: bob).compactMap { if case .setupHeld(_, let error) = $0 { error } else { nil } }
        #expect(refusals.map(\.code) == [.refused])
    }

    @Test func theEndOfASessionAndItsJobsEndsItOnTheNodes() {
        var pool = Self.pool()
        let a = pool.join("a", cpus: 2, runtimes: [.r])
        let ann = pool.connect("ann")
        pool.setUp(ann, number: 1)
        let session = pool.session(ann)
        let durable = pool.submit(ann, tasks: 1) { ($0.runtime, $0.session, $0.setup, $0.retention) = (.r, session, 1, .durable) }
        pool.say(client: ann, [.goodbye])
        #expect(!pool.told(node: a).contains(.forgetSession(session)), "a durable job goes on, and needs it")
        pool.end(a, durable, [0])
        let other = pool.connect("ann")
        _ = pool.ask(other, .forget(.id(durable)))
        #expect(pool.told(node: a).contains(.forgetSession(session)))
    }

    @Test func workersStayWithASessionForAWhile() {
        var pool = Self.pool { $0.sessionStay = .seconds(2) }
        let a = pool.join("a", runtimes: [.r])
        let ann = pool.connect("ann")
        let bob = pool.connect("bob")
        let (anns, bobs) = (pool.session(ann), pool.session(bob))
        let first = pool.submit(ann, tasks: 100) { ($0.runtime, $0.session) = (.r, anns) }
        let second = pool.submit(bob, tasks: 100) { ($0.runtime, $0.session) = (.r, bobs) }
        // Fair shares alone would give every other task to bob, and change the worker's session each time.
        for task in 0..<3 {
            #expect(pool.tasks(a, first) == [TaskIndex(task)])
            pool.pass(.milliseconds(500))
            pool.end(a, first, [TaskIndex(task)], seconds: 0.5)
        }
        pool.pass(.seconds(1))
        pool.end(a, first, [3], seconds: 1)
        #expect(pool.tasks(a, second) == [0], "the time is over: the next turn is bob's")
        pool.end(a, second, [0], seconds: 0.001)
        #expect(pool.tasks(a, first).isEmpty && !pool.tasks(a, second).isEmpty)
    }

    @Test func aSessionWithoutWorkKeepsNobodyWaiting() {
        var pool = Self.pool()
        let a = pool.join("a", runtimes: [.r])
        let ann = pool.connect("ann")
        let bob = pool.connect("bob")
        let (anns, bobs) = (pool.session(ann), pool.session(bob))
        let first = pool.submit(ann, tasks: 1) { ($0.runtime, $0.session) = (.r, anns) }
        let second = pool.submit(bob, tasks: 1) { ($0.runtime, $0.session) = (.r, bobs) }
        pool.end(a, first, [0])
        #expect(pool.tasks(a, second) == [0])
    }
}
