import RoostModel
import RoostTesting
import Testing

/// Workers are seen by all, and ended by those whom they serve.
@Suite struct WorkerTests {
    /// A pool whose node has a worker for ann (process 10), one for bob (20) and one for nobody yet (30).
    private static func pool() -> (pool: Scenario, node: Int, ann: Int, bob: Int) {
        var pool = Scenario()
        let node = pool.join("a", cpus: 4, runtimes: [.r])
        let (ann, bob) = (pool.connect("ann"), pool.connect("bob"))
        pool.setUp(ann, number: 1)
        pool.setUp(bob, number: 1)
        let workers = [
            WorkerSnapshot(processID: 10, session: pool.session(ann), state: .idle, seconds: 5),
            WorkerSnapshot(processID: 20, session: pool.session(bob), state: .idle),
            WorkerSnapshot(processID: 30, state: .idle),
        ]
        pool.say(node, .heartbeat(NodeStatus(workers: workers)))
        _ = pool.told(node: node)
        return (pool, node, ann, bob)
    }

    private static func workers(_ reply: Reply?) -> [WorkerSnapshot] {
        guard case .pool(let snapshot) = reply else { return [] }
        return snapshot.nodes.flatMap(\.status.workers)
    }

    @Test func everybodySeesWorkersAndNobodySeesAnothersSession() {
        var (pool, _, ann, bob) = Self.pool()
        pool.silence(0)
        pool.pass(.seconds(2))
        let seen = Self.workers(pool.ask(ann, .pool))
        #expect(seen.map(\.processID) == [10, 20, 30])
        #expect(seen[0].session == pool.session(ann))
        #expect(seen[1].session != pool.session(bob))
        #expect(abs(seen[0].seconds - 7) < 0.001, "time goes on between heartbeats")
    }

    @Test func aUserEndsTheWorkersOfHerSessions() {
        var (pool, node, ann, _) = Self.pool()
        let other = pool.connect("ann")
        for client in [ann, other] {
            #expect(pool.ask(client, .killWorker(node: "a", processID: 10, signal: 15)) == .done(count: 1))
            #expect(pool.told(node: node).contains(.killWorker(processID: 10, signal: 15)))
        }
    }

    @Test func nobodyEndsAnothersWorkerButAnAdministrator() {
        var (pool, node, ann, _) = Self.pool()
        func code(_ reply: Reply?) -> RoostError.Code? { if case .failed(let error) = reply { error.code } else { nil } }
        #expect(code(pool.ask(ann, .killWorker(node: "a", processID: 20, signal: 15))) == .refused)
        #expect(code(pool.ask(ann, .killWorker(node: "a", processID: 30, signal: 15))) == .refused)
        #expect(code(pool.ask(ann, .killWorker(node: "a", processID: 1, signal: 15))) == .notFound)
        #expect(code(pool.ask(ann, .killWorker(node: "b", processID: 10, signal: 15))) == .notFound)
        #expect(code(pool.ask(ann, .killWorker(node: "a", processID: 10, signal: 0))) == .usage)
        let observer = pool.connect("ann", role: .observer)
        #expect(code(pool.ask(observer, .killWorker(node: "a", processID: 10, signal: 15))) == .refused)
        #expect(pool.told(node: node).isEmpty)
        let admin = pool.connect("root", role: .admin)
        for pid: Int32 in [10, 20, 30] {
            #expect(pool.ask(admin, .killWorker(node: "a", processID: pid, signal: 9)) == .done(count: 1))
        }
    }
}
