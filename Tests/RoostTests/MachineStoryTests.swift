import Roost
import RoostModel
import Testing

/// What a client decides: what is sent, sent again, acknowledged and delivered.
@Suite struct ClientMachineTests {
    private static let job = JobID(rawValue: 7)

    private struct Bench {
        var machine: ClientMachine
        var now = Instant.zero
        var actions: [ClientAction] = []

        init(window: UInt32 = 100, submitWindow: Int = Limits.submitWindowBytes) {
            machine = ClientMachine(session: SessionID(rawValue: 1), window: window, submitWindow: submitWindow)
            tell(.connected(Welcome(pool: 1, epoch: 1)))
        }

        mutating func tell(_ events: ClientEvent...) {
            actions = []
            for event in events { machine.apply(event, at: now, into: &actions) }
        }

        mutating func hear(_ messages: ServerToClient...) {
            actions = []
            for message in messages { machine.apply(.serverSaid(message), at: now, into: &actions) }
        }

        /// A closed job of so many tasks, known to the server.
        mutating func submit(
            _ tasks: Int, order: ReadRequest.Order = .asCompleted, retention: Retention = .attached, seat: UInt32 = 0
        ) {
            var spec = JobSpec(id: ClientMachineTests.job, runtime: .command, retention: retention)
            spec.seat = seat
            let payloads = PayloadArray((0..<tasks).map { [UInt8(truncatingIfNeeded: $0)] })
            tell(.submit(spec, order: order), .append(spec.id, payloads), .close(spec.id))
            hear(.submitted(job: spec.id, number: 1, tasks: 0))
        }

        mutating func deliver(_ tasks: Range<UInt32>, cursor: UInt64, epoch: Epoch = 1, as code: OutcomeCode = .succeeded) {
            var batch = OutcomeBatch(job: ClientMachineTests.job, epoch: epoch, node: "a")
            for task in tasks { batch.append(task: task, attempt: 1, code: code, payload: [UInt8(truncatingIfNeeded: task)]) }
            hear(.outcomes(OutcomeDelivery(cursor: cursor, batch: batch)))
        }

        /// The epoch that a new job says the seat's worker is at least of.
        mutating func epoch(submitting number: UInt64, toSeat seat: UInt32) -> Epoch? {
            var spec = JobSpec(id: JobID(rawValue: number), runtime: .command)
            spec.seat = seat
            tell(.submit(spec, order: .asCompleted))
            return said.compactMap { if case .submit(let sent) = $0, sent.id == spec.id { sent.seatEpoch } else { nil } }.first
        }

        mutating func reconnect(epoch: Epoch) {
            tell(.disconnected)
            tell(.connected(Welcome(pool: 1, epoch: epoch)))
        }

        var said: [ClientToServer] { actions.compactMap { if case .send(let message) = $0 { message } else { nil } } }

        var delivered: [TaskIndex] {
            actions.flatMap { action -> [TaskIndex] in
                guard case .deliver(_, let batch) = action else { return [] }
                return batch.tasks.flatMap { Array($0.first..<$0.end) }
            }
        }
    }

    private static func ended(_ tasks: UInt32) -> ServerToClient {
        var progress = JobProgress(job: job, tasks: tasks, isClosed: true)
        progress.succeeded = tasks
        return .ended(progress)
    }

    @Test func aJobIsReadBeforeItsTasksAreSent() {
        var client = Bench()
        client.submit(3)
        guard case .read(let request)? = client.said.first else {
            Issue.record("said \(client.said)")
            return
        }
        #expect(request.after == 0)
        #expect(client.said.count == 3)
        #expect(client.said.last == .close(job: Self.job, count: 3))
    }

    /// The bytes up to which the program may append, as it was last told.
    private static func room(_ client: Bench) -> UInt64? {
        client.actions.compactMap { if case .roomToAppend(_, let bytes) = $0 { bytes } else { nil } }.last
    }

