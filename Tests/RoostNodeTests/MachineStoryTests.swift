import RoostModel
import RoostNode
import Testing

/// What a node decides: what runs when, what is kept, what is given back.
@Suite struct NodeMachineTests {
    private static let job = JobID(rawValue: 7)

    /// A node's machine, and what it was told to do last.
    private struct Bench {
        var machine: NodeMachine
        var now = Instant.zero
        var actions: [NodeAction] = []

        init(cpus: Int = 1, connected: Bool = true) {
            machine = NodeMachine(
                identity: NodeHello(
                    node: NodeID(rawValue: 1), incarnation: Incarnation(rawValue: 1), name: "a", offer: .cpus(cpus)))
            if connected { tell(.connected(Welcome(pool: 1, epoch: 1))) }
        }

        mutating func tell(_ events: NodeEvent...) {
            actions = []
            for event in events { machine.apply(event, at: now, into: &actions) }
            machine.settle(at: now, into: &actions)
        }

        mutating func pass(_ duration: Duration) {
            let end = now + duration
            var all: [NodeAction] = []
            while let deadline = machine.nextDeadline, deadline <= end {
                now = max(now, deadline)
                tell(.deadlinePassed)
                all += actions
            }
            now = end
            actions = all
        }

        mutating func grant(_ tasks: Range<UInt32>, attempt: UInt32 = 1, _ change: (inout JobSpec) -> Void = { _ in }) {
            var spec = JobSpec(id: NodeMachineTests.job, runtime: .command)
            change(&spec)
            tell(.serverSaid(.job(spec)), .serverSaid(.grant(NodeMachineTests.run(tasks, attempt: attempt))))
        }

        var started: [TaskIndex] {
            actions.compactMap { if case .start(_, let start) = $0 { start.tasks.first } else { nil } }
        }

        /// The tasks of each start.
        var batches: [Range<TaskIndex>] {
            actions.compactMap {
                if case .start(_, let start) = $0 { start.tasks.first..<start.tasks.end } else { nil }
            }
        }

        var outcomes: [(task: TaskIndex, code: OutcomeCode)] {
            said.flatMap { message -> [(TaskIndex, OutcomeCode)] in
                guard case .outcomes(_, let batch) = message else { return [] }
                return Array(zip(batch.tasks.flatMap { $0.first..<$0.end }, (0..<batch.count).map { batch.code(at: $0) }))
            }
        }

        /// The first worker has done its batch.
        mutating func finish(_ tasks: Range<TaskIndex>, nanoseconds: UInt64) {
            var batch = OutcomeBatch(job: NodeMachineTests.job, epoch: 1)
            for task in tasks { batch.append(task: task, attempt: 1, code: .succeeded, payload: [0]) }
            batch.runNanoseconds = nanoseconds
            tell(.batchEnded(worker: 0, batch))
        }

        var said: [NodeToServer] { actions.compactMap { if case .send(let message) = $0 { message } else { nil } } }

        var signals: [WorkerSignal] {
            actions.compactMap { if case .signal(_, let signal) = $0 { signal } else { nil } }
        }

        var reported: [OutcomeCode] {
            said.flatMap { message -> [OutcomeCode] in
                guard case .outcomes(_, let batch) = message else { return [] }
                return (0..<batch.count).map { batch.code(at: $0) }
            }
        }

        var hasLeft: Bool { actions.contains { if case .leave = $0 { true } else { false } } }
    }

    private static func run(_ tasks: Range<UInt32>, attempt: UInt32 = 1) -> GrantRun {
        GrantRun(
            attempts: attempts(tasks, attempt),
            arguments: PayloadSlice(PayloadArray(tasks.map { [UInt8(truncatingIfNeeded: $0)] })))
    }

    private static func attempts(_ tasks: Range<UInt32>, _ number: UInt32 = 1) -> AttemptRun {
        AttemptRun(
            job: job, epoch: 1, number: number, tasks: TaskRange(first: tasks.lowerBound, count: UInt32(tasks.count)))
    }

