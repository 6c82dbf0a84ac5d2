import RSerialization
import RoostBridge
import RoostModel
import Testing

/// A vector becomes tasks, and their outcomes one list, whatever the order in which they came.
struct OutcomeTests {
    private let seed = RStreamSeed([-2_133_391_687, 507_561_766, 1_260_545_903, 1_362_917_092, -1_772_566_379, -1_344_458_670])!

    private func arguments(_ cutter: TaskCutter) throws -> [[UInt8]] {
        var cutter = cutter
        var all: [[UInt8]] = []
        while let chunk = try cutter.next() {
            #expect(chunk.count <= Limits.chunkTasks)
            for position in 0..<chunk.count { all.append(Array(chunk[position])) }
        }
        return all
    }

    @Test("task i has element i and the i-th stream")
    func cutting() throws {
        let numbers = (0..<3000).map(Double.init)
        let cutter = try TaskCutter(try list(numbers, names: numbers.map { "n\($0)" }), seed: seed)
        #expect(cutter.count == 3000)
        #expect(cutter.names != nil)
        let all = try arguments(cutter)
        try #require(all.count == 3000)
        for index in [0, 1, 1023, 1024, 2999] {
            let argument = try #require(RTaskPayload.Argument(all[index][...]))
            #expect(argument.seed == seed.advanced(by: index))
            #expect(Array(all[index][argument.item]) == RItem.doubles([Double(index)]))
        }
    }

    @Test("without a seed there is none; nothing has no tasks")
    func plain() throws {
        let all = try arguments(try TaskCutter(try list([1, 2])))
        #expect(all.map { RTaskPayload.Argument($0[...])?.seed } == [nil, nil])
        #expect(try arguments(try TaskCutter(try list([]))).isEmpty)
    }

    /// An outcome of one task in a batch of its own.
    private func batch(
        _ task: TaskIndex, value: Double?, details: Double? = nil, kind: OutcomeKind = .succeeded, reason: String? = nil
    ) -> OutcomeBatch {
        var payload: [UInt8] = []
        let item = value.map { RItem.doubles([$0]) }
        if let details {
            RTaskPayload.append(value: item?[...], details: RItem.doubles([details])[...], to: &payload)
        } else if let item {
            RTaskPayload.append(value: item[...], to: &payload)
        }
        var batch = OutcomeBatch(job: JobID(rawValue: 1), epoch: 1, node: "n")
        let end: AttemptEnd = kind == .succeeded ? .succeeded : kind == .failed ? .failed : .crashed
        batch.append(
            task: task, attempt: 2, code: OutcomeCode(kind, end), payload: payload[...], postMortem: reason.map { PostMortem(reason: $0) })
        return batch
    }

    private func numbers(_ stream: [UInt8]) throws -> [Double?] {
        var cutter = try RCutter(stream)
        let items = try cutter.cut()
        return (0..<items.count).map { position in
            guard case .doubles(let numbers) = ControlValue(items[position]) else { return nil }
            return numbers.first
        }
    }

    @Test("values in order, details and evidence where there are any, NULL where there is no value")
    func joining() throws {
        var outcomes = JobOutcomes(tasks: 5)
        outcomes.take(batch(3, value: 30, details: 0.3))
        outcomes.take(batch(0, value: 0))
        outcomes.take(batch(1, value: nil, details: 0.1, kind: .failed, reason: "no"))
        outcomes.take(batch(4, value: nil, kind: .held))
        #expect(outcomes.arrivals == [3, 0, 1, 4])
        #expect(!outcomes.isComplete)
        let joined = try outcomes.joined(0..<5, names: RItem.strings(["a", "b", "c", "d", "e"]))
        #expect(try numbers(joined.values) == [0, nil, nil, 30, nil])
        #expect(try RCutter(joined.values).names == RItem.strings(["a", "b", "c", "d", "e"]))
        #expect(joined.states == [0, 1, 4, 0, 3])
        #expect(joined.detailed == [2, 4])
        #expect(try numbers(try #require(joined.details)) == [0.1, 0.3])
        #expect(joined.postMortems.map(\.index) == [2, 5])
        #expect(joined.postMortems[0].postMortem == PostMortem(reason: "no", node: "n", attempt: 2))
        #expect(joined.postMortems[1].postMortem.reason == "its worker died")

        let some = try outcomes.joined([3, 1])
        #expect(try numbers(some.values) == [30, nil])
        #expect(some.detailed == [1, 2])
        #expect(some.postMortems.map(\.index) == [2])
    }

    @Test("the latest round of a task counts, once")
    func rounds() throws {
        var outcomes = JobOutcomes(tasks: 1)
        outcomes.take(batch(0, value: nil, kind: .failed))
        #expect(outcomes.count(.failed) == 1)
        outcomes.take(batch(0, value: 1))
        #expect(outcomes.count(.failed) == 0)
        #expect(outcomes.isComplete)
        #expect(try numbers(try outcomes.joined(0..<1).values) == [1])
    }

    @Test("bytes that no R runtime wrote are no value")
    func malformed() throws {
        var outcomes = JobOutcomes(tasks: 1)
        var batch = OutcomeBatch(job: JobID(rawValue: 1), epoch: 1)
        batch.append(task: 0, attempt: 1, code: .succeeded, payload: [9, 9][...])
        outcomes.take(batch)
        #expect(try numbers(try outcomes.joined(0..<1).values) == [nil])
    }

    @Test("a hundred thousand small elements there and back")
    func many() throws {
        let count = 100_000
        let stream = RItem.toStream(RItem.integers((0..<Int32(count)).map { $0 }))
        let clock = ContinuousClock()
        var outcomes = JobOutcomes(tasks: count)
        let cutting = try clock.measure {
            var cutter = try TaskCutter(stream, seed: seed)
            var first: TaskIndex = 0
            while let chunk = try cutter.next() {
                var batch = OutcomeBatch(job: JobID(rawValue: 1), epoch: 1)
                batch.tasks = [TaskRange(first: first, count: UInt32(chunk.count))]
                // What came back: the item behind the kind, as the arguments have it behind flags and seed.
                var payloads = PayloadArray()
                for position in 0..<chunk.count {
                    payloads.append(writing: { RTaskPayload.append(value: chunk[position].dropFirst(25), to: &$0) })
                }
                batch.payloads = payloads
                outcomes.take(batch)
                first += UInt32(chunk.count)
            }
        }
        var joined = JoinedOutcomes()
        let joining = try clock.measure { joined = try outcomes.joined(0..<TaskIndex(count)) }
        print("100,000 elements: cut with seeds in \(cutting), joined in \(joining)")
        #expect(try RCutter(joined.values).count == count)
        #expect(!joined.hasTrouble)
    }
}
