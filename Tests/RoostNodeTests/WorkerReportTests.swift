import RoostModel
import RoostNode
import Testing

/// The server knows a node's workers as they are now, and is not told of every task.
@Suite struct WorkerReportTests {
    private static let ann = SessionID(rawValue: 1)

    private struct Bench {
        var machine = NodeMachine(
            identity: NodeHello(
                node: NodeID(rawValue: 1), incarnation: Incarnation(rawValue: 1), name: "a", offer: .cpus(2)))
        var now = Instant.zero + .seconds(100)
        var said: [[WorkerSnapshot]] = []

        init() { tell(.connected(Welcome(pool: 1, epoch: 1))) }

        mutating func tell(_ event: NodeEvent) {
            var actions: [NodeAction] = []
            machine.apply(event, at: now, into: &actions)
            machine.settle(at: now, into: &actions)
            for case .send(.heartbeat(let status)) in actions { said.append(status.workers) }
        }

        mutating func pass(_ duration: Duration) {
            let end = now + duration
            while let deadline = machine.nextDeadline, deadline <= end {
                now = max(now, deadline)
                tell(.deadlinePassed)
            }
            now = end
        }

        /// What was said since it was last asked.
        mutating func heard() -> [[WorkerSnapshot]] {
            defer { said = [] }
            return said
        }
    }

    private static func worker(
        _ pid: Int32, _ state: WorkerSnapshot.State = .idle, session: SessionID = ann, task: UInt32? = nil, seconds: Double = 0
    ) -> WorkerSnapshot {
        WorkerSnapshot(
            processID: pid, session: session, state: state,
            task: task.map { TaskID(job: JobID(rawValue: 7), index: $0) }, seconds: seconds)
    }

    @Test func aWorkerThatComesOrGoesIsToldAtOnce() {
        var node = Bench()
        node.tell(.workersChanged([Self.worker(5)]))
        #expect(node.heard() == [[Self.worker(5)]])
        node.pass(.seconds(1))
        node.tell(.workersChanged([Self.worker(5, session: SessionID(rawValue: 2))]))
        #expect(node.heard().map { $0.map(\.session.rawValue) } == [[2]])
        node.pass(.seconds(1))
        node.tell(.workersChanged([]))
        #expect(node.heard() == [[]])
    }

    @Test func manyComingsAreOneHeartbeat() {
        var node = Bench()
        for count in 1...20 { node.tell(.workersChanged((1...Int32(count)).map { Self.worker($0) })) }
        #expect(node.heard().map(\.count) == [1])
        node.pass(.milliseconds(49))
        #expect(node.heard().isEmpty)
        node.pass(.milliseconds(2))
        #expect(node.heard().map(\.count) == [20])
    }

    @Test func shortTasksAreNotTold() {
        var node = Bench()
        node.tell(.workersChanged([Self.worker(5)]))
        _ = node.heard()
        for task in 0..<1000 {
            node.pass(.milliseconds(1))
            node.tell(.workersChanged([Self.worker(5, .busy, task: UInt32(task))]))
        }
        #expect(node.heard().isEmpty)
        node.pass(.seconds(3))
        let heartbeats = node.heard()
        #expect(heartbeats.first?.map(\.task?.index) == [999], "the usual heartbeat has it as it is")
        #expect(heartbeats.first?.first.map { $0.seconds > 1 } == true, "and says how old that is")
    }

    @Test func longTasksAreToldSoon() {
        var node = Bench()
        node.tell(.workersChanged([Self.worker(5)]))
        _ = node.heard()
        node.pass(.milliseconds(100))
        node.tell(.workersChanged([Self.worker(5, .busy, task: 1, seconds: 0.1)]))
        node.pass(.milliseconds(399))
        #expect(node.heard().isEmpty)
        node.pass(.milliseconds(1))
        #expect(node.heard().map { $0.map(\.state) } == [[.busy]])
        node.pass(.milliseconds(100))
        node.tell(.workersChanged([Self.worker(5, .idle, seconds: 0)]))
        node.pass(.milliseconds(400))
        #expect(node.heard().map { $0.map(\.state) } == [[.idle]])
    }

    @Test func aNewConnectionHearsAllOfThem() {
        var node = Bench()
        node.tell(.workersChanged([Self.worker(5)]))
        _ = node.heard()
        node.tell(.disconnected)
        node.tell(.workersChanged([Self.worker(5), Self.worker(6)]))
        #expect(node.heard().isEmpty)
        node.tell(.connected(Welcome(pool: 1, epoch: 1)))
        node.pass(.milliseconds(50))
        #expect(node.heard().map(\.count) == [2])
    }
}
