import RoostModel
import RoostNode
import Testing

/// Results that wait for the server: what stays in memory, what goes to disk, and what becomes of it.
@Suite struct ResultStoryTests {
    private static let job = JobID(rawValue: 7)

    /// A node with many slots, room for 100 bytes of results, and a disk; each task's result has as many bytes as is said.
    private struct Bench {
        var machine: NodeMachine
        var now = Instant.zero
        var actions: [NodeAction] = []
        /// What the disk holds.
        var disk: [UInt64: OutcomeBatch] = [:]
        var isDiskFull = false

        init(tasks: UInt32 = 20, memory: Int = 100) {
            machine = NodeMachine(
                identity: NodeHello(
                    node: NodeID(rawValue: 1), incarnation: Incarnation(rawValue: 1), name: "a", offer: .cpus(Int(tasks))))
            machine.resultsInMemory = memory
            tell(.connected(Welcome(pool: 1, epoch: 1)))
            let attempts = AttemptRun(job: job, epoch: 1, number: 3, tasks: TaskRange(first: 0, count: tasks))
            let arguments = PayloadSlice(PayloadArray((0..<tasks).map { _ in [] }))
            tell(
                .serverSaid(.job(JobSpec(id: job, runtime: .command))),
                .serverSaid(.grant(GrantRun(attempts: attempts, arguments: arguments))))
        }

        mutating func tell(_ events: NodeEvent...) {
            actions = []
            for event in events { machine.apply(event, at: now, into: &actions) }
            machine.settle(at: now, into: &actions)
            var done = 0
            while done < actions.count {
                defer { done += 1 }
                switch actions[done] {
                case .store(let sequence, let batch, _):
                    if isDiskFull {
                        machine.apply(.storingFailed(sequence: sequence, batch), at: now, into: &actions)
                    } else {
                        disk[sequence] = batch
                    }
                case .discardStored(let sequence): disk[sequence] = nil
                default: break
                }
            }
        }

        /// The tasks end one after the other, each in a turn of its own; what was done in all these turns.
        mutating func end(_ tasks: Range<Int>, bytes: Int) {
            var all: [NodeAction] = []
            for task in tasks {
                let payload = [UInt8](repeating: UInt8(task), count: bytes)
                tell(.workerEnded(worker: task, WorkerEnd(end: .succeeded, payload: payload)))
                all += actions
            }
            actions = all
        }

        mutating func cut() {
            tell(.disconnected)
            tell(.connected(Welcome(pool: 1, epoch: 1)))
        }

        var sent: [UInt64] { actions.compactMap { if case .send(.outcomes(let sequence, _)) = $0 { sequence } else { nil } } }
        var stored: [UInt64] { actions.compactMap { if case .store(let sequence, _, _) = $0 { sequence } else { nil } } }
        /// Stored batches that are to leave, now or when the link takes them.
        var storedToSend: [UInt64] {
            actions.compactMap {
                switch $0 {
                case .store(let sequence, _, sends: true), .sendStored(let sequence): sequence
                default: nil
                }
            }
        }
        var finished: [TaskIndex] {
            machine.hello.inventory.filter { $0.state == .finished }.flatMap { $0.attempts.tasks.first..<$0.attempts.tasks.end }
        }
        var hasLeft: Bool { actions.contains { if case .leave = $0 { true } else { false } } }
    }

    @Test func whatIsBeyondTheLimitIsStoredAndTheInventoryIsTheSame() {
        var node = Bench()
        node.end(0..<4, bytes: 40)
        #expect(node.sent == [1, 2])
        #expect(node.stored == [3, 4] && node.storedToSend == [3, 4])
        #expect(node.finished == [0, 1, 2, 3])
        #expect(node.machine.hello.inventory.allSatisfy { $0.state != .finished || $0.attempts.number == 3 })
        #expect(node.machine.status.unacknowledged == 4)
    }

    @Test func withoutALimitNothingIsStored() {
        var node = Bench(memory: .max)
        node.end(0..<20, bytes: 1000)
        #expect(node.stored.isEmpty && node.sent.count == 20)
    }

    @Test func whatIsAcknowledgedIsDiscardedAndLeavesRoomInMemory() {
        var node = Bench()
        node.end(0..<3, bytes: 40)
        node.tell(.storedSent(sequence: 3), .serverSaid(.acknowledge([1, 3])))
        #expect(node.disk.isEmpty)
        #expect(node.finished == [1])
        node.end(3..<5, bytes: 40)
        #expect(node.sent == [4] && node.stored == [5])
    }

