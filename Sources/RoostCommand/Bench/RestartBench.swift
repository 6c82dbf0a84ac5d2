import Roost
import RoostModel

/// How long a killed server takes to be back, with finished durable tasks and as many queued ones on its disk.
struct RestartBench {
    private let bench: Bench

    init(_ bench: Bench) { self.bench = bench }

    func measure() async throws(RoostError) -> RestartFigures {
        var processes = try await BenchProcesses.start(nodes: bench.nodes, slots: bench.slots)
        defer { processes.stop() }
        try await fill(processes)
        let seconds = try await processes.restartServer()
        guard let bytes = processes.serverProcess.mostResidentBytes else { throw RoostError(.io, "the server is gone again") }
        try await check(processes)
        return RestartFigures(tasks: bench.tasks, seconds: seconds, bytes: bytes)
    }

    /// One job that ends, and one that no node takes.
    private func fill(_ processes: BenchProcesses) async throws(RoostError) {
        let pool = try await connect(processes)
        let run = BenchRun(bench, retention: .durable)
        _ = try await run.throughput(pool, tasks: bench.tasks)
        var options = JobOptions()
        options.name = "queued"
        options.retention = .durable
        options.labels = [Label(key: "bench", value: "nowhere")]
        let queued = try await pool.open(runtime: .digest, options: options)
        try await run.send(queued, tasks: bench.tasks)
        try await queued.waitUntilSubmitted()
        await pool.close()
    }

    /// Nothing is missing.
    private func check(_ processes: BenchProcesses) async throws(RoostError) {
        let pool = try await connect(processes)
        guard case .jobs(let jobs) = try await pool.ask(.jobs) else { throw Pool.unexpected }
        await pool.close()
        let (tasks, succeeded) = (jobs.map(\.progress.tasks), jobs.map(\.progress.succeeded).sorted())
        guard tasks == [UInt32(bench.tasks), UInt32(bench.tasks)], succeeded == [0, UInt32(bench.tasks)] else {
            throw RoostError(.internal, "the server came back with \(tasks) tasks, \(succeeded) of them finished")
        }
    }

    private func connect(_ processes: BenchProcesses) async throws(RoostError) -> Pool {
        try await Pool.connect(processes.url, token: processes.clientToken, description: "roost bench")
    }
}

/// What it found.
struct RestartFigures {
    var tasks: Int
    var seconds: Double
    var bytes: Int

    var json: String { #"{"tasks": \#(tasks), "seconds": \#((seconds * 10000).rounded() / 10000), "most_bytes": \#(bytes)}"# }

    var text: String {
        """
        until it listens   \((seconds * 1000).rounded() / 1000) s with \(tasks) finished and \(tasks) queued durable tasks
        server memory      \(bytes >> 20) MiB at most
        """
    }
}