    private static let success = WorkerEnd(end: .succeeded, payload: [1])

    @Test func asManyRunAsThereIsRoomFor() {
        var node = Bench(cpus: 2)
        node.grant(0..<5)
        #expect(node.started == [0, 1])
        node.tell(.workerEnded(worker: 0, Self.success))
        #expect(node.started == [2])
        #expect(node.machine.queuedCount == 2)
    }

    @Test func aSeatsTasksStartOneAfterTheOther() {
        var node = Bench(cpus: 3)
        node.grant(0..<2) { ($0.runtime, $0.session, $0.seat) = (.r, SessionID(rawValue: 5), 1) }
        #expect(node.started == [0])
        node.tell(.workerEnded(worker: 0, Self.success))
        #expect(node.started == [1])
    }

    @Test func whatWaitsForItsWorkerHoldsNothingAndItsTimeDoesNotRun() {
        var node = Bench()
        node.grant(0..<1) {
            ($0.runtime, $0.session, $0.seat) = (.r, SessionID(rawValue: 5), 1)
            $0.policy.timeout = .seconds(2)
        }
        node.tell(.workerWaits(worker: 0))
        #expect(node.machine.freeResources == .cpus(1))
        node.pass(.seconds(5))
        #expect(node.signals.isEmpty)
        #expect(!node.said.contains { if case .running = $0 { true } else { false } })
        node.tell(.workerBegan(worker: 0))
        #expect(node.machine.freeResources == .cpus(0))
        node.pass(.seconds(1))
        #expect(node.signals.isEmpty)
        node.pass(.seconds(2))
        #expect(node.signals == [.interrupt])
        node.tell(.workerEnded(worker: 0, Self.success))
        #expect(node.machine.freeResources == .cpus(1))
    }

    @Test func aTaskWithoutRoomDoesNotStopSmallerOnesBehindIt() {
        var node = Bench(cpus: 2)
        node.grant(0..<1)
        var wide = JobSpec(id: JobID(rawValue: 8), runtime: .command, request: .cpus(2))
        wide.name = "wide"
        var run = Self.run(0..<1)
        run.attempts.job = wide.id
        node.tell(.serverSaid(.job(wide)), .serverSaid(.grant(run)))
        #expect(node.started.isEmpty)
        node.tell(.serverSaid(.grant(Self.run(1..<2))))
        #expect(node.started == [1])
    }

    @Test func aResultIsKeptUntilItIsAcknowledged() {
        var node = Bench()
        node.grant(0..<1)
        node.tell(.workerEnded(worker: 0, Self.success))
        #expect(node.reported == [.succeeded])
        node.tell(.disconnected)
        #expect(node.machine.hello.inventory.map(\.state) == [.finished])
        node.tell(.connected(Welcome(pool: 1, epoch: 1)))
        #expect(node.reported == [.succeeded], "sent again after the cut")
        node.tell(.serverSaid(.acknowledge([1])))
        #expect(node.machine.unacknowledgedCount == 0)
        #expect(node.machine.hello.inventory.isEmpty)
    }

    @Test func itGoesOnWhileItIsCutOff() {
        var node = Bench()
        node.grant(0..<3)
        node.tell(.disconnected)
        node.tell(.workerEnded(worker: 0, Self.success))
        #expect(node.started == [1])
        #expect(node.said.isEmpty)
        let states = node.machine.hello.inventory.map { ($0.state, $0.attempts.tasks.first) }
        #expect(states.map(\.0) == [.queued, .running, .finished])
        #expect(states.map(\.1) == [2, 1, 0])
    }

    @Test func whatTheGuardEndedWhileTheAgentWasStoppedIsNotCharged() {
        var node = Bench()
        node.pass(.seconds(4))
        node.tell(.serverSaid(.heartbeat(interval: .seconds(3))))
        node.grant(0..<1) {
            $0.policy.isStrict = true
            $0.policy.lease = .seconds(20)
        }
        #expect(node.started == [0])
        // Stopped for a minute: the process's end is the first thing it hears.
        node.now = node.now + .seconds(60)
        node.tell(.workerEnded(worker: 0, WorkerEnd(end: .crashed, payload: [], postMortem: PostMortem(reason: "killed"))))
        #expect(node.outcomes.map(\.code) == [OutcomeCode(.cancelled, .reclaimed)])
    }

