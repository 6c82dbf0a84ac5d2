import Roost
import RoostModel
import Testing

@Suite("When tasks go wrong", .timeLimit(.minutes(1)))
struct TroubleTests {
    @Test("an exit status other than 0 is final, and comes with its evidence")
    func exitStatus() async throws {
        try await withPool { pool in
            let job = try await pool.submit(commands: [.shell("echo before; echo the reason >&2; exit 3"), .shell("true")])
            let outcomes = try await job.collect().sorted { $0.task < $1.task }
            #expect(outcomes.map(\.kind) == [.failed, .succeeded])
            #expect(outcomes[0].end == .failed)
            #expect(outcomes[0].attempt == 1)
            #expect(outcomes[0].command?.exitStatus == 3)
            #expect(outcomes[0].output == "before\n")
            #expect(outcomes[0].postMortem?.exitStatus == 3)
            #expect(outcomes[0].postMortem?.lastOutput == "the reason\n")
            let end = try await job.wait()
            #expect(end.succeeded == 1)
            #expect(end.failed == 1)
        }
    }

    @Test("a program that is not there could not be started, and says which")
    func noSuchProgram() async throws {
        try await withPool { pool in
            let job = try await pool.submit(commands: [.program("/no/such/program"), .shell("true")])
            let outcomes = try await job.collect().sorted { $0.task < $1.task }
            #expect(outcomes.map(\.kind) == [.failed, .succeeded])
            #expect(outcomes[0].end == .couldNotStart)
            #expect(outcomes[0].postMortem?.reason.contains("/no/such/program") == true)
        }
    }

    @Test("retries: a task that succeeds at its third attempt has succeeded")
    func retries() async throws {
        try await withPool { pool in
            var options = JobOptions()
            options.policy.retries = 2
            let job = try await pool.submit(
                commands: [.shell("echo attempt $ROOST_ATTEMPT; test $ROOST_ATTEMPT -ge 3"), .shell("exit 1")],
                options: options)
            let outcomes = try await job.collect().sorted { $0.task < $1.task }
            #expect(outcomes.map(\.kind) == [.succeeded, .failed])
            #expect(outcomes.map(\.attempt) == [3, 3])
            #expect(outcomes[0].output == "attempt 3\n")
            let end = try await job.wait()
            #expect(end.retried == 4)
            #expect(end.attempts == 6)
        }
    }

    @Test("a task that kills its workers is held after the third, with the signal; the others succeed")
    func poison() async throws {
        try await withPool { pool in
            let poison = Command.shell("echo about to die; kill -SEGV $$")
            let job = try await pool.submit(commands: [poison] + (1..<10).map { .shell("echo \($0)") })
            let outcomes = try await job.collect().sorted { $0.task < $1.task }
            #expect(outcomes.map(\.kind) == [.held] + Array(repeating: .succeeded, count: 9))
            #expect(outcomes[0].end == .crashed)
            #expect(outcomes[0].attempt == 3)
            #expect(outcomes[0].postMortem?.signal == 11)
            #expect(outcomes[0].postMortem?.reason.contains("SEGV") == true)
            #expect(outcomes[0].postMortem?.lastOutput == "about to die\n")
        }
    }

    @Test("a timeout stops the task with everything it started, and is no success")
    func timeout() async throws {
        try await withPool { pool in
            var options = JobOptions()
            options.policy.timeout = .milliseconds(200)
            options.policy.killGrace = .milliseconds(50)
            // A shell that ignores INT and TERM, and a child of its own.
            let stubborn = Command.shell("trap '' INT TERM; sleep 86401.25 & wait; sleep 86401.25")
            let job = try await pool.submit(commands: [stubborn], options: options)
            let outcomes = try await job.collect()
            #expect(outcomes.map(\.kind) == [.failed])
            #expect(outcomes[0].end == .timedOut)
            #expect(try await noProcess(mentions: "86401.25"))
        }
    }

    @Test("output beyond the limits loses its middle, and says how much", arguments: [0, 1, 999, 1000, 1500, 100_000])
    func longOutput(bytes: Int) async throws {
        try await withPool { pool in
            let environment = CommandCommon(outputHeadBytes: 1000, outputTailBytes: 500)
            let job = try await pool.submit(
                commands: [.shell("head -c \(bytes) /dev/zero | tr '\\0' x")], environment: environment)
            let output = try #require(try await job.collect().first?.command?.stdout)
            #expect(output.totalBytes == UInt64(bytes))
            #expect(output.head.count == min(bytes, 1000))
            #expect(output.tail.count == min(max(0, bytes - 1000), 500))
            #expect(output.omittedBytes == UInt64(max(0, bytes - 1500)))
        }
    }

    @Test("a job that asks for more than the pool has can be explained, and cancelled")
    func impossibleRequest() async throws {
        try await withPool { pool in
            var options = JobOptions()
            options.request = .cpus(1000)
            let job = try await pool.submit(commands: [.shell("true")], options: options)
            _ = try await job.number()
            guard case .explanation(let nodes) = await pool.query(.explain(.id(job.id), task: 0)) else {
                Issue.record("the pool does not explain")
                return
            }
            #expect(nodes.contains { !$0.canRun && $0.reason.contains("1000") })
            try await job.cancel()
            let outcomes = try await job.collect()
            #expect(outcomes.map(\.kind) == [.cancelled])
            #expect(outcomes.map(\.end) == [.neverRan])
        }
    }
}
