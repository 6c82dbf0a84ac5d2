import Roost
import RoostModel
import Testing

/// What a client keeps of a durable job, and when it lets go.
@Suite struct DurableStoryTests {
    private static let job = JobID(rawValue: 7)

    private struct Bench {
        var machine = ClientMachine(session: SessionID(rawValue: 1), window: 100)
        var actions: [ClientAction] = []

        init(retention: Retention = .durable) {
            tell(.connected(Welcome(pool: 1, epoch: 1)))
            tell(.submit(JobSpec(id: DurableStoryTests.job, runtime: .command, retention: retention), order: .asCompleted))
            hear(.submitted(job: DurableStoryTests.job, number: 5, tasks: 0))
        }

        mutating func tell(_ events: ClientEvent...) {
            actions = []
            for event in events { machine.apply(event, at: .zero, into: &actions) }
        }

        mutating func hear(_ messages: ServerToClient...) {
            actions = []
            for message in messages { machine.apply(.serverSaid(message), at: .zero, into: &actions) }
        }

        mutating func append(_ tasks: Int, bytes: Int = 10) {
            tell(.append(DurableStoryTests.job, PayloadArray((0..<tasks).map { _ in [UInt8](repeating: 1, count: bytes) })))
        }

        mutating func deliver(_ tasks: Range<UInt32>, cursor: UInt64) {
            var batch = OutcomeBatch(job: DurableStoryTests.job, epoch: 1, node: "a")
            for task in tasks { batch.append(task: task, attempt: 1, littleEndian: UInt64(task)) }
            hear(.outcomes(OutcomeDelivery(cursor: cursor, batch: batch)))
        }

        mutating func restart(epoch: Epoch, number: UInt32 = 5, tasks: UInt32) {
            tell(.disconnected)
            tell(.connected(Welcome(pool: 1, epoch: epoch)))
            hear(.submitted(job: DurableStoryTests.job, number: number, tasks: tasks))
        }

        var said: [ClientToServer] { actions.compactMap { if case .send(let message) = $0 { message } else { nil } } }
        var chunks: [AppendTasks] { said.compactMap { if case .append(let chunk) = $0 { chunk } else { nil } } }
        var refusal: RoostError? {
            actions.compactMap { if case .refused(_, let error) = $0 { error } else { nil } }.first
        }
        var delivered: [TaskIndex] {
            actions.flatMap { action -> [TaskIndex] in
                guard case .deliver(_, let batch) = action else { return [] }
                return batch.tasks.flatMap { Array($0.first..<$0.end) }
            }
        }
    }

    @Test func whatIsOnTheServersDiskIsNotKeptHere() {
        var client = Bench()
        client.append(10)
        client.append(10)
        #expect(client.machine.keptBytes == 200)
        client.hear(.appended(job: Self.job, tasks: 9))
        #expect(client.machine.keptBytes == 200, "a chunk is kept until all of it has arrived")
        client.hear(.appended(job: Self.job, tasks: 10))
        #expect(client.machine.keptBytes == 100)
        client.hear(.appended(job: Self.job, tasks: 20))
        #expect(client.machine.keptBytes == 0)
    }

    @Test func anAttachedJobIsKeptUntilItsOutcomesAreHere() {
        var client = Bench(retention: .attached)
        client.append(10)
        client.hear(.appended(job: Self.job, tasks: 10))
        #expect(client.machine.keptBytes == 100)
        client.deliver(0..<10, cursor: 1)
        #expect(client.machine.keptBytes == 0)
    }

    @Test func outcomesFreeNothingThatTheServerMayNotHave() {
        var client = Bench()
        client.append(10)
        client.deliver(0..<10, cursor: 1)
        #expect(client.machine.keptBytes == 100)
    }

    @Test func afterARestartItGoesOnWhereTheDiskIs() {
        var client = Bench()
        client.append(10)
        client.append(10)
        client.append(10)
        client.hear(.appended(job: Self.job, tasks: 10))
        client.deliver(0..<4, cursor: 1)
        client.restart(epoch: 2, tasks: 12)
        #expect(client.refusal == nil)
        #expect(client.chunks.map(\.first) == [12, 20])
        #expect(client.chunks.map(\.arguments.count) == [8, 10])
        #expect(client.said.contains(.read(ReadRequest(job: Self.job, order: .asCompleted, after: 1, window: 100))))
        #expect(client.machine.keptBytes == 200)
    }

    /// The server runs whatever it is sent of a durable job: an argument left out would be an empty one.
    @Test func whatIsSentAgainIsWhole() {
        var client = Bench()
        client.append(4)
        client.deliver(1..<3, cursor: 1)
        client.restart(epoch: 2, tasks: 0)
        #expect(client.refusal == nil)
        #expect(client.chunks.map(\.finished) == [[]])
        #expect(client.chunks.map(\.arguments.count) == [4])
        #expect(client.chunks.first?.arguments.base.bytes.count == 40)
        client.deliver(0..<4, cursor: 1)
        #expect(client.delivered == [0, 3], "what is here already is not delivered again")
    }

    @Test func aServerThatLostItsDiskIsSaidToHave() throws {
        var client = Bench()
        client.append(10)
        client.tell(.close(Self.job))
        client.hear(.appended(job: Self.job, tasks: 10))
        client.restart(epoch: 2, number: 1, tasks: 0)
        let error = try #require(client.refusal)
        #expect(error.code == .lost)
        #expect(error.message.contains("had 10 tasks of this durable job on its disk, and has 0 now"))
        #expect(client.chunks.isEmpty)
        // The empty job that it made of our asking goes.
        #expect(
            client.said == [
                .query(id: 0, .cancel(.id(Self.job), tasks: [], kill: false)), .query(id: 0, .forget(.id(Self.job))),
            ])
        #expect(!client.machine.knows(Self.job))
    }

    @Test func aServerWithAnOlderCopyOfItsDiskIsSaidToHaveIt() throws {
        var client = Bench()
        client.append(10)
        client.append(10)
        client.hear(.appended(job: Self.job, tasks: 20))
        client.restart(epoch: 2, tasks: 10)
        #expect(try #require(client.refusal).message.contains("had 20 tasks of this durable job on its disk, and has 10 now"))
        #expect(client.said.isEmpty, "what is left of the job is somebody's to look at")
    }

    @Test func whatTheServerNeverSaidToHaveIsSentAgain() {
        var client = Bench()
        client.append(10)
        client.restart(epoch: 2, tasks: 0)
        #expect(client.refusal == nil)
        #expect(client.chunks.map(\.arguments.count) == [10])
    }
}
