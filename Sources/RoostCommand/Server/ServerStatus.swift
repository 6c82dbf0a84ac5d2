import ArgumentParser
import Roost
import RoostModel

/// `roost server status`.
struct ServerStatus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what the server is doing.",
        discussion: """
            EXAMPLES
              roost server status
              roost server status --output json
            """)

    @OptionGroup var pool: PoolOptions
    @OptionGroup var format: OutputOptions

    func run() async throws {
        let address = try pool.address()
        let snapshot = try await pool.withPool { (pool) throws(RoostError) in
            guard case .pool(let snapshot) = try await pool.ask(.pool) else { throw Pool.unexpected }
            return snapshot
        }
        if format.isJSON { return Terminal.print(snapshot.json(address)) }
        Terminal.print(Self.text(snapshot, address))
    }

    static func text(_ snapshot: PoolSnapshot, _ address: PoolAddress) -> String {
        let nodes = snapshot.nodes
        let slots = nodes.filter { $0.state == .connected }.reduce(0) { $0 + $1.offer.milliCPUs / 1000 }
        var open = 0
        var waiting = 0
        var granted = 0
        for job in snapshot.jobs where !job.progress.isEnded {
            open += 1
            waiting += Int(job.progress.tasks) - Int(job.progress.done) - Int(job.progress.granted)
            granted += Int(job.progress.granted)
        }
        let count = { (state: NodeSnapshot.State) in nodes.count { $0.state == state } }
        var nodeWords = ["\(count(.connected)) connected"]
        for (state, word) in [(NodeSnapshot.State.draining, "draining"), (.suspect, "out of contact"), (.lost, "lost")]
        where count(state) > 0 { nodeWords.append("\(count(state)) \(word)") }
        let counters = snapshot.counters
        let rows = [
            ("server", "\(address), Roost \(snapshot.version), pool \(Hex.of(snapshot.pool)), epoch \(snapshot.epoch)"),
            ("up", DurationText.show(.seconds(snapshot.uptimeSeconds))),
            ("nodes", nodeWords.joined(separator: ", ") + "; \(slots) slots"),
            ("clients", "\(snapshot.clients)"),
            ("jobs", "\(open) open of \(snapshot.jobs.count); \(waiting) tasks wait, \(granted) are granted"),
            (
                "since start",
                "\(counters.granted) attempts granted, \(counters.finished) finished, \(counters.retracted) taken back, "
                    + "\(counters.late) late, \(counters.nodesLost) nodes lost"
            ),
        ]
        return rows.map { "\($0.0):".padded(to: 13) + "\($0.1)\n" }.joined()
    }
}

/// `roost server stop`.
struct ServerStop: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop",
        abstract: "Stop the server. Nodes and clients wait for its next start.",
        discussion: "Needs an administrator's token.")

    @OptionGroup var pool: PoolOptions

    func run() async throws {
        _ = try await pool.withPool(for: .admin) { (pool) throws(RoostError) in try await pool.change(.stopServer) }
    }
}
