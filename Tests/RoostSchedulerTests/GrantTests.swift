import RoostModel
import RoostScheduler
import RoostTesting
import Testing

/// Who gets which slot.
@Suite struct GrantTests {
    @Test func aNodeThatJoinsIsGrantedWhatWaits() {
        var pool = Scenario()
        let job = pool.submit(pool.connect("ann"), tasks: 3)
        let a = pool.join("a", cpus: 2)
        #expect(pool.tasks(a, job) == [0, 1])
        pool.end(a, job, [0])
        #expect(pool.tasks(a, job) == [1, 2])
    }

    @Test func theJobIsIntroducedOnceBeforeItsFirstGrant() {
        var pool = Scenario()
        let ann = pool.connect("ann")
        let a = pool.join("a")
        let job = pool.submit(ann, tasks: 2)
        pool.end(a, job, [0])
        let told = pool.told(node: a)
        let introductions = told.indices.filter { if case .job = told[$0] { true } else { false } }
        let grants = told.indices.filter { if case .grant = told[$0] { true } else { false } }
        #expect(introductions.count == 1)
        #expect(grants.count == 2)
        #expect((introductions.first ?? .max) < (grants.first ?? .min))
    }

    @Test func workSpreadsOverNodesOneLaneAtATime() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 4)
        let b = pool.join("b", cpus: 4)
        let job = pool.submit(pool.connect("ann"), tasks: 4)
        #expect(pool.tasks(a, job).count == 2)
        #expect(pool.tasks(b, job).count == 2)
    }

    @Test func requestsAndLabelsAreRespected() {
        var pool = Scenario()
        let small = pool.join("small", cpus: 1)
        let big = pool.join("big", cpus: 4, labels: [Label(key: "zone", value: "a")])
        let ann = pool.connect("ann")
        let wide = pool.submit(ann, tasks: 2) { $0.request = .cpus(2) }
        #expect(pool.tasks(small, wide) == [])
        #expect(pool.tasks(big, wide) == [0, 1])
        pool.end(big, wide, [0, 1])
        let zoned = pool.submit(ann, tasks: 1) { $0.labels = [Label(key: "zone", value: "a")] }
        #expect(pool.tasks(big, zoned) == [0])
        #expect(pool.tasks(small, zoned) == [])
    }

    @Test func priorityOrdersAUsersOwnJobs() {
        var pool = Scenario()
        let ann = pool.connect("ann")
        let low = pool.submit(ann, tasks: 1)
        let high = pool.submit(ann, tasks: 1) { $0.policy.priority = 5 }
        let a = pool.join("a")
        #expect(pool.tasks(a, high) == [0])
        pool.end(a, high, [0])
        #expect(pool.tasks(a, low) == [0])
    }

    @Test func usersShareByWhatTheyHoldAndNotByWhatTheyQueue() {
        var pool = Scenario()
        let greedy = pool.submit(pool.connect("ann"), tasks: 1000)
        let modest = pool.submit(pool.connect("bob"), tasks: 4)
        let a = pool.join("a", cpus: 4)
        #expect(pool.tasks(a, greedy).count == 2)
        #expect(pool.tasks(a, modest).count == 2)
    }

    @Test func aNewcomerIsServedByTheNextSlotThatEnds() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 2)
        let old = pool.submit(pool.connect("ann"), tasks: 100)
        let new = pool.submit(pool.connect("bob"), tasks: 1)
        #expect(pool.tasks(a, old) == [0, 1])
        pool.end(a, old, [0])
        #expect(pool.tasks(a, new) == [0])
    }

    @Test func aNodeIsSavedUpForALargeRequestOfAUserWithNothing() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 4)
        let b = pool.join("b", cpus: 1)
        let small = pool.submit(pool.connect("ann"), tasks: 100)
        #expect(pool.tasks(a, small).count == 4)
        let large = pool.submit(pool.connect("bob"), tasks: 1) { $0.request = .cpus(4) }
        // Task by task the node empties; nothing small slips in, though it would fit. The other node goes on.
        for task in pool.tasks(a, small).dropLast() {
            pool.end(a, small, [task])
            #expect(pool.tasks(a, large) == [])
        }
        #expect(pool.tasks(a, small).count == 1)
        pool.end(b, small, pool.tasks(b, small))
        #expect(pool.tasks(b, small).count == 1)
        pool.end(a, small, pool.tasks(a, small))
        #expect(pool.tasks(a, large) == [0])
        pool.end(a, large, [0])
        #expect(pool.tasks(a, small).count == 4)
    }

    @Test func aSavedNodeIsFreedWhenTheLargeJobIsCancelled() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 2)
        let small = pool.submit(pool.connect("ann"), tasks: 10)
        let bob = pool.connect("bob")
        let large = pool.submit(bob, tasks: 1) { $0.request = .cpus(2) }
        pool.end(a, small, [0])
        #expect(pool.tasks(a, small) == [1])
        _ = pool.ask(bob, .cancel(.id(large), tasks: [], kill: false))
        #expect(pool.tasks(a, small) == [1, 2])
    }

    @Test func mostInParallelIsAPromiseAboutTheWholePool() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 4)
        let b = pool.join("b", cpus: 4)
        let job = pool.submit(pool.connect("ann"), tasks: 10) { $0.policy.maxParallel = 3 }
        #expect(pool.tasks(a, job).count + pool.tasks(b, job).count == 3)
        // The room that a draining node gives back is used by the other.
        pool.say(a, .draining(reason: "SIGTERM"))
        let left = pool.tasks(b, job).count
        pool.end(a, job, [pool.tasks(a, job)[0]])
        #expect(pool.tasks(b, job).count == left + 1)
    }

    @Test func aRequestOfNothingIsRefused() {
        var pool = Scenario()
        let ann = pool.connect("ann")
        _ = pool.submit(ann, tasks: 1) { $0.request = Resources() }
        let refusals = pool.told(client: ann).filter { if case .refused = $0 { true } else { false } }
        #expect(!refusals.isEmpty)
    }
}
