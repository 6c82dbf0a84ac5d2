import Roost
import RoostModel
import Testing

@Suite("Watching and steering a job", .timeLimit(.minutes(1)))
struct SteeringTests {
    @Test("cancelling a job stops what runs and never starts what waits; every task has an outcome")
    func cancelJob() async throws {
        let directory = try TemporaryDirectory()
        let gate = try Gate("gate", in: directory)
        try await withPool(slots: 1) { pool in
            var options = JobOptions()
            options.streamsOutput = true
            let job = try await pool.submit(
                commands: [Command](repeating: .shell("echo begun; \(gate.wait)"), count: 50), options: options)
            let output = Record<OutputChunk>()
            job.onOutput { output.note($0) }
            // Whichever runs first: it runs for certain when it has printed something.
            let running = try #require(await output.first { _ in true }).task
            try await job.cancel()
            let outcomes = try await job.collect()
            #expect(outcomes.count == 50)
            #expect(outcomes.allSatisfy { $0.kind == .cancelled })
            #expect(outcomes.filter { $0.end != .neverRan }.map(\.task) == [Int(running)])
            #expect(try await job.wait().cancelled == 50)
        }
    }

    @Test("cancelling the Swift task that waits ends the waiting, not the job")
    func cancelWaiting() async throws {
        let directory = try TemporaryDirectory()
        let gate = try Gate("gate", in: directory)
        try await withPool { pool in
            let job = try await pool.submit(commands: [.shell("\(gate.wait); echo done")])
            let waiter = Task { try await job.wait() }
            let reader = Task { try await job.collect() }
            waiter.cancel()
            reader.cancel()
            await #expect(throws: RoostError.self) { try await waiter.value }
            await #expect(throws: RoostError.self) { try await reader.value }
            gate.open()
            #expect(try await job.collect().map(\.output) == ["done\n"])
            #expect(try await job.wait().succeeded == 1)
        }
    }

    @Test("cancelling the Swift task that reads cancels the job, when asked to")
    func cancelWithReader() async throws {
        let directory = try TemporaryDirectory()
        let gate = try Gate("gate", in: directory)
        try await withPool { pool in
            var options = JobOptions()
            options.isCancelledWithReader = true
            let job = try await pool.submit(commands: [.shell(gate.wait), .shell(gate.wait)], options: options)
            let reader = Task { try await job.collect() }
            reader.cancel()
            await #expect(throws: RoostError.self) { try await reader.value }
            #expect(try await job.collect().map(\.kind) == [.cancelled, .cancelled])
        }
    }

    @Test("progress counts what has happened, and ends complete")
    func progress() async throws {
        try await withPool { pool in
            let job = try await pool.submit(commands: (0..<30).map { .shell("exit \($0 % 3 == 0 ? 1 : 0)") })
            let seen = Record<JobProgress>()
            job.onProgress { seen.note($0) }
            _ = try await job.collect()
            let end = try await job.wait()
            #expect(end == job.progress)
            #expect(end.isEnded)
            #expect(end.tasks == 30)
            #expect(end.failed == 10)
            #expect(end.succeeded == 20)
            #expect(end.granted == 0)
            let counts = seen.all.map(\.done)
            #expect(counts == counts.sorted())
        }
    }

    @Test("output is delivered while a task runs, in order and whole")
    func streaming() async throws {
        let directory = try TemporaryDirectory()
        let gate = try Gate("gate", in: directory)
        try await withPool { pool in
            var options = JobOptions()
            options.streamsOutput = true
            let job = try await pool.submit(commands: [.shell("echo first; \(gate.wait); echo second")], options: options)
            let output = Record<OutputChunk>()
            job.onOutput { output.note($0) }
            let first = try #require(await output.first { _ in true })
            #expect(String(decoding: first.bytes, as: UTF8.self) == "first\n")
            // Only now can the task end: the output came while it ran.
            gate.open()
            #expect(try await job.collect().map(\.output) == ["first\nsecond\n"])
            var text: [UInt8] = []
            for chunk in output.all {
                #expect(chunk.offset == UInt64(text.count))
                text += chunk.bytes
            }
            #expect(String(decoding: text, as: UTF8.self) == "first\nsecond\n")
        }
    }

    @Test("tasks are appended to an open job as earlier results suggest them")
    func openJob() async throws {
        try await withPool { pool in
            let job = try await pool.openCommands()
            var results = job.results.makeAsyncIterator()
            var value = 1
            for _ in 0..<20 {
                try await job.append(.shell("echo $((\(value) * 2))"))
                try await job.flush()
                let outcome = try #require(try await results.next())
                value = try #require(Int(outcome.output.dropLast()))
            }
            #expect(value == 1 << 20)
            #expect(!job.progress.isEnded)
            try await job.closeTasks()
            #expect(try await results.next() == nil)
        }
    }

    @Test("no more tasks of a job run at once than it allows")
    func maxParallel() async throws {
        let directory = try TemporaryDirectory()
        try await withPool(slots: 4) { pool in
            var options = JobOptions()
            options.policy.maxParallel = 1
            // mkdir is atomic: a second task inside would find the directory there.
            let lock = "\(directory.path)/lock"
            let job = try await pool.submit(
                commands: [Command](repeating: .shell("mkdir \(lock) && sleep 0.01 && rmdir \(lock)"), count: 20),
                options: options)
            #expect(try await job.collect().allSatisfy(\.isSuccess))
        }
    }
}
