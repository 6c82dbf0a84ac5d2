import Roost
import RoostModel

/// The client's part of a benchmark: sends tasks, checks every outcome, takes the time.
struct BenchRun {
    private let tasks: Int
    private let payload: Int
    private let singles: Int
    private let retention: Retention

    init(_ bench: Bench, retention: Retention) {
        tasks = bench.tasks
        payload = bench.payload
        singles = bench.singles
        self.retention = retention
    }

    func measure(_ pool: Pool, server: ProcessFigures?) async throws(RoostError) -> BenchFigures {
        _ = try await throughput(pool, tasks: min(tasks, 200_000))
        let cpuBefore = server?.cpuNanoseconds
        let seconds = try await throughput(pool, tasks: tasks)
        let cpuAfter = server?.cpuNanoseconds
        let bytes = server?.residentBytes
        let times = try await latencies(pool)
        var cpu: Double?
        if let cpuBefore, let cpuAfter { cpu = Double(cpuAfter - cpuBefore) / 1000 / Double(tasks) }
        return BenchFigures(
            tasks: tasks, payload: payload, tasksPerSecond: Double(tasks) / seconds,
            p50Microseconds: times[times.count / 2], p99Microseconds: times[times.count * 99 / 100],
            serverMicrosecondsPerTask: cpu, serverBytes: bytes)
    }

    // MARK: Many tasks

    /// Seconds from the first task sent to the last outcome checked.
    func throughput(_ pool: Pool, tasks: Int) async throws(RoostError) -> Double {
        var options = JobOptions()
        options.name = "bench"
        options.retention = retention
        let job = try await pool.open(runtime: .digest, options: options)
        let began = Clock.now()
        let sender = Task { () -> RoostError? in
            // Ends before this function does: its value is awaited below.
            do throws(RoostError) {
                try await send(job, tasks: tasks)
                return nil
            } catch {
                return error
            }
        }
        try await check(job, tasks: tasks)
        if let error = await sender.value { throw error }
        return (Clock.now() - began).inSeconds
    }

    func send(_ job: JobHandle, tasks: Int) async throws(RoostError) {
        var first = 0
        while first < tasks {
            let count = min(Limits.chunkTasks, tasks - first, max(1, Limits.chunkBytes / payload))
            var bytes: [UInt8] = []
            bytes.reserveCapacity(count * payload)
            for task in first..<(first + count) { Self.appendArgument(UInt64(task), payload, to: &bytes) }
            let ends = (1...count).map { UInt32($0 * payload) }
            try await job.append(PayloadArray(bytes: bytes, ends: ends))
            first += count
        }
        try await job.closeTasks()
    }

    /// Receives every outcome once, and compares it with what its argument gives.
    private func check(_ job: JobHandle, tasks: Int) async throws(RoostError) {
        var seen = 0
        var argument: [UInt8] = []
        while let batch = try await job.nextBatch() {
            var position = 0
            for run in batch.tasks {
                for task in run.first..<run.end {
                    argument.removeAll(keepingCapacity: true)
                    Self.appendArgument(UInt64(task), payload, to: &argument)
                    let expected = Digest.of(argument[...])
                    guard batch.code(at: position) == .succeeded, Self.value(batch.payloads[position]) == expected else {
                        throw RoostError(.internal, "task \(task) came back with a wrong outcome")
                    }
                    position += 1
                }
            }
            seen += position
            job.used(position)
        }
        guard seen == tasks else { throw RoostError(.internal, "\(tasks) tasks were sent, \(seen) outcomes came back") }
    }

    private static func value(_ payload: ArraySlice<UInt8>) -> UInt64? {
        guard payload.count == 8 else { return nil }
        return payload.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
    }

    /// `payload` bytes that depend on every bit of the task's index (SplitMix64, Steele et al. 2014).
    private static func appendArgument(_ task: UInt64, _ payload: Int, to bytes: inout [UInt8]) {
        var state = task &* 0x9E37_79B9_7F4A_7C15
        var left = payload
        while left > 0 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var word = state
            word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            word ^= word >> 31
            withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0.prefix(left)) }
            left -= 8
        }
    }

    // MARK: One task alone

    /// Microseconds from a task's submission to its outcome, sorted; each waits for the one before.
    private func latencies(_ pool: Pool) async throws(RoostError) -> [Double] {
        var options = JobOptions()
        options.retention = retention
        let job = try await pool.open(runtime: .digest, options: options)
        var times: [Double] = []
        for single in 0..<singles {
            var argument: [UInt8] = []
            Self.appendArgument(UInt64(single), payload, to: &argument)
            let began = Clock.now()
            try await job.append(argument)
            try await job.flush()
            guard let batch = try await job.nextBatch() else {
                throw RoostError(.internal, "the job ended before its tasks")
            }
            times.append((Clock.now() - began).inSeconds * 1e6)
            guard Self.value(batch.payloads[0]) == Digest.of(argument[...]) else {
                throw RoostError(.internal, "task \(single) came back with a wrong outcome")
            }
            job.used(batch.count)
        }
        try await job.closeTasks()
        while let rest = try await job.nextBatch() { job.used(rest.count) }
        return times.sorted()
    }
}
