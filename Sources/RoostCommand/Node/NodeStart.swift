import ArgumentParser
import Glibc
import Logging
import RoostModel
import RoostNode
import RoostWire

/// `roost node start`.
struct NodeStart: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Let this machine work for a pool, in the foreground.",
        discussion: """
            The node offers slots (one task each), memory and whatever else is named; tasks run as the user who \
            starts it, each in a fresh directory. It reconnects for ever, and what runs goes on while the server \
            is away.

            SIGTERM or Ctrl-C drains: no more work is taken, what runs is finished, then the node leaves. The same \
            again stops it at once; its tasks move to other nodes. Nothing is left behind, even after kill -9: a \
            guard process ends the node's commands and tells the server.

            EXAMPLES
              roost node start --pool roost://head:7117 --token TOKEN
              ROOST_TOKEN=@node-token roost node start --pool roost://head --slots 8
              roost node start --gpus 2 --resource licences=4 --label zone=a
              roost node start --r /opt/R/4.4.1/bin/R --r-max-memory 4G
            """)

    @OptionGroup var pool: PoolOptions

    @Option(help: ArgumentHelp("Tasks at once. Default: the CPUs that this process may really use.", valueName: "n"))
    var slots: Int?

    @Option(help: ArgumentHelp("Memory to offer, such as 32G. Default: what the machine or its cgroup has.", valueName: "size"))
    var memory: String?

    @Option(help: ArgumentHelp("GPUs to offer.", valueName: "n"))
    var gpus: Double = 0

    @Option(help: ArgumentHelp("Something else to offer, such as licences=4; may be repeated.", valueName: "name=amount"))
    var resource: [String] = []

    @Option(help: ArgumentHelp("A property that jobs can ask for, such as zone=a; may be repeated.", valueName: "key=value"))
    var label: [String] = []

    @Option(help: ArgumentHelp("The node's name, for people. Default: the host's name.", valueName: "name"))
    var name: String?

    @Option(
        help: ArgumentHelp(
            "What makes it the same node tomorrow; on a local disk. Default: ~/.local/state/roost/node, and node-2, node-3, … for more on one machine.",
            valueName: "dir"), completion: .directory)
    var state: String?

    @Option(
        help: ArgumentHelp(
            "Memory for results that the server has not taken yet, such as 1G; the rest waits in files of the state directory. Default: 64M.",
            valueName: "size"))
    var resultMemory: String?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("What it runs: command, r, digest. Default: all, r where R is installed.", valueName: "name"))
    var runtimes: [String] = []

    @Option(help: ArgumentHelp("The R to run. Default: the R in the PATH, if there is one.", valueName: "path"), completion: .file())
    var r: String?

    @Option(help: ArgumentHelp("Replace an R worker after so many tasks. Default: never.", valueName: "n"))
    var rMaxTasks: Int?

    @Option(help: ArgumentHelp("Replace an R worker that has grown beyond this after a task, such as 4G.", valueName: "size"))
    var rMaxMemory: String?

    @Option(help: ArgumentHelp("Write the node's name there once it has joined.", valueName: "file"), completion: .file())
    var readyFile: String?

    @Option(help: ArgumentHelp("What to log to standard error.", valueName: "level"))
    var logLevel = LogLevel.info

    @Flag(help: ArgumentHelp("Offer the digest runtime only, without processes; for benchmarks.", visibility: .hidden))
    var zero = false

    @Option(help: ArgumentHelp("That many such nodes in this process; for benchmarks.", visibility: .hidden))
    var connections = 1

    func run() async throws {
        let offer = try NodeOffer(self)
        let (dialer, address) = try pool.dialer(for: .node)
        let log = logLevel.logger("roost.node")
        let crew = try NodeCrew(self, offer: offer, dialer: dialer, log: log)
        try await crew.run(guardTarget: GuardReporter.arguments(address))
    }
}