    @Test func onlyWhatNoWorkerHasIsGivenBackTheLastFirst() {
        var node = Bench()
        node.grant(0..<4)
        node.tell(.serverSaid(.retract(job: Self.job, count: 2)))
        #expect(node.said == [.retracted(job: Self.job, [Self.attempts(2..<4)])])
        node.tell(.serverSaid(.retract(job: Self.job, count: .max)))
        #expect(node.said == [.retracted(job: Self.job, [Self.attempts(1..<2)])])
        node.tell(.serverSaid(.retract(job: Self.job, count: 1)))
        #expect(node.said == [.retracted(job: Self.job, [])], "an answer, though there is nothing")
    }

    @Test func cancelGoesFromInterruptToKillAndWhatWaitsEndsAtOnce() {
        var node = Bench()
        node.grant(0..<2) { $0.policy.killGrace = .seconds(2) }
        node.tell(.serverSaid(.cancel(attempts: [Self.attempts(0..<2)], kill: false)))
        #expect(node.signals == [.interrupt])
        #expect(node.reported == [OutcomeCode(.cancelled, .neverRan)])
        node.pass(.seconds(3))
        #expect(node.signals == [.terminate])
        node.pass(.seconds(3))
        #expect(node.signals == [.kill])
        node.tell(.workerEnded(worker: 0, WorkerEnd(end: .crashed, payload: [])))
        #expect(node.reported == [OutcomeCode(.cancelled, .cancelled)])
    }

    @Test func aTaskThatEndsWellBeforeItsCancelReachesItHasSucceeded() {
        var node = Bench()
        node.grant(0..<1)
        node.tell(.serverSaid(.cancel(attempts: [Self.attempts(0..<1)], kill: false)))
        node.tell(.workerEnded(worker: 0, Self.success))
        #expect(node.reported == [.succeeded])
    }

    @Test func aTimeoutEndsTheAttemptAndSaysSo() {
        var node = Bench()
        node.grant(0..<1) { $0.policy.timeout = .seconds(10) }
        node.pass(.seconds(9))
        #expect(node.signals.isEmpty)
        node.pass(.seconds(2))
        #expect(node.signals == [.terminate])
        node.tell(.workerEnded(worker: 0, WorkerEnd(end: .crashed, payload: [])))
        #expect(node.reported == [OutcomeCode(.failed, .timedOut)])
    }

    @Test func whatIsDroppedIsKilledAndNeverReported() {
        var node = Bench()
        node.grant(0..<3)
        node.tell(.serverSaid(.drop([Self.attempts(0..<3)])))
        #expect(node.signals == [.kill])
        #expect(node.machine.queuedCount == 0)
        node.tell(.workerEnded(worker: 0, WorkerEnd(end: .crashed, payload: [])))
        #expect(node.said.isEmpty)
        #expect(node.machine.freeResources == .oneCPU)
    }

    @Test func onlyTheAttemptNamedIsDropped() {
        var node = Bench()
        node.grant(0..<2, attempt: 3)
        node.tell(.serverSaid(.drop([Self.attempts(0..<2, 2)])))
        #expect(node.signals.isEmpty)
        #expect(node.machine.queuedCount == 1)
    }

    /// A batch of which one task was to be dropped was killed whole, and the others never reported.
    @Test func aBatchIsDroppedWholeOrNotAtAll() {
        var node = Bench()
        node.grant(0..<10) { $0.runtime = .digest }
        node.tell(.serverSaid(.drop([Self.attempts(0..<1)])))
        #expect(node.signals.isEmpty)
        node.tell(.serverSaid(.drop([Self.attempts(0..<10)])))
        #expect(node.signals == [.kill])
    }

