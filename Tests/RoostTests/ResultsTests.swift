import Roost
import RoostModel
import Testing

@Suite("Results of a job", .timeLimit(.minutes(1)))
struct ResultsTests {
    @Test("what a command printed comes back with its task, each task once")
    func outputComesBack() async throws {
        try await withPool { pool in
            let job = try await pool.submit(commands: (0..<20).map { .shell("echo task \($0); echo noise \($0) >&2") })
            let outcomes = try await job.collect().sorted { $0.task < $1.task }
            #expect(outcomes.map(\.task) == Array(0..<20))
            #expect(outcomes.allSatisfy { $0.isSuccess && $0.attempt == 1 && $0.command?.exitStatus == 0 })
            #expect(outcomes.map(\.output) == (0..<20).map { "task \($0)\n" })
            #expect(outcomes.map(\.errorOutput) == (0..<20).map { "noise \($0)\n" })
        }
    }

    @Test("a program's arguments reach it byte by byte, without a shell")
    func programsNeedNoShell() async throws {
        try await withPool { pool in
            let odd = "a b  'c' \"d\" $HOME `e` \\ * \n ü"
            let job = try await pool.submit(commands: [.program("printf", ["%s", odd])])
            #expect(try await job.collect().map(\.output) == [odd])
        }
    }

    @Test("as completed: a task that ends first comes first, whatever its index")
    func asCompleted() async throws {
        let directory = try TemporaryDirectory()
        let gate = try Gate("gate", in: directory)
        try await withPool { pool in
            let job = try await pool.submit(commands: [.shell(gate.wait), .shell("true")])
            var results = job.results.makeAsyncIterator()
            #expect(try await results.next()?.task == 1)
            gate.open()
            #expect(try await results.next()?.task == 0)
            #expect(try await results.next() == nil)
        }
    }

    @Test("in order: results wait for the tasks before them")
    func inOrder() async throws {
        let directory = try TemporaryDirectory()
        let gate = try Gate("gate", in: directory)
        try await withPool { pool in
            var options = JobOptions()
            options.order = .inOrder
            // The first task can end only after the last one has begun.
            let commands =
                [Command.shell(gate.wait)] + (1..<20).map { .shell("echo \($0)") }
                + [.shell("echo go > \(gate.path)")]
            let job = try await pool.submit(commands: commands, options: options)
            #expect(try await job.collect().map(\.task) == Array(0..<21))
        }
    }

    @Test("a job without tasks ends")
    func emptyJob() async throws {
        try await withPool { pool in
            let job = try await pool.submit(commands: [Command]())
            #expect(try await job.collect().isEmpty)
            let end = try await job.wait()
            #expect(end.isEnded && end.tasks == 0)
        }
    }

    @Test("a million tasks come back, each once and each with its own result")
    func aMillionTasks() async throws {
        let count = 1_000_000
        try await withPool { pool in
            let job = try await pool.open(runtime: .digest)
            let sender = Task {
                for task in 0..<count { try await job.append(Self.argument(task)) }
                try await job.closeTasks()
            }
            var seen = [Bool](repeating: false, count: count)
            var wrong = 0
            var again = 0
            for try await outcome in job.results {
                let expected = withUnsafeBytes(of: Digest.of(Self.argument(outcome.task)[...]).littleEndian) { Array($0) }
                if !outcome.payload.elementsEqual(expected) { wrong += 1 }
                if seen[outcome.task] { again += 1 }
                seen[outcome.task] = true
            }
            try await sender.value
            #expect(wrong == 0)
            #expect(again == 0)
            #expect(seen.allSatisfy { $0 })
            #expect(try await job.wait().succeeded == UInt32(count))
        }
    }

    private static func argument(_ task: Int) -> [UInt8] {
        withUnsafeBytes(of: UInt64(task).littleEndian) { Array($0) }
    }

    @Test("two Swift tasks cannot read the same results at once; the first one goes on")
    func oneReader() async throws {
        let directory = try TemporaryDirectory()
        let gate = try Gate("gate", in: directory)
        try await withPool { pool in
            let job = try await pool.submit(commands: [.shell(gate.wait), .shell(gate.wait)])
            let readers = (0..<2).map { _ in Task { try await job.collect().count } }
            // One of them is told at once, whichever comes second; only then may the tasks end.
            let failures = Record<RoostError?>()
            for reader in readers {
                Task {
                    do {
                        _ = try await reader.value
                        failures.note(nil)
                    } catch {
                        failures.note(error as? RoostError)
                    }
                }
            }
            let failure = await failures.first { _ in true }
            #expect(failure??.code == .usage)
            gate.open(times: 2)
            let ends = await [readers[0].result, readers[1].result]
            #expect(ends.compactMap { try? $0.get() } == [2])
        }
    }
}