    /// A chunk above the window was appended, the server had it, and the program waited for ever.
    @Test func roomIsANumberThatOnlyGrows() {
        var client = Bench(submitWindow: 100)
        let spec = JobSpec(id: Self.job, runtime: .command)
        let chunk = PayloadArray([[UInt8](repeating: 1, count: 196)])
        client.tell(.submit(spec, order: .asCompleted), .append(spec.id, chunk))
        #expect(Self.room(client) == nil, "200 bytes are appended, and 100 may be")
        client.hear(.submitted(job: spec.id, number: 1, tasks: 0))
        #expect(client.said.contains { if case .append = $0 { true } else { false } }, "a chunk larger than the window is sent alone")
        client.hear(.appended(job: spec.id, tasks: 1))
        #expect(Self.room(client) == 300, "all is on the server: so many more may follow")
        client.tell(.append(spec.id, chunk))
        client.hear(.appended(job: spec.id, tasks: 2))
        #expect(Self.room(client) == 500)
        // A server that has forgotten everything: what was granted stays granted.
        client.reconnect(epoch: 2)
        client.hear(.submitted(job: spec.id, number: 1, tasks: 0))
        #expect(Self.room(client) == nil)
        client.hear(.appended(job: spec.id, tasks: 2))
        client.tell(.append(spec.id, chunk))
        client.hear(.appended(job: spec.id, tasks: 3))
        #expect(Self.room(client) == 700)
    }

    /// Found by reading what seed 3861 did: the job stayed with its client for ever.
    @Test func whoAbandonsAJobAndUsesOutcomesAfterwardsKeepsNothing() {
        var client = Bench()
        client.submit(2)
        client.deliver(0..<2, cursor: 1)
        client.tell(.abandon(Self.job), .consumed(Self.job, tasks: 2))
        client.hear(Self.ended(2))
        #expect(!client.machine.knows(Self.job))
    }

    @Test func outcomesAreAcknowledgedWhenTheProgramHasUsedThem() {
        var client = Bench()
        client.submit(3)
        client.deliver(0..<2, cursor: 1)
        #expect(client.delivered == [0, 1])
        #expect(client.said.isEmpty)
        client.tell(.consumed(Self.job, tasks: 1))
        #expect(client.said.isEmpty)
        client.tell(.consumed(Self.job, tasks: 1))
        #expect(client.said == [.acknowledge(job: Self.job, cursor: 1)])
    }

    @Test func aCutGoesOnAtTheCursor() {
        var client = Bench()
        client.submit(3)
        client.deliver(0..<2, cursor: 1)
        client.reconnect(epoch: 1)
        client.hear(.submitted(job: Self.job, number: 1, tasks: 3))
        #expect(client.said.contains(.read(ReadRequest(job: Self.job, order: .asCompleted, after: 1, window: 100))))
        let sendsAgain = client.said.contains { if case .append = $0 { true } else { false } }
        #expect(!sendsAgain)
    }

    @Test func aServerThatForgotIsSentWhatIsUnfinished() {
        var client = Bench()
        client.submit(4)
        client.deliver(1..<3, cursor: 1)
        client.reconnect(epoch: 2)
        client.hear(.submitted(job: Self.job, number: 1, tasks: 0))
        #expect(client.said.contains(.read(ReadRequest(job: Self.job, order: .asCompleted, after: 0, window: 100))))
        let chunks = client.said.compactMap { if case .append(let chunk) = $0 { chunk } else { nil } }
        #expect(chunks.map(\.finished) == [[TaskRange(first: 1, count: 2)]])
        #expect(chunks.map(\.arguments.count) == [4])
        client.deliver(0..<4, cursor: 1)
        #expect(client.delivered == [0, 3], "what is here already is not delivered again")
    }

    @Test func arePlacesOfFreedChunksStillCounted() {
        var client = Bench()
        client.submit(2)
        client.tell(.append(Self.job, PayloadArray()))
        client.deliver(0..<2, cursor: 1)
        client.reconnect(epoch: 2)
        client.hear(.submitted(job: Self.job, number: 1, tasks: 0))
        let chunks = client.said.compactMap { if case .append(let chunk) = $0 { chunk } else { nil } }
        #expect(chunks.map(\.finished) == [[TaskRange(first: 0, count: 2)]])
        #expect(client.said.last == .close(job: Self.job, count: 2))
    }

    /// Found by the simulator: the last acknowledgement was lost with its connection, and the job stayed in the
    /// pool for as long as the client lived.
    @Test func theLastAcknowledgementIsSaidAgainUntilAHeartbeatIsAnswered() {
        var client = Bench()
        client.submit(1)
        client.deliver(0..<1, cursor: 1)
        client.tell(.consumed(Self.job, tasks: 1))
        client.hear(Self.ended(1))
        #expect(!client.machine.knows(Self.job))
        client.reconnect(epoch: 1)
        let again = ClientToServer.read(ReadRequest(job: Self.job, order: .asCompleted, after: 1))
        #expect(client.said.contains(again))
        client.now = client.now + .seconds(4)
        client.tell(.deadlinePassed)
        client.hear(.heartbeat)
        client.reconnect(epoch: 1)
        #expect(!client.said.contains(again))
    }

