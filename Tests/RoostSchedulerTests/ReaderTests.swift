import RoostModel
import RoostScheduler
import RoostTesting
import Testing

/// Delivering outcomes: order, credits, cuts, second readers.
@Suite struct ReaderTests {
    @Test func asCompletedMeansAsTasksEnd() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 3)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 3)
        pool.end(a, job, [2])
        pool.end(a, job, [0])
        #expect(pool.outcomes(ann, job).map(\.task) == [2, 0])
    }

    @Test func inOrderMeansByIndex() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 3)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 3, order: .inOrder)
        pool.end(a, job, [2])
        pool.end(a, job, [1])
        #expect(pool.outcomes(ann, job).isEmpty)
        pool.end(a, job, [0])
        #expect(pool.outcomes(ann, job).map(\.task) == [0, 1, 2])
    }

    @Test func aSmallWindowInOrderNeverDeadlocks() {
        var pool = Scenario { $0.undeliveredBytes = 2 }
        let a = pool.join("a", cpus: 4)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 40, order: .inOrder, window: 1) { $0.policy.retries = 50 }
        var seen: [TaskIndex] = []
        // The one waited for fails again and again, and ends last; later ones fill all the room there is.
        for round in 0..<200 where pool.progress(job) != nil {
            for task in pool.tasks(a, job).reversed() {
                let isWaitedFor = task == TaskIndex(seen.count)
                pool.end(a, job, [task], isWaitedFor && round % 3 != 2 ? .failed : .succeeded)
            }
            while true {
                let outcomes = pool.outcomes(ann, job, acknowledging: true)
                #expect(outcomes.count <= 1, "the window is one task")
                if outcomes.isEmpty { break }
                seen += outcomes.map(\.task)
            }
        }
        #expect(seen == Array(0..<40))
    }

    @Test func aSlowReaderStopsItsOwnJobOnly() {
        var pool = Scenario { $0.undeliveredBytes = 3 }
        let a = pool.join("a", cpus: 2)
        let ann = pool.connect("ann")
        let slow = pool.submit(ann, tasks: 100, window: 2)
        for _ in 0..<10 { pool.end(a, slow, pool.tasks(a, slow)) }
        #expect(pool.tasks(a, slow) == [], "four outcomes lie here: no more until it reads")
        #expect(pool.progress(slow)?.done == 4)
        let other = pool.submit(pool.connect("bob"), tasks: 2)
        #expect(pool.tasks(a, other) == [0, 1])
        pool.end(a, other, [0, 1])
        _ = pool.outcomes(ann, slow, acknowledging: true)
        #expect(pool.tasks(a, slow) == [4, 5], "it goes on by itself")
    }

    @Test func aKeptJobIsReadTwice() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 3)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 3) { $0.retention = .durable }
        pool.end(a, job, [0, 1, 2])
        #expect(pool.outcomes(ann, job, acknowledging: true).count == 3)
        let other = pool.connect("ann")
        pool.say(client: other, [.read(ReadRequest(job: job, order: .inOrder))])
        #expect(pool.outcomes(other, job).map(\.task) == [0, 1, 2])
    }

    @Test func aSecondReaderMayBeSlowerThanTheOwner() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 4)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 8)
        let other = pool.connect("ann")
        pool.say(client: other, [.read(ReadRequest(job: job, order: .asCompleted, window: 1))])
        for task in 0..<4 { pool.end(a, job, [TaskIndex(task)]) }
        // The owner lets go what the other has not been sent.
        #expect(pool.outcomes(ann, job, acknowledging: true).count == 4)
        #expect(pool.outcomes(other, job, acknowledging: true).map(\.task) == [0])
        pool.end(a, job, [4])
        #expect(pool.outcomes(other, job, acknowledging: true).map(\.task) == [4])
    }

    @Test func anAttachedJobLeavesWhenItsClientHasEverything() {
        var pool = Scenario()
        let a = pool.join("a")
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 1)
        pool.end(a, job, [0])
        #expect(pool.progress(job) != nil)
        _ = pool.outcomes(ann, job, acknowledging: true)
        #expect(pool.progress(job) == nil)
        #expect(pool.told(node: a).contains(.forget(job: job)))
    }

    @Test func aJobOfNoTasksEnds() {
        var pool = Scenario()
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 0)
        #expect(pool.told(client: ann).contains { if case .ended = $0 { true } else { false } })
        #expect(pool.progress(job) == nil)
    }

    @Test func aReaderGoesOnAtItsCursorAfterACut() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 2)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 4)
        pool.end(a, job, [0])
        #expect(pool.outcomes(ann, job).map(\.task) == [0])
        pool.cut(client: ann)
        pool.end(a, job, [1])
        pool.reconnect(ann)
        pool.say(client: ann, [.read(ReadRequest(job: job, order: .asCompleted, after: 1))])
        #expect(pool.outcomes(ann, job).map(\.task) == [1])
    }

    /// Found by the simulator: what was acknowledged and then cut off stayed in the log for ever.
    @Test func aLostAcknowledgementInOrderIsMadeGoodByTheNextRead() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 2)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 2, order: .inOrder)
        pool.end(a, job, [0])
        _ = pool.outcomes(ann, job)
        pool.cut(client: ann)
        pool.reconnect(ann)
        pool.say(client: ann, [.read(ReadRequest(job: job, order: .inOrder, after: 1))])
        #expect(pool.told(node: a).contains(.acknowledge([1])))
        pool.end(a, job, [1])
        _ = pool.outcomes(ann, job, acknowledging: true)
        #expect(pool.progress(job) == nil)
    }

    /// Found by seed 782.
    @Test func aReaderBeyondTheEndIsToldTheEnd() {
        var pool = Scenario()
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 5, reads: false)
        _ = pool.ask(ann, .cancel(.id(job), tasks: [], kill: false))
        pool.say(client: ann, [.read(ReadRequest(job: job, order: .inOrder, after: 20))])
        #expect(pool.told(client: ann).contains { if case .ended = $0 { true } else { false } })
    }

    @Test func aSecondReaderInOrderOfAnAttachedJobGetsWhatIsLeft() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 2)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 3)
        pool.end(a, job, [0])
        pool.end(a, job, [1])
        _ = pool.outcomes(ann, job, acknowledging: true)
        let other = pool.connect("ann")
        pool.say(client: other, [.read(ReadRequest(job: job, order: .inOrder))])
        pool.end(a, job, [2])
        #expect(pool.outcomes(other, job).map(\.task) == [2])
    }
}