    @Test func whatRunsForAWhileIsReportedOnceForEachConnection() {
        var node = Bench()
        node.grant(0..<1)
        node.pass(.milliseconds(99))
        #expect(node.said.isEmpty)
        node.pass(.seconds(1))
        #expect(node.said == [.running([Self.attempts(0..<1)])])
        node.tell(.disconnected)
        node.tell(.connected(Welcome(pool: 1, epoch: 1)))
        node.pass(.milliseconds(1))
        #expect(node.said == [.running([Self.attempts(0..<1)])])
    }

    @Test func drainingGivesBackWhatWaitsFinishesWhatRunsAndLeaves() {
        var node = Bench()
        node.grant(0..<3)
        node.tell(.drainRequested(reason: "SIGTERM"))
        #expect(node.said == [.draining(reason: "SIGTERM"), .retracted(job: Self.job, [Self.attempts(1..<3)])])
        node.tell(.workerEnded(worker: 0, Self.success))
        #expect(!node.hasLeft, "its result is not acknowledged")
        node.tell(.serverSaid(.acknowledge([1])))
        #expect(node.hasLeft)
        #expect(node.said == [.goodbye(reason: "SIGTERM")])
    }

    /// An agent that was drained while it was out of contact went on with its queue, and left without a word.
    @Test func drainingOutOfContactStartsNothingAndWaitsALittle() {
        var node = Bench()
        node.grant(0..<3)
        node.tell(.disconnected)
        node.tell(.drainRequested(reason: "SIGTERM"))
        node.tell(.workerEnded(worker: 0, Self.success))
        #expect(node.started.isEmpty)
        #expect(!node.hasLeft)
        node.pass(.seconds(11))
        #expect(node.hasLeft)
    }

    @Test func stoppingKillsEverythingAtOnce() {
        var node = Bench(cpus: 2)
        node.grant(0..<2)
        node.tell(.stopRequested(reason: "SIGTERM twice"))
        #expect(node.signals == [.kill, .kill])
        #expect(node.hasLeft)
    }

    @Test func silenceMakesItConnectAnew() {
        var node = Bench()
        node.pass(.seconds(14))
        #expect(node.said.count == 4, "a heartbeat every three seconds")
        node.pass(.seconds(2))
        let reconnects = node.actions.contains { if case .reconnect = $0 { true } else { false } }
        #expect(reconnects)
    }

    // MARK: Workers that outlive their tasks

    /// A machine that has learned that tasks of its job take a microsecond.
    private static func quick() -> Bench {
        var bench = Bench()
        bench.grant(0..<1000) { $0.runtime = .r }
        #expect(bench.batches == [0..<1], "nobody knows yet how long they take")
        bench.finish(0..<1, nanoseconds: 1000)
        return bench
    }

    @Test func shortTasksOfAWorkerThatStaysTravelInBatches() {
        let bench = Self.quick()
        #expect(bench.batches == [1..<1000])
    }

    @Test func whenABatchsWorkerDiesItsTasksRunAgainOneByOneUncharged() {
        var bench = Self.quick()
        let death = WorkerEnd(end: .crashed, payload: [], postMortem: PostMortem(reason: "killed"))
        bench.tell(.workerEnded(worker: 0, death))
        #expect(bench.said.isEmpty, "none of them is charged")
        #expect(bench.batches == [1..<2])
        bench.finish(1..<2, nanoseconds: 1000)
        #expect(bench.batches == [2..<3], "still one by one")
        bench.tell(.workerEnded(worker: 0, death))
        #expect(bench.outcomes.map(\.code) == [OutcomeCode(.held, .crashed)], "this one did it, alone")
        #expect(bench.batches == [3..<4])
    }

    @Test func theSameAfterANewConnection() {
        var bench = Self.quick()
        bench.tell(.disconnected)
        bench.tell(.connected(Welcome(pool: 1, epoch: 1)))
        bench.tell(.workerEnded(worker: 0, WorkerEnd(end: .crashed, payload: [], postMortem: PostMortem(reason: "killed"))))
        #expect(bench.batches == [1..<2], "the job is known although nothing of it waits")
    }

