import RoostModel
import RoostScheduler
import RoostTesting
import Testing

/// Granting ahead, and taking back.
@Suite struct PrefillTests {
    @Test func nothingIsGrantedAheadBeforeItIsKnownHowLongTasksTake() {
        var pool = Scenario()
        let job = pool.submit(pool.connect("ann"), tasks: 100)
        let a = pool.join("a")
        #expect(pool.tasks(a, job).count == 1)
    }

    @Test func longTasksNeverQueueBehindABusyWorker() {
        var pool = Scenario()
        let job = pool.submit(pool.connect("ann"), tasks: 100)
        let a = pool.join("a")
        for _ in 0..<5 {
            pool.end(a, job, pool.tasks(a, job), seconds: 1)
            #expect(pool.tasks(a, job).count == 1)
        }
    }

    @Test func shortTasksAreGrantedAheadInBatches() {
        var pool = Scenario()
        let job = pool.submit(pool.connect("ann"), tasks: 100_000)
        let a = pool.join("a")
        pool.end(a, job, [0], seconds: 0.0001)
        #expect(pool.tasks(a, job).count == 201, "twenty milliseconds' worth, and one")
    }

    @Test func oneLongTaskEndsGrantingAhead() {
        var pool = Scenario()
        let job = pool.submit(pool.connect("ann"), tasks: 100_000)
        let a = pool.join("a")
        pool.end(a, job, [0], seconds: 0.001)
        let ahead = pool.tasks(a, job)
        #expect(ahead.count > 10)
        pool.end(a, job, Array(ahead.dropLast()), seconds: 1)
        #expect(pool.tasks(a, job).count == 1)
    }

    @Test func theLastTasksAreKeptBackForWhoeverIsFreeFirst() {
        var pool = Scenario()
        let a = pool.join("a")
        let b = pool.join("b")
        let job = pool.submit(pool.connect("ann"), tasks: 10)
        pool.end(a, job, pool.tasks(a, job), seconds: 0.0001)
        // Eight are left for two slots; a quarter of them, and one.
        #expect(pool.tasks(a, job).count == 3)
        #expect(pool.tasks(b, job).count == 1)
    }

    @Test func whatWaitsBehindALongTaskIsTakenBackWhenAnotherNodeIdles() {
        var pool = Scenario()
        let job = pool.submit(pool.connect("ann"), tasks: 300)
        let a = pool.join("a")
        pool.end(a, job, [0], seconds: 0.0001)
        let waiting = pool.tasks(a, job)
        #expect(waiting.count > 100)
        // The first of them takes long; the other node does all the rest meanwhile.
        let b = pool.join("b")
        while !pool.tasks(b, job).isEmpty { pool.end(b, job, pool.tasks(b, job), seconds: 0.0001) }
        #expect(pool.tasks(a, job) == waiting)
        _ = pool.told(node: a)
        pool.pass(.milliseconds(10))
        let retracts = pool.told(node: a).compactMap { message -> UInt32? in
            if case .retract(job, let count) = message { count } else { nil }
        }
        #expect(retracts == [UInt32(waiting.count / 2)])
        // Until the node confirms, nothing is granted again; then what it gave back is, with a new number.
        #expect(pool.tasks(b, job) == [])
        let last = waiting[waiting.count - 1]
        pool.giveBack(a, job, [last])
        #expect(pool.tasks(b, job) == [last])
        #expect(pool.attempt(b, job, last) == 2)
    }
}
