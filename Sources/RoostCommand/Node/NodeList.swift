import ArgumentParser
import Roost
import RoostModel

/// `roost node list`.
struct NodeList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the pool's nodes.",
        discussion: """
            connected: takes work. draining: finishes what it runs. suspect: out of contact; its tasks stay its own \
            until its guard reports it dead or their lease ends. lost: gone.
            """)

    @OptionGroup var pool: PoolOptions
    @OptionGroup var format: OutputOptions

    func run() async throws {
        let nodes = try await pool.withPool { (pool) throws(RoostError) in try await pool.snapshot().nodes }
        if format.isJSON {
            return Terminal.print(
                JSONWriter.document { json in
                    json.beginArray()
                    for node in nodes { node.write(to: &json) }
                    json.endArray()
                })
        }
        if nodes.isEmpty {
            return Terminal.note("roost: no node is in the pool; one joins with 'roost node start'")
        }
        var table = Table([
            .init("NODE"), .init("STATE"), .init("SLOTS", .right), .init("MEMORY", .right), .init("RUNNING", .right),
            .init("QUEUED", .right), .init("DONE", .right), .init("LOAD", .right), .init("HEARD", .right), .init("FROM"),
        ])
        for node in nodes {
            table.add([
                node.name, node.state.words, MilliText.show(node.offer.milliCPUs),
                node.offer.memoryBytes > 0 ? SizeText.show(node.offer.memoryBytes) : "-", "\(node.status.running)",
                "\(node.status.queued)", "\(node.finished)", Self.load(node.status.milliLoad),
                DurationText.show(.seconds(node.silentSeconds)) + " ago", node.peer,
            ])
        }
        Terminal.print(table.render(width: Terminal.width))
    }

    private static func load(_ milli: UInt32) -> String {
        let tenths = (milli + 50) / 100
        return "\(tenths / 10).\(tenths % 10)"
    }
}

/// `roost node show`.
struct NodeShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Show all there is to know of a node.")

    @Argument(help: ArgumentHelp("The node's name.", valueName: "node"))
    var node: String

    @OptionGroup var pool: PoolOptions
    @OptionGroup var format: OutputOptions

    func run() async throws {
        let all = try await pool.withPool { (pool) throws(RoostError) in try await pool.snapshot() }
        let found = all.nodes.filter { $0.name == node }
        guard !found.isEmpty else {
            throw RoostError(.notFound, "no node is named \(node)", remedy: "'roost node list' shows the nodes.")
        }
        if format.isJSON {
            return Terminal.print(
                JSONWriter.document { json in
                    json.beginArray()
                    for node in found { node.write(to: &json) }
                    json.endArray()
                })
        }
        let texts = found.map { Self.text($0) + WorkerTable.text($0.status.workers, jobs: all.jobs, width: Terminal.width) }
        Terminal.print(texts.joined(separator: "\n"))
    }

    static func text(_ node: NodeSnapshot) -> String {
        var offer = ["\(MilliText.show(node.offer.milliCPUs)) cpus"]
        if node.offer.memoryBytes > 0 { offer.append("\(SizeText.show(node.offer.memoryBytes)) memory") }
        if node.offer.milliGPUs > 0 { offer.append("\(MilliText.show(node.offer.milliGPUs)) gpus") }
        offer += node.offer.named.map { "\(MilliText.show($0.milliAmount)) \($0.name)" }
        let labels = node.labels.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
        let rows = [
            ("node", "\(node.name), id \(Hex.of(node.id.rawValue))"),
            ("state", "\(node.state.words), heard \(DurationText.show(.seconds(node.silentSeconds))) ago"),
            ("from", "\(node.peer), process \(node.processID), for \(DurationText.show(.seconds(node.connectedSeconds)))"),
            ("platform", "\(node.platform), Roost \(node.version)"),
            ("offers", offer.joined(separator: ", ")),
            ("labels", labels.isEmpty ? "none" : labels),
            (
                "tasks",
                "\(node.granted) granted: \(node.status.running) run, \(node.status.queued) wait there; "
                    + "\(node.finished) finished since the server's start"
            ),
        ]
        return rows.map { "\($0.0):".padded(to: 10) + "\($0.1)\n" }.joined()
    }
}

/// `roost node drain`.
struct NodeDrain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Let a node finish what it runs, and leave.",
        discussion: "Needs an administrator's token. Tasks that it has not begun move to other nodes at once.")

    @Argument(help: ArgumentHelp("The node's name, or 'all'.", valueName: "node"))
    var node: String

    @OptionGroup var pool: PoolOptions

    func run() async throws {
        let node = node
        let count = try await pool.withPool(for: .admin) { (pool) throws(RoostError) in
            try await pool.change(.drainNode(name: node))
        }
        Terminal.note("roost: \(count) node\(count == 1 ? "" : "s") will leave when what runs there has ended")
    }
}

/// `roost node kill`.
struct NodeKill: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kill",
        abstract: "Stop a node at once; its tasks move to other nodes.",
        discussion: "Needs an administrator's token.")

    @Argument(help: ArgumentHelp("The node's name, or 'all'.", valueName: "node"))
    var node: String

    @OptionGroup var pool: PoolOptions

    func run() async throws {
        let node = node
        let count = try await pool.withPool(for: .admin) { (pool) throws(RoostError) in
            try await pool.change(.killNode(name: node))
        }
        Terminal.note("roost: stopped \(count) node\(count == 1 ? "" : "s")")
    }
}