    @Test func theEndAcknowledgesWhatTheProgramHasNotUsedYet() {
        var client = Bench()
        client.submit(2)
        client.deliver(0..<2, cursor: 1)
        client.hear(Self.ended(2))
        #expect(client.said == [.acknowledge(job: Self.job, cursor: 1)])
        #expect(client.machine.knows(Self.job))
        client.tell(.consumed(Self.job, tasks: 2))
        #expect(!client.machine.knows(Self.job))
    }

    @Test func anAbandonedJobOfOnesOwnGoesOnUnseen() {
        var client = Bench()
        client.submit(2)
        client.tell(.abandon(Self.job))
        client.deliver(0..<2, cursor: 1)
        #expect(client.delivered == [])
        #expect(client.said == [.acknowledge(job: Self.job, cursor: 1)])
        client.hear(Self.ended(2))
        let isTold = client.actions.contains { if case .ended = $0 { true } else { false } }
        #expect(!isTold)
        #expect(!client.machine.knows(Self.job))
    }

    /// Simulator, seeds 76362 and 80818: the seat had another worker, and nobody heard of it.
    @Test func aLossOfASeatThatTheProgramIsNotHandedIsNoneThatItKnowsOf() {
        var client = Bench()
        client.submit(2, seat: 2)
        client.deliver(0..<1, cursor: 1)
        client.tell(.abandon(Self.job))
        client.deliver(1..<2, cursor: 2, as: OutcomeCode(.failed, .nodeLost))
        client.hear(Self.ended(2))
        client.reconnect(epoch: 2)
        #expect(client.epoch(submitting: 1, toSeat: 2) == 1)
    }

    @Test func whatAnAbandonedJobLeftWithASeatIsReliedOn() {
        var client = Bench()
        client.submit(1, seat: 2)
        client.tell(.abandon(Self.job))
        client.deliver(0..<1, cursor: 1)
        client.hear(Self.ended(1))
        client.reconnect(epoch: 2)
        #expect(client.epoch(submitting: 1, toSeat: 2) == 1)
    }

    @Test func anAbandonedJobDoesNotHideThatTheSeatHasAnotherWorker() {
        var client = Bench()
        client.submit(3, seat: 2)
        client.deliver(0..<1, cursor: 1)
        client.tell(.abandon(Self.job))
        client.deliver(1..<2, cursor: 2, as: OutcomeCode(.failed, .nodeLost))
        client.reconnect(epoch: 2)
        client.deliver(2..<3, cursor: 3, epoch: 2)
        client.hear(Self.ended(3))
        client.reconnect(epoch: 3)
        #expect(client.epoch(submitting: 1, toSeat: 2) == 1)
    }

    @Test func aLossOfASeatThatTheProgramIsHandedEndsWhatItReliesOn() {
        var client = Bench()
        client.submit(2, seat: 2)
        client.deliver(0..<1, cursor: 1)
        client.deliver(1..<2, cursor: 2, as: OutcomeCode(.failed, .nodeLost))
        client.hear(Self.ended(2))
        client.reconnect(epoch: 2)
        #expect(client.epoch(submitting: 1, toSeat: 2) == 0)
    }

    @Test func aRefusalAfterTheEndIsNoNews() {
        var client = Bench()
        client.submit(1)
        client.deliver(0..<1, cursor: 1)
        client.hear(Self.ended(1))
        client.hear(.refused(job: Self.job, RoostError(.notFound, "no such job")))
        #expect(client.actions.isEmpty)
        client.tell(.consumed(Self.job, tasks: 1))
        #expect(!client.machine.knows(Self.job))
    }

    @Test func aQueryWithoutAnAnswerIsAskedAgain() {
        var client = Bench()
        client.tell(.query(id: 5, .pool))
        client.reconnect(epoch: 1)
        #expect(client.said == [.query(id: 5, .pool)])
        client.hear(.reply(id: 5, .done(count: 1)), .reply(id: 5, .done(count: 1)))
        #expect(client.actions.count == 1)
    }

    @Test func silenceMakesItConnectAnew() {
        var client = Bench()
        client.now = client.now + .seconds(16)
        client.tell(.deadlinePassed)
        let reconnects = client.actions.contains { if case .reconnect = $0 { true } else { false } }
        #expect(reconnects)
    }
}
