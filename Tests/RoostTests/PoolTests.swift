import Glibc
import Roost
import RoostEmbedded
import RoostModel
import Testing

@Suite("Opening and closing a pool", .timeLimit(.minutes(1)))
struct PoolTests {
    @Test("closing the pool leaves no process behind, and tells whoever still waits")
    func closeLeavesNothing() async throws {
        let pool = try await Pool.embedded(slots: 2)
        var options = JobOptions()
        options.streamsOutput = true
        // One that would not go by itself, with a child in the background.
        let job = try await pool.submit(
            commands: [Command](repeating: .shell("trap '' INT TERM; sleep 86402.75 & echo begun; wait"), count: 2),
            options: options)
        let output = Record<OutputChunk>()
        job.onOutput { output.note($0) }
        _ = await output.first { _ in true }
        #expect(!processes(mentioning: "86402.75").isEmpty)

        let reader = Task { try await job.collect() }
        let waiter = Task { try await job.wait() }
        await pool.close()
        #expect(try await noProcess(mentions: "86402.75"))
        await #expect(throws: RoostError.self) { try await reader.value }
        await #expect(throws: RoostError.self) { try await waiter.value }
    }

    @Test("a closed pool answers everything with an error, and waits for nothing")
    func closedPool() async throws {
        let pool = try await Pool.embedded(slots: 1)
        let job = try await pool.open(runtime: .digest)
        await pool.close()
        await pool.close()
        await #expect(throws: RoostError.self) { try await pool.submit(commands: [.shell("true")]) }
        await #expect(throws: RoostError.self) { try await pool.snapshot() }
        await #expect(throws: RoostError.self) { try await pool.attach(job.id).collect() }
        await #expect(throws: RoostError.self) {
            try await job.append([1, 2, 3]); try await job.flush()
        }
        await #expect(throws: RoostError.self) { try await job.wait() }
        await #expect(throws: RoostError.self) { try await job.cancel() }
    }

    @Test("several pools live side by side in one process")
    func severalPools() async throws {
        try await withPool(slots: 1) { first in
            try await withPool(slots: 1) { second in
                let a = try await first.submit(commands: [.shell("echo first")])
                let b = try await second.submit(commands: [.shell("echo second")])
                #expect(try await b.collect().map(\.output) == ["second\n"])
                #expect(try await a.collect().map(\.output) == ["first\n"])
            }
        }
    }

    @Test("commands run in the caller's directory, with what was asked for in their environment, without stdin")
    func environment() async throws {
        try await withPool { pool in
            let environment = CommandCommon(
                inheritsEnvironment: true, environment: [.init(name: "COLOUR", value: "green")])
            let line = "pwd; echo $COLOUR $ROOST_TASK $ROOST_ATTEMPT $OMP_NUM_THREADS; wc -c"
            let job = try await pool.submit(commands: [.shell(line)], environment: environment)
            let here = try #require(getcwd(nil, 0))
            defer { free(here) }
            #expect(try await job.collect().map(\.output) == ["\(String(cString: here))\ngreen 0 1 1\n0\n"])
        }
    }

    @Test("the snapshot shows the node and the job")
    func snapshot() async throws {
        try await withPool(slots: 3) { pool in
            var options = JobOptions()
            options.name = "primes"
            let job = try await pool.open(runtime: .command, options: options)
            let number = try await job.number()
            let snapshot = try await pool.snapshot()
            #expect(snapshot.nodes.map(\.offer.milliCPUs) == [3000])
            #expect(snapshot.jobs.map(\.name) == ["primes"])
            #expect(snapshot.jobs.map(\.number) == [number])
        }
    }

    @Test("a payload above the limit is refused before it is sent")
    func payloadLimit() async throws {
        try await withPool { pool in
            // Never touched, so that it takes no memory.
            let large = [UInt8](unsafeUninitializedCapacity: Limits.payloadBytes + 1) { $1 = Limits.payloadBytes + 1 }
            let job = try await pool.open(runtime: .digest)
            let error = await #expect(throws: RoostError.self) { try await job.append(large) }
            #expect(error?.code == .limit)
            let other = await #expect(throws: RoostError.self) { try await pool.open(runtime: .digest, common: large) }
            #expect(other?.code == .limit)
            // The job is none the worse for it.
            try await job.append([1])
            try await job.closeTasks()
            #expect(try await job.collect().count == 1)
        }
    }

    @Test("a job is read by one handle of a client at a time")
    func attachTwice() async throws {
        try await withPool { pool in
            let job = try await pool.open(runtime: .digest)
            let second = pool.attach(job.id)
            let error = await #expect(throws: RoostError.self) { try await second.collect() }
            #expect(error?.code == .conflict)
            try await job.append([1])
            try await job.closeTasks()
            #expect(try await job.collect().count == 1)
        }
    }

    @Test("a job that nobody submitted is not found")
    func attachUnknown() async throws {
        try await withPool { pool in
            let error = await #expect(throws: RoostError.self) {
                try await pool.attach(JobID(rawValue: 12345)).collect()
            }
            #expect(error?.code == .notFound)
        }
    }

    @Test("connecting: what is wrong is said before or after the first packet, and names the place")
    func connectErrors() async throws {
        let url = await #expect(throws: RoostError.self) { try await Pool.connect("http://head:1", token: nil) }
        #expect(url?.code == .usage)
        let noToken = await #expect(throws: RoostError.self) { try await Pool.connect("roost://127.0.0.1:1", token: nil) }
        #expect(noToken?.code == .refused)
        let badToken = await #expect(throws: RoostError.self) {
            try await Pool.connect("roost://127.0.0.1:1", token: "not a token")
        }
        #expect(badToken?.code == .usage)
        // Port 1 of loopback: nobody listens there.
        let nobody = await #expect(throws: RoostError.self) {
            try await Pool.connect("roost+plain://127.0.0.1:1", token: nil)
        }
        #expect(nobody?.code == .unreachable)
        #expect(nobody?.description.contains("127.0.0.1") == true)
    }
}
