import RoostModel
import RoostScheduler
import RoostTesting
import Testing

/// Clients that go and come back, and jobs that are sent again.
@Suite struct SessionTests {
    @Test func attachedJobsWaitAGraceTimeForTheirClient() {
        var pool = Scenario { $0.clientGrace = .seconds(60) }
        let a = pool.join("a")
        let ann = pool.connect("ann")
        let attached = pool.submit(ann, tasks: 2)
        let durable = pool.submit(ann, tasks: 2) { $0.retention = .durable }
        pool.cut(client: ann)
        pool.pass(.seconds(59))
        #expect(pool.progress(attached) != nil)
        pool.pass(.seconds(2))
        #expect(pool.progress(attached) == nil)
        #expect(pool.tasks(a, attached) == [], "dropped at its node, too")
        #expect(pool.tasks(a, durable) == [0])
    }

    @Test func whoComesBackInTimeLosesNothing() {
        var pool = Scenario { $0.clientGrace = .seconds(60) }
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 2)
        pool.cut(client: ann)
        pool.pass(.seconds(50))
        pool.reconnect(ann)
        pool.pass(.seconds(100))
        #expect(pool.progress(job) != nil)
    }

    @Test func aSilentClientIsAwayWhateverItsConnectionSays() {
        var pool = Scenario { $0.clientGrace = .seconds(60) }
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 2)
        pool.silence(client: ann)
        pool.pass(.seconds(70))
        #expect(pool.progress(job) != nil)
        pool.pass(.seconds(10))
        #expect(pool.progress(job) == nil)
    }

    @Test func sendingASubmissionTwiceGivesTheSameJob() {
        var pool = Scenario()
        let ann = pool.connect("ann")
        var spec = JobSpec(id: pool.newJob(), runtime: .command)
        spec.policy.crashLimit = 0
        pool.say(client: ann, [.submit(spec), .append(Scenario.chunk(spec.id, first: 0, count: 3))])
        pool.say(client: ann, [.submit(spec), .append(Scenario.chunk(spec.id, first: 1, count: 4))])
        let answers = pool.told(client: ann)
        #expect(answers.contains(.submitted(job: spec.id, number: 1, tasks: 3)))
        #expect(pool.progress(spec.id)?.tasks == 5)
        spec.name = "another"
        pool.say(client: ann, [.submit(spec)])
        #expect(pool.told(client: ann).contains { if case .refused = $0 { true } else { false } })
    }

    @Test func whatTheClientHasOutcomesOfDoesNotRunAgain() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 4)
        let ann = pool.connect("ann")
        let spec = JobSpec(id: pool.newJob(), runtime: .command)
        pool.say(
            client: ann,
            [
                .submit(spec),
                .append(
                    Scenario.chunk(
                        spec.id, first: 0, count: 6,
                        finished: [TaskRange(first: 0, count: 2), TaskRange(first: 4, count: 1)])),
                .close(job: spec.id, count: 6), .read(ReadRequest(job: spec.id, order: .inOrder)),
            ])
        #expect(pool.tasks(a, spec.id) == [2, 3, 5])
        pool.end(a, spec.id, [2, 3, 5])
        #expect(pool.outcomes(ann, spec.id, acknowledging: true).map(\.task) == [2, 3, 5])
        #expect(pool.progress(spec.id) == nil, "ended and forgotten")
    }

    @Test func finishedRangesThatMakeNoSenseAreIgnored() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 4)
        let ann = pool.connect("ann")
        let spec = JobSpec(id: pool.newJob(), runtime: .command)
        let nonsense = [
            TaskRange(first: 2, count: 1), TaskRange(first: 1, count: 2), TaskRange(first: 3, count: 9),
            TaskRange(first: .max, count: .max), TaskRange(first: 3, count: 0),
        ]
        pool.say(
            client: ann, [.submit(spec), .append(Scenario.chunk(spec.id, first: 0, count: 4, finished: nonsense))])
        #expect(pool.tasks(a, spec.id) == [0, 1, 3])
    }

    /// Found by eleven seeds: attempt 1 of a task was granted twice, on two nodes.
    @Test func aForgottenJobThatComesBackGoesOnWithItsNumbers() {
        var pool = Scenario { $0.clientGrace = .seconds(60) }
        let a = pool.join("a")
        let ann = pool.connect("ann")
        let spec = JobSpec(id: pool.newJob(), runtime: .command)
        let messages: [ClientToServer] = [
            .submit(spec), .append(Scenario.chunk(spec.id, first: 0, count: 1)), .close(job: spec.id, count: 1),
        ]
        pool.say(client: ann, messages)
        #expect(pool.attempt(a, spec.id, 0) == 1)
        pool.cut(a)
        pool.cut(client: ann)
        pool.pass(.seconds(70))
        let b = pool.join("b")
        pool.reconnect(ann)
        pool.say(client: ann, messages)
        #expect(pool.attempt(b, spec.id, 0) == 2)
        pool.comeBack(a)
        #expect(pool.tasks(a, spec.id) == [])
        pool.end(a, spec.id, [0], attempt: 1)
        #expect(pool.progress(spec.id)?.late == 1)
    }

    @Test func explainSaysForEachNodeWhy() {
        var pool = Scenario()
        _ = pool.join("small", cpus: 1)
        _ = pool.join("plain", cpus: 8)
        let draining = pool.join("draining", cpus: 8, labels: [Label(key: "zone", value: "a")])
        let away = pool.join("away", cpus: 8, labels: [Label(key: "zone", value: "a")])
        _ = pool.join("other", cpus: 8, runtimes: [.digest])
        pool.say(draining, .draining(reason: "SIGTERM"))
        pool.cut(away)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 1) {
            $0.request = .cpus(2)
            $0.labels = [Label(key: "zone", value: "a")]
        }
        guard case .explanation(let lines)? = pool.ask(ann, .explain(.id(job), task: 0)) else {
            Issue.record("no explanation")
            return
        }
        let reasons = Dictionary(lines.map { ($0.node, $0.reason) }) { first, _ in first }
        #expect(reasons["small"] == "lacks label zone=a")
        #expect(reasons["plain"] == "lacks label zone=a")
        #expect(reasons["draining"] == "is draining")
        #expect(reasons["away"] == "is out of contact")
        #expect(reasons["other"] == "has no runtime 'command'")
        #expect(reasons[""] == "1 tasks wait for a free slot")
    }
}
