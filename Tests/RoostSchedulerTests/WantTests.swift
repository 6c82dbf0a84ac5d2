import RoostModel
import RoostScheduler
import RoostTesting
import Testing

/// A job that waits for what no node has is told apart from one that waits for its turn.
@Suite struct WantTests {
    private static func first(_ pool: inout Scenario, _ client: Int, _ job: JobID) -> ExplainedNode? {
        guard case .explanation(let rows)? = pool.ask(client, .explain(.id(job), task: nil)) else { return nil }
        return rows.first
    }

    @Test func noNodeAtAll() {
        var pool = Scenario()
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 1)
        #expect(Self.first(&pool, ann, job)?.isUnfit == true)
        #expect(Self.first(&pool, ann, job)?.reason.contains("roost node start") == true)
        _ = pool.join("a")
        #expect(Self.first(&pool, ann, job)?.isUnfit == false)
    }

    @Test func noNodeRunsR() {
        var pool = Scenario()
        _ = pool.join("a")
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 1) { $0.runtime = .r }
        let reason = Self.first(&pool, ann, job)?.reason ?? ""
        #expect(reason.contains("no node of the pool runs R"))
        #expect(reason.contains("--r"))
        _ = pool.join("b", runtimes: [.r])
        #expect(Self.first(&pool, ann, job)?.isUnfit == false)
    }

    @Test func aRequestThatNothingCanMeetAndOneThatIsOnlyBusy() {
        var pool = Scenario()
        for name in ["a", "b", "c", "d"] { _ = pool.join(name, cpus: 2) }
        let ann = pool.connect("ann")
        let large = pool.submit(ann, tasks: 1) { $0.request = .cpus(3) }
        let want = Self.first(&pool, ann, large)
        #expect(want?.isUnfit == true)
        #expect(want?.reason.contains("a ") == true && want?.reason.contains("and 1 more") == true)
        let busy = pool.submit(ann, tasks: 20)
        #expect(Self.first(&pool, ann, busy)?.isUnfit == false)
        let labelled = pool.submit(ann, tasks: 1) { $0.labels = [Label(key: "zone", value: "x")] }
        #expect(Self.first(&pool, ann, labelled)?.reason.contains("lacks label zone=x") == true)
    }
}