    @Test func aBatchThatOverrunsTheTimeoutIsRunAgainOneByOne() {
        var bench = Bench()
        bench.grant(0..<100) {
            $0.runtime = .r
            $0.policy.timeout = .seconds(10)
        }
        bench.finish(0..<1, nanoseconds: 1000)
        #expect(bench.batches == [1..<100])
        bench.pass(.seconds(11))
        #expect(bench.signals == [.kill])
        bench.tell(.workerEnded(worker: 0, WorkerEnd(end: .crashed, payload: [])))
        #expect(bench.batches == [1..<2])
        bench.pass(.seconds(11))
        #expect(bench.signals.first == .interrupt, "alone, it may survive its task's end")
    }

    @Test func whatAnInterruptEndedIsCancelledNotFailed() {
        var bench = Bench()
        bench.grant(0..<1) { $0.runtime = .r }
        bench.tell(.serverSaid(.cancel(attempts: [Self.attempts(0..<1)], kill: false)))
        var batch = OutcomeBatch(job: Self.job, epoch: 1)
        batch.append(
            task: 0, attempt: 1, code: OutcomeCode(.failed, .failed), payload: [1], postMortem: PostMortem(reason: "interrupted"))
        bench.tell(.batchEnded(worker: 0, batch))
        #expect(bench.outcomes.map(\.code) == [OutcomeCode(.cancelled, .cancelled)])
    }

    @Test func whatAWorkerLeavesUndoneOfABatchGoesToTheNext() {
        var bench = Self.quick()
        bench.finish(1..<4, nanoseconds: 30_000_000)
        #expect(bench.outcomes.map(\.task) == [1, 2, 3])
        #expect(bench.batches == [4..<5], "they take long now: one at a time")
        bench.finish(4..<5, nanoseconds: 1000)
        #expect(bench.batches.first?.lowerBound == 5, "each once, in their order")
    }

    @Test func cancellingOneTaskOfABatchCostsNoOther() {
        var bench = Self.quick()
        bench.tell(.serverSaid(.cancel(attempts: [Self.attempts(3..<4)], kill: false)))
        #expect(bench.signals == [.interrupt])
        // The interrupt met task 2; the worker did not go on.
        var batch = OutcomeBatch(job: Self.job, epoch: 1)
        batch.append(task: 1, attempt: 1, code: .succeeded, payload: [0])
        batch.append(
            task: 2, attempt: 1, code: OutcomeCode(.failed, .failed), payload: [1], postMortem: PostMortem(reason: "interrupted"))
        bench.tell(.batchEnded(worker: 0, batch))
        let codes = Dictionary(bench.outcomes.map { ($0.task, $0.code) }) { first, _ in first }
        #expect(codes[1] == .succeeded && codes[3] == OutcomeCode(.cancelled, .cancelled))
        #expect(codes[2] == nil && codes.count == 2, "what nobody cancelled has no outcome yet: \(codes)")
        #expect(bench.started.count == 1, "and runs again")
    }

    @Test func cancellingOneTaskOfABatchWhoseWorkerIsKilledCostsNoOther() {
        var bench = Self.quick()
        bench.tell(.serverSaid(.cancel(attempts: [Self.attempts(3..<4)], kill: true)))
        bench.tell(.workerEnded(worker: 0, WorkerEnd(end: .crashed, payload: [], postMortem: PostMortem(reason: "killed"))))
        #expect(bench.outcomes.map(\.task) == [3])
        #expect(bench.outcomes.map(\.code) == [OutcomeCode(.cancelled, .cancelled)])
        #expect(bench.started.count == 1)
    }

