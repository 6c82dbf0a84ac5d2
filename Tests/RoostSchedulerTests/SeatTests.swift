import RoostModel
import RoostScheduler
import RoostTesting
import Testing

/// What the worker of a seat was left with is there for the seat's next task, or the task fails and says why.
@Suite struct SeatTests {
    private static func submit(
        _ pool: inout Scenario, _ client: Int, seat: UInt32, tasks: Int = 1, session: SessionID? = nil, since epoch: Epoch = 0
    ) -> JobID {
        let session = session ?? pool.session(client)
        return pool.submit(client, tasks: tasks) { ($0.runtime, $0.session, $0.seat, $0.seatEpoch) = (.r, session, seat, epoch) }
    }

    private static func held(_ session: SessionID, _ seat: UInt32, since epoch: Epoch = 1) -> SeatHeld {
        SeatHeld(seat: SeatID(session: session, number: seat), epoch: epoch)
    }

    /// The nodes that hold tasks of the job.
    private static func places(_ pool: Scenario, _ job: JobID, _ nodes: [Int]) -> [Int] {
        nodes.filter { !pool.tasks($0, job).isEmpty }
    }

    @Test func seatsSpreadOverSlotsAndStay() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 1, runtimes: [.r])
        let b = pool.join("b", cpus: 3, runtimes: [.r])
        let ann = pool.connect("ann")
        var first: [Int] = []
        for seat in 1...4 {
            let job = Self.submit(&pool, ann, seat: UInt32(seat))
            first += Self.places(pool, job, [a, b])
            for node in [a, b] { pool.end(node, job, pool.tasks(node, job)) }
        }
        #expect(first.sorted() == [a, b, b, b], "as many as there are slots")
        for seat in 1...4 {
            let job = Self.submit(&pool, ann, seat: UInt32(seat))
            #expect(Self.places(pool, job, [a, b]) == [first[seat - 1]])
            for node in [a, b] { pool.end(node, job, pool.tasks(node, job)) }
        }
    }

    @Test func theTasksOfASeatRunOneAfterTheOther() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 4, runtimes: [.r])
        let b = pool.join("b", cpus: 4, runtimes: [.r])
        let ann = pool.connect("ann")
        let job = Self.submit(&pool, ann, seat: 1, tasks: 3)
        #expect(pool.tasks(a, job) == [0])
        #expect(pool.tasks(b, job).isEmpty)
        pool.end(a, job, [0])
        #expect(pool.tasks(a, job) == [1])
    }

    @Test func aSeatWaitsForItsNode() {
        var pool = Scenario()
        let a = pool.join("a", runtimes: [.r])
        let b = pool.join("b", runtimes: [.r])
        let ann = pool.connect("ann")
        let first = Self.submit(&pool, ann, seat: 1)
        pool.end(a, first, [0])
        let other = pool.submit(ann, tasks: 2) { ($0.runtime, $0.request) = (.r, .cpus(1)) }
        #expect(pool.tasks(a, other).count == 1 && pool.tasks(b, other).count == 1)
        let second = Self.submit(&pool, ann, seat: 1)
        pool.end(b, other, pool.tasks(b, other))
        #expect(Self.places(pool, second, [a, b]).isEmpty)
        guard case .explanation(let lines)? = pool.ask(ann, .explain(.id(second), task: nil)) else {
            Issue.record("no explanation")
            return
        }
        #expect(lines.last?.reason == "is not the node of seat 1: that is a")
        pool.end(a, other, pool.tasks(a, other))
        #expect(pool.tasks(a, second) == [0])
    }

    @Test func whenItsNodeIsLostItsTasksFailAtOnceAndANewSeatDoesNot() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 2, runtimes: [.r])
        let ann = pool.connect("ann")
        let job = Self.submit(&pool, ann, seat: 1, tasks: 3)
        #expect(pool.tasks(a, job) == [0])
        let b = pool.join("b", cpus: 2, runtimes: [.r])
        pool.reportDead(a)
        let outcomes = pool.outcomes(ann, job)
        #expect(outcomes.map(\.task).sorted() == [0, 1, 2])
        #expect(outcomes.allSatisfy { $0.code == OutcomeCode(.failed, .nodeLost) })
        #expect(outcomes.allSatisfy { $0.postMortem?.reason.hasPrefix("the worker of seat 1 has ended: its node a") == true })
        let later = Self.submit(&pool, ann, seat: 1)
        #expect(pool.outcomes(ann, later).map(\.code.kind) == [.failed])
        let fresh = Self.submit(&pool, ann, seat: 2)
        #expect(pool.tasks(b, fresh) == [0])
    }

    @Test func anAgentThatWasStartedAgainHasNoSeats() {
        var pool = Scenario()
        let a = pool.join("a", runtimes: [.r])
        let ann = pool.connect("ann")
        let first = Self.submit(&pool, ann, seat: 1)
        pool.end(a, first, [0])
        pool.cut(a)
        pool.comeBack(a)
        let second = Self.submit(&pool, ann, seat: 1)
        #expect(pool.tasks(a, second) == [0], "the same agent has its workers still")
        pool.end(a, second, [0])
        pool.restart(a)
        let third = Self.submit(&pool, ann, seat: 1)
        #expect(pool.outcomes(ann, third).map(\.code.kind) == [.failed])
    }

    @Test func aRestartedServerLearnsSeatsFromTheirNodes() {
        var pool = Scenario { $0.epoch = 2 }
        let session = SessionID(rawValue: 1)
        _ = pool.join("a", cpus: 4, runtimes: [.r])
        let b = pool.join("b", runtimes: [.r], seats: [Self.held(session, 7)])
        #expect(!pool.told(node: b).contains(.forgetSession(session)), "its client may come back")
        let ann = pool.connect("ann")
        #expect(pool.session(ann) == session)
        let job = Self.submit(&pool, ann, seat: 7)
        #expect(pool.tasks(b, job) == [0])
    }

    @Test func aClientThatIsBackBeforeItsSeatsNodeWaitsForIt() {
        var pool = Scenario { $0.epoch = 2 }
        let session = SessionID(rawValue: 1)
        let a = pool.join("a", cpus: 4, runtimes: [.r])
        let ann = pool.connect("ann")
        let job = Self.submit(&pool, ann, seat: 7, since: 1)
        let fresh = Self.submit(&pool, ann, seat: 8)
        #expect(pool.tasks(a, fresh) == [0], "nobody has left anything there")
        pool.pass(.seconds(29))
        #expect(pool.tasks(a, job).isEmpty)
        let b = pool.join("b", runtimes: [.r], seats: [Self.held(session, 7)])
        #expect(pool.tasks(b, job) == [0])
    }

    @Test func aSeatWhoseNodeDoesNotComeBackIsBoundAnewAndItsClientHearsSoOnce() {
        var pool = Scenario { $0.epoch = 2 }
        let a = pool.join("a", cpus: 4, runtimes: [.r])
        let ann = pool.connect("ann")
        let job = Self.submit(&pool, ann, seat: 7, tasks: 2, since: 1)
        pool.pass(.seconds(31))
        let outcomes = pool.outcomes(ann, job)
        #expect(outcomes.map(\.code) == [OutcomeCode(.failed, .nodeLost), OutcomeCode(.failed, .nodeLost)])
        #expect(outcomes[0].postMortem?.reason.hasPrefix("seat 7 was rebound: its worker is gone") == true)
        let next = Self.submit(&pool, ann, seat: 7)
        #expect(pool.tasks(a, next) == [0])
    }

    @Test func ofTwoNodesThatHadASeatTheOneThatItsClientKnowsHasIt() {
        for known in [Epoch(2), 4] {
            var pool = Scenario { $0.epoch = 5 }
            let session = SessionID(rawValue: 1)
            // It was bound anew while its first node was out of contact.
            let a = pool.join("a", cpus: 4, runtimes: [.r], seats: [Self.held(session, 7, since: 2)])
            let b = pool.join("b", cpus: 4, runtimes: [.r], seats: [Self.held(session, 7, since: 4)])
            let ann = pool.connect("ann")
            let job = Self.submit(&pool, ann, seat: 7, since: known)
            #expect(Self.places(pool, job, [a, b]) == [known == 2 ? a : b])
        }
    }

    @Test func aNodeThatGoesOnWithASeatsTaskHasTheSeat() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 4, runtimes: [.r])
        let ann = pool.connect("ann")
        let job = Self.submit(&pool, ann, seat: 7, tasks: 2)
        #expect(pool.tasks(a, job).contains(0))
        let spec = pool.scheduler.jobs[pool.scheduler.jobs.slots[0]].spec
        pool.restartServer()
        pool.reconnect(ann)
        pool.say(
            client: ann,
            [
                .submit(spec), .append(Scenario.chunk(job, first: 0, count: 2)), .close(job: job, count: 2),
                .read(ReadRequest(job: job, order: .asCompleted)),
            ])
        pool.comeBack(a)
        let b = pool.join("b", cpus: 4, runtimes: [.r])
        pool.end(a, job, [0])
        #expect(pool.outcomes(ann, job).map(\.code.kind) == [.succeeded])
        // What it left there is gone: its client expects it, and hears so.
        pool.reportDead(a)
        #expect(pool.tasks(b, job).isEmpty)
        #expect(pool.outcomes(ann, job).map(\.code) == [OutcomeCode(.failed, .nodeLost)])
    }

    @Test func aWorkerThatASeatHadBeforeIsNotTheOneThatItsClientKnows() {
        var pool = Scenario { $0.epoch = 5 }
        let session = SessionID(rawValue: 1)
        let a = pool.join("a", cpus: 4, runtimes: [.r], seats: [Self.held(session, 7, since: 2)])
        let ann = pool.connect("ann")
        let job = Self.submit(&pool, ann, seat: 7, since: 4)
        pool.pass(.seconds(29))
        #expect(pool.tasks(a, job).isEmpty)
        pool.pass(.seconds(2))
        #expect(pool.outcomes(ann, job).map(\.code) == [OutcomeCode(.failed, .nodeLost)])
    }

    @Test func whatAJobHasStillToBringForALostSeatFailsToo() {
        var pool = Scenario { $0.epoch = 2 }
        let a = pool.join("a", cpus: 4, runtimes: [.r])
        let ann = pool.connect("ann")
        var spec = JobSpec(id: pool.newJob(), runtime: .r)
        (spec.session, spec.seat, spec.seatEpoch) = (pool.session(ann), 7, 1)
        pool.say(
            client: ann,
            [
                .submit(spec), .append(Scenario.chunk(spec.id, first: 0, count: 1)),
                .read(ReadRequest(job: spec.id, order: .asCompleted)),
            ])
        pool.pass(.seconds(31))
        #expect(pool.outcomes(ann, spec.id).map(\.code) == [OutcomeCode(.failed, .nodeLost)])
        pool.say(client: ann, [.append(Scenario.chunk(spec.id, first: 1, count: 1))])
        #expect(pool.outcomes(ann, spec.id).map(\.code) == [OutcomeCode(.failed, .nodeLost)])
        let next = Self.submit(&pool, ann, seat: 7)
        #expect(pool.tasks(a, next) == [0])
        #expect(pool.tasks(a, spec.id).isEmpty)
    }

    @Test func aTaskThatWouldWaitForItsSeatHoldsNoSlot() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 2, runtimes: [.r])
        let ann = pool.connect("ann")
        let first = Self.submit(&pool, ann, seat: 1)
        let second = Self.submit(&pool, ann, seat: 1)
        let other = pool.submit(ann, tasks: 1) { $0.runtime = .r }
        #expect(pool.tasks(a, first) == [0])
        #expect(pool.tasks(a, second).isEmpty)
        #expect(pool.tasks(a, other) == [0], "the slot is free for it")
        guard case .explanation(let lines)? = pool.ask(ann, .explain(.id(second), task: nil)) else {
            Issue.record("no explanation")
            return
        }
        #expect(lines.last?.reason.contains("runs another job's task") == true)
        pool.end(a, first, [0])
        #expect(pool.tasks(a, second) == [0])
    }

    @Test func whatNobodyComesBackForIsForgotten() {
        var pool = Scenario { ($0.epoch, $0.clientGrace) = (2, .seconds(60)) }
        let session = SessionID(rawValue: 99)
        let a = pool.join("a", runtimes: [.r], seats: [Self.held(session, 7)])
        pool.pass(.seconds(59))
        #expect(!pool.told(node: a).contains(.forgetSession(session)))
        pool.pass(.seconds(2))
        #expect(pool.told(node: a).contains(.forgetSession(session)))
    }

    @Test func setupThatNobodyAskedForUnderSeveralServersIsForgotten() {
        var pool = Scenario { ($0.epoch, $0.clientGrace) = (4, .seconds(60)) }
        var setups = [1, 2, 3].map { SetupHeld(session: SessionID(rawValue: 90 + UInt64($0)), count: 1, epoch: $0) }
        let seated = SessionID(rawValue: 80)
        setups.append(SetupHeld(session: seated, count: 1, epoch: 1))
        let a = pool.join("a", runtimes: [.r], seats: [Self.held(seated, 7)])
        pool.comeBack(a, setups: setups, contacts: [Contact(epoch: 2, time: .seconds(30)), Contact(epoch: 3, time: .seconds(31))])
        let forgotten = pool.told(node: a).compactMap { if case .forgetSession(let session) = $0 { session.rawValue } else { nil } }
        #expect(forgotten == [91], "the others may be asked for, and a seat's worker has what cannot be had again")
    }

    @Test func onlyRuntimesThatKeepWorkersHaveSeats() {
        var pool = Scenario()
        let ann = pool.connect("ann")
        _ = pool.submit(ann, tasks: 1) { $0.seat = 1 }
        let refusals = pool.told(client: ann).compactMap { if case .refused(_, let error) = $0 { error.code } else { nil } }
        #expect(refusals.first == .usage)
    }
}