    /// Else a link that is always full of what is new would leave the oldest results to the end.
    @Test func nothingOvertakesWhatWaitsOnDisk() {
        var node = Bench()
        node.end(0..<3, bytes: 40)
        node.tell(.serverSaid(.acknowledge([1, 2])))
        node.end(3..<4, bytes: 40)
        #expect(node.stored == [4], "there is room in memory, but batch 3 has not left")
        node.tell(.storedSent(sequence: 3), .storedSent(sequence: 4))
        node.end(4..<5, bytes: 40)
        #expect(node.sent == [5])
    }

    @Test func afterACutEverythingIsSentAgainInItsOrder() {
        var node = Bench()
        node.end(0..<4, bytes: 40)
        node.tell(.storedSent(sequence: 3))
        node.cut()
        #expect(node.sent == [1, 2] && node.storedToSend == [3, 4])
        node.tell(.disconnected)
        node.end(4..<5, bytes: 40)
        #expect(node.stored == [5] && node.storedToSend.isEmpty, "there is nobody to send it to")
        node.tell(.serverSaid(.acknowledge([1, 2])))
        node.tell(.connected(Welcome(pool: 1, epoch: 1)))
        #expect(node.sent.isEmpty && node.storedToSend == [3, 4, 5])
    }

    @Test func whatCannotBeStoredStaysInMemoryAndAfterAMinuteTheDiskIsTriedAgain() {
        var node = Bench()
        node.isDiskFull = true
        node.end(0..<4, bytes: 40)
        #expect(node.stored == [3], "one failure is enough for a while")
        #expect(node.sent == [1, 2, 3, 4])
        node.cut()
        #expect(node.sent == [1, 2, 3, 4])
        node.isDiskFull = false
        node.now = node.now + .seconds(61)
        node.end(4..<5, bytes: 40)
        #expect(node.stored == [5])
    }

    /// On disk or in memory: beyond the bound nothing starts.
    @Test(arguments: [false, true]) func beyondTheBoundNothingStarts(isDiskFull: Bool) {
        var node = Bench(tasks: 4)
        node.isDiskFull = isDiskFull
        node.machine.mostUnacknowledgedBytes = 160
        node.end(0..<4, bytes: 40)
        let attempts = AttemptRun(job: Self.job, epoch: 1, number: 1, tasks: TaskRange(first: 100, count: 1))
        node.tell(.serverSaid(.grant(GrantRun(attempts: attempts, arguments: PayloadSlice(PayloadArray([[]]))))))
        #expect(node.machine.runningCount == 0 && node.machine.queuedCount == 1)
        node.tell(.serverSaid(.acknowledge([2])))
        #expect(node.machine.runningCount == 1)
    }

    @Test func whatCannotBeReadBackIsReportedAsReclaimedAndRunsAgainUncharged() throws {
        var node = Bench()
        node.end(0..<3, bytes: 40)
        node.tell(.storedUnreadable(sequence: 3))
        guard case .send(.outcomes(3, let batch)) = try #require(node.actions.first) else {
            Issue.record("\(node.actions)")
            return
        }
        #expect(batch.tasks == [TaskRange(first: 2, count: 1)] && batch.attempt(at: 0) == 3 && batch.isConsistent)
        #expect(batch.code(at: 0) == OutcomeCode(.cancelled, .reclaimed))
        #expect(batch.postMortem(at: 0)?.reason.contains("could not be read back") == true)
        #expect(node.finished == [0, 1, 2], "until the server has heard it")
        node.cut()
        #expect(node.sent == [1, 2, 3])
        node.end(3..<4, bytes: 40)
        #expect(node.stored.isEmpty, "such a disk is not trusted for a while")
        node.tell(.serverSaid(.acknowledge([1, 2, 3, 4])))
        #expect(node.machine.unacknowledgedCount == 0)
    }

    /// A node that leaves waits for its results, as long as the server takes one now and then.
    @Test func aNodeStaysAsLongAsItsStoredResultsAreTaken() {
        var node = Bench(tasks: 4)
        node.end(0..<4, bytes: 60)
        node.tell(.drainRequested(reason: "SIGTERM"))
        for sequence in 2...4 as ClosedRange<UInt64> {
            node.now = node.now + .seconds(9)
            node.tell(.deadlinePassed, .storedSent(sequence: sequence))
            #expect(!node.hasLeft)
        }
        node.tell(.serverSaid(.acknowledge([1, 2, 3, 4])))
        #expect(node.hasLeft)
    }
}