    @Test func aNodeRemembersTheSeatsThatHadWorkersHere() {
        var bench = Bench()
        let session = SessionID(rawValue: 5)
        bench.grant(0..<1) { ($0.runtime, $0.session, $0.seat) = (.r, session, 3) }
        #expect(bench.machine.hello.seats == [SeatHeld(seat: SeatID(session: session, number: 3), epoch: 1)])
        bench.tell(.workerEnded(worker: 0, WorkerEnd(end: .crashed, payload: [])))
        #expect(bench.machine.hello.seats == [SeatHeld(seat: SeatID(session: session, number: 3), epoch: 1)], "whether or not they live")
        bench.tell(.serverSaid(.forgetSession(session)))
        #expect(bench.machine.hello.seats.isEmpty)
    }

    @Test func droppingATaskSparesAWorkerThatHears() {
        var bench = Bench()
        bench.grant(0..<1) { $0.runtime = .r }
        bench.tell(.serverSaid(.drop([Self.attempts(0..<1)])))
        #expect(bench.signals == [.interrupt])
        bench.pass(.seconds(11))
        #expect(bench.signals == [.terminate, .kill])
    }

    /// Simulator, seed 76794.
    @Test func aTaskThatIsDroppedAndThenOverrunsItsTimeIsNotGivenMore() {
        var bench = Bench()
        bench.grant(0..<1) {
            $0.runtime = .r
            $0.policy.timeout = .seconds(8)
        }
        bench.pass(.seconds(5))
        bench.tell(.serverSaid(.drop([Self.attempts(0..<1)])))
        #expect(bench.signals == [.interrupt])
        bench.pass(.seconds(11))
        #expect(bench.signals == [.terminate, .kill])
    }

    @Test func aNodeRemembersHowLongItWasInContactWithWhichServer() {
        var bench = Bench()
        bench.pass(.seconds(30))
        bench.tell(.disconnected)
        bench.pass(.seconds(500))
        bench.tell(.connected(Welcome(pool: 1, epoch: 2)))
        bench.pass(.seconds(5))
        bench.tell(.disconnected)
        bench.tell(.connected(Welcome(pool: 1, epoch: 2)))
        bench.pass(.seconds(6))
        bench.tell(.disconnected)
        #expect(bench.machine.hello.contacts == [Contact(epoch: 1, time: .seconds(30)), Contact(epoch: 2, time: .seconds(11))])
        #expect(bench.machine.hello.contactTime(after: 1) == .seconds(11))
    }

    @Test func aNodeSaysWhichServerLastKnewOfWhatItHas() {
        var bench = Bench()
        bench.grant(0..<1)
        func confirmed() -> [Epoch] { bench.machine.hello.inventory.map(\.confirmed) }
        #expect(confirmed() == [1])
        for epoch in [Epoch(2), 3] {
            bench.tell(.disconnected)
            bench.tell(.connected(Welcome(pool: 1, epoch: epoch)))
            if epoch == 2 { bench.tell(.serverSaid(.job(JobSpec(id: Self.job, runtime: .command)))) }
        }
        #expect(confirmed() == [2])
        bench.tell(.workerEnded(worker: 0, WorkerEnd(end: .succeeded, payload: [])))
        bench.tell(.disconnected)
        bench.tell(.connected(Welcome(pool: 1, epoch: 4)))
        #expect(confirmed() == [2], "until it is acknowledged")
    }

    @Test func aTaskWaitsForItsSessionsSetup() {
        var bench = Bench()
        bench.grant(0..<1) { ($0.runtime, $0.session, $0.setup) = (.r, SessionID(rawValue: 5), 2) }
        bench.tell(.serverSaid(.setup(SetupEntry(session: SessionID(rawValue: 5), number: 1, payload: []))))
        #expect(bench.batches.isEmpty)
        bench.tell(.serverSaid(.setup(SetupEntry(session: SessionID(rawValue: 5), number: 2, payload: []))))
        #expect(bench.batches == [0..<1])
        #expect(bench.machine.hello.setups == [SetupHeld(session: SessionID(rawValue: 5), count: 2, epoch: 1)])
        bench.tell(.serverSaid(.forgetSession(SessionID(rawValue: 5))))
        #expect(bench.machine.hello.setups.isEmpty)
    }
}
