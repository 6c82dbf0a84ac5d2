import RoostModel
import RoostScheduler
import RoostTesting
import Testing

/// A node that kills what runs well elsewhere.
@Suite struct QuarantineTests {
    @Test func aNodeOnWhichOthersTasksCrashIsDrainedAndItIsSaidWhy() {
        var pool = Scenario()
        let bad = pool.join("bad")
        let good = pool.join("good", cpus: 8)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 60) { $0.policy.crashLimit = 5 }
        for _ in 0..<200 {
            if let task = pool.tasks(bad, job).first { pool.end(bad, job, [task], .crashed, seconds: 10) }
            for task in pool.tasks(good, job) { pool.end(good, job, [task], seconds: 10) }
        }
        #expect(pool.progress(job)?.succeeded == 60)
        #expect(pool.told(node: bad).contains(.drain))
        #expect(!pool.told(node: good).contains(.drain))
        #expect(pool.notices.contains(.nodeQuarantined(name: "bad", tasks: 3)))
        let waiting = pool.submit(ann, tasks: 1)
        guard case .explanation(let lines) = pool.ask(ann, .explain(.id(waiting), task: nil)) else {
            Issue.record("no explanation")
            return
        }
        #expect(lines.contains { $0.node == "bad" && $0.reason.contains("crashed there that succeeded elsewhere") })
    }

    @Test func nodesThatCrashedATaskEachTakeTheOthers() {
        var pool = Scenario()
        let (a, b) = (pool.join("a"), pool.join("b"))
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 2) { $0.policy.crashLimit = 5 }
        let (first, second) = (pool.tasks(a, job)[0], pool.tasks(b, job)[0])
        pool.end(a, job, [first], .crashed)
        #expect(pool.tasks(a, job).isEmpty, "another node is to try")
        pool.end(b, job, [second], .crashed)
        #expect(pool.tasks(a, job) == [second])
        #expect(pool.tasks(b, job) == [first])
    }

    /// Simulator, seed 47411.
    @Test func aNodeThatLeavesWhatItCrashedToAnotherTakesTasksThatComeLater() {
        var pool = Scenario()
        let (a, b) = (pool.join("a"), pool.join("b"))
        let ann = pool.connect("ann")
        let job = pool.newJob()
        pool.say(
            client: ann, [.submit(JobSpec(id: job, runtime: .command)), .append(Scenario.chunk(job, first: 0, count: 2))])
        let (crashed, busy) = (pool.tasks(a, job), pool.tasks(b, job))
        pool.end(a, job, crashed, .crashed)
        #expect(pool.tasks(a, job).isEmpty, "another node is to try")
        pool.say(client: ann, [.append(Scenario.chunk(job, first: 2, count: 1))])
        #expect(pool.tasks(a, job) == [2])
        #expect(pool.tasks(b, job) == busy)
    }

    @Test func tasksThatCrashNowAndThenEverywhereDrainNobody() {
        var pool = Scenario()
        let nodes = (0..<3).map { pool.join("n\($0)", cpus: 1) }
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 300) { $0.policy.crashLimit = 200 }
        var ended = 0
        while pool.progress(job)?.isEnded == false {
            for node in nodes {
                guard let task = pool.tasks(node, job).first else { continue }
                ended += 1
                pool.end(node, job, [task], ended % 7 == 0 ? .crashed : .succeeded, seconds: 10)
            }
        }
        #expect(!pool.notices.contains { if case .nodeQuarantined = $0 { true } else { false } })
    }
}