/// What a node's flags offer, checked.
struct NodeOffer {
    var resources: Resources
    var labels: [Label]
    var runtimes: [RuntimeName]
    /// How R workers run; nil: none do.
    var r: RConfiguration?
    /// Bytes of results that stay in memory until the server has them.
    var resultsInMemory = Limits.resultsInMemory

    init(_ flags: NodeStart) throws(RoostError) {
        let slots = flags.slots ?? AvailableCPUs.slots()
        guard (1...100_000).contains(slots) else { throw RoostError(.usage, "--slots takes a number from 1 to 100000") }
        resources = .cpus(slots)
        if let text = flags.memory {
            guard let bytes = SizeText.parse(text), bytes > 0 else {
                throw RoostError(.usage, "--memory takes a size such as 32G, not '\(text)'")
            }
            resources.memoryBytes = bytes
        } else {
            resources.memoryBytes = Int64(clamping: AvailableCPUs.memoryBytes())
        }
        if let text = flags.resultMemory {
            guard let bytes = SizeText.parse(text), bytes > 0 else {
                throw RoostError(.usage, "--result-memory takes a size such as 1G, not '\(text)'")
            }
            resultsInMemory = Int(clamping: bytes)
        }
        guard (0...10_000).contains(flags.gpus) else { throw RoostError(.usage, "--gpus takes a number from 0 on") }
        resources.milliGPUs = Int64((flags.gpus * 1000).rounded())
        var named: [Resources.NamedAmount] = []
        for text in flags.resource {
            guard let pair = Pair(text), let amount = MilliText.parse(pair.value) else {
                throw RoostError(.usage, "--resource takes NAME=AMOUNT, not '\(text)'")
            }
            named.append(Resources.NamedAmount(name: pair.key, milliAmount: amount))
        }
        resources.add(Resources(named: named))
        try resources.check()
        labels = []
        for text in flags.label {
            guard let pair = Pair(text) else { throw RoostError(.usage, "--label takes KEY=VALUE, not '\(text)'") }
            labels.append(Label(key: pair.key, value: pair.value))
        }
        try Label.check(labels)
        runtimes = flags.zero || flags.connections > 1 ? [.digest] : [.command, .digest]
        if !flags.runtimes.isEmpty {
            for name in flags.runtimes where !["command", "digest", "r"].contains(name) {
                throw RoostError(.usage, "'\(name)' is no runtime of this version", remedy: "It runs: command, digest, r.")
            }
            runtimes = flags.runtimes.map { RuntimeName(rawValue: $0) }
        }
        r = try Self.rConfiguration(flags, runtimes)
        if let r { labels.append(Label(key: "r", value: r.program.version)) }
        // The agent offers it by itself where it can.
        runtimes.removeAll { $0 == .r }
        if r != nil, !runtimes.contains(.command) {
            throw RoostError(.usage, "a node that runs r runs commands, too", remedy: "Add command to --runtimes.")
        }
    }

    private static func rConfiguration(
        _ flags: NodeStart, _ runtimes: [RuntimeName]
    ) throws(RoostError) -> RConfiguration? {
        let isWanted = flags.runtimes.isEmpty ? runtimes.contains(.command) : runtimes.contains(.r)
        guard isWanted else { return nil }
        guard let program = try RProgram.find(flags.r) else {
            guard flags.runtimes.isEmpty else {
                throw RoostError(
                    .notFound, "no R is in the PATH", remedy: "Install one (apt-get install r-base-core), or name it: --r PATH")
            }
            return nil
        }
        var r = RConfiguration(program: program)
        r.prestarted = 1
        if let most = flags.rMaxTasks {
            guard most > 0 else { throw RoostError(.usage, "--r-max-tasks takes a number from 1 on") }
            r.maxTasks = most
        }
        if let text = flags.rMaxMemory {
            guard let bytes = SizeText.parse(text), bytes > 0 else {
                throw RoostError(.usage, "--r-max-memory takes a size such as 4G, not '\(text)'")
            }
            r.maxMemoryBytes = UInt64(bytes)
        }
        return r
    }
}
