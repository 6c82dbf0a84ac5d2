import ArgumentParser
import Roost
import RoostEmbedded
import RoostModel

/// `roost bench`: how fast this pool is on this machine.
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure how fast a pool is on this machine.",
        discussion: """
            Starts a server and nodes as processes of their own, joined over TLS on loopback, and sends tasks \
            through them that compute eight bytes from their argument. Every argument is different, and every \
            outcome is checked by the client. Nothing is left behind.

            EXAMPLES
              roost bench                              a million tasks of 100 bytes, one node
              roost bench --tasks 100000 --payload 10000 --nodes 2
              roost bench --durable                    what it costs to lose nothing
              roost bench --restart                    how long the server takes to be back after a kill -9
              roost bench --embedded                   client, server and node in one process
              roost bench --store /srv                 the server's database alone, on the disk of that directory
              roost bench --output json                for scripts
            """)

    @Option(help: ArgumentHelp("How many tasks to measure, after a warm-up.", valueName: "n"))
    var tasks = 1_000_000

    @Option(help: ArgumentHelp("Bytes of each task's argument; at least 8.", valueName: "bytes"))
    var payload = 100

    @Option(help: ArgumentHelp("How many nodes.", valueName: "n"))
    var nodes = 1

    @Option(help: ArgumentHelp("Slots of each node.", valueName: "n"))
    var slots = 2

    @Option(help: ArgumentHelp("How many single tasks to time, one after the other.", valueName: "n"))
    var singles = 2000

    @Flag(help: "Measure the embedded pool: everything in one process, without TLS.")
    var embedded = false

    @Flag(help: "Measure durable jobs: every task and every outcome reaches the server's disk.")
    var durable = false

    @Flag(help: "Measure a killed server's next start, with as many finished durable tasks, and as many queued ones, as --tasks says.")
    var restart = false

    @Option(
        help: ArgumentHelp("Measure only the server's database, in a new directory in this one.", valueName: "dir"),
        completion: .directory)
    var store: String?

    @Option(help: "How to print: text or json.")
    var output = OutputForm.text

    enum OutputForm: String, ExpressibleByArgument, CaseIterable { case text, json }

    func validate() throws {
        guard tasks > 0, tasks <= Int(Limits.tasksPerJob) else {
            throw ValidationError("--tasks takes a number from 1 to \(Limits.tasksPerJob)")
        }
        guard payload >= 8, payload <= 16 << 20 else { throw ValidationError("--payload takes 8 to 16777216 bytes") }
        guard (1...64).contains(nodes), (1...1024).contains(slots) else {
            throw ValidationError("--nodes takes 1 to 64, --slots 1 to 1024")
        }
        guard [embedded, restart, store != nil].filter({ $0 }).count <= 1 else {
            throw ValidationError("--embedded, --restart and --store are three benchmarks: ask for one")
        }
        guard !(durable && embedded) else {
            throw ValidationError("--durable needs a server: an embedded pool has no disk")
        }
        guard singles > 0 else { throw ValidationError("--singles takes a number from 1 on") }
    }

    func run() async throws {
        if let store {
            let figures = try await StoreBench(directory: store, tasks: tasks, payload: payload).measure()
            return print(output == .json ? figures.json : figures.text)
        }
        if restart {
            let figures = try await RestartBench(self).measure()
            return print(output == .json ? figures.json : figures.text)
        }
        let figures: BenchFigures
        if embedded {
            let pool = try await Pool.embedded(slots: slots)
            figures = try await BenchRun(self, retention: durable ? .durable : .attached).measure(pool, server: nil)
            await pool.close()
        } else {
            let processes = try await BenchProcesses.start(nodes: nodes, slots: slots)
            do {
                let pool = try await Pool.connect(processes.url, token: processes.clientToken, description: "roost bench")
                figures = try await BenchRun(self, retention: durable ? .durable : .attached).measure(pool, server: processes.serverProcess)
                await pool.close()
                processes.stop()
            } catch {
                processes.stop()
                throw error
            }
        }
        print(output == .json ? figures.json : figures.text)
    }
}

/// What a run found.
struct BenchFigures {
    var tasks: Int
    var payload: Int
    var tasksPerSecond: Double
    var p50Microseconds: Double
    var p99Microseconds: Double
    /// nil for the embedded pool: server, node and client share a process.
    var serverMicrosecondsPerTask: Double?
    var serverBytes: Int?

    var json: String {
        func number(_ value: Double?) -> String { value.map { "\(($0 * 1000).rounded() / 1000)" } ?? "null" }
        return """
            {"tasks": \(tasks), "payload": \(payload), "tasks_per_second": \(number(tasksPerSecond.rounded())), \
            "p50_us": \(number(p50Microseconds)), "p99_us": \(number(p99Microseconds)), \
            "server_cpu_us_per_task": \(number(serverMicrosecondsPerTask)), \
            "server_rss_bytes": \(serverBytes.map { "\($0)" } ?? "null")}
            """
    }

    var text: String {
        func shown(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }
        var lines = [
            "tasks/s          \(Int(tasksPerSecond))   (\(tasks) tasks of \(payload) bytes)",
            "one task alone   \(shown(p50Microseconds)) µs median, \(shown(p99Microseconds)) µs p99",
        ]
        if let serverMicrosecondsPerTask { lines.append("server CPU       \(shown(serverMicrosecondsPerTask)) µs per task") }
        if let serverBytes { lines.append("server memory    \(serverBytes >> 20) MiB") }
        return lines.joined(separator: "\n")
    }
}
