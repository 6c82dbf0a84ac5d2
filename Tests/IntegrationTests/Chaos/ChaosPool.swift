import Foundation
import Glibc
import RoostTesting

extension SeededGenerator {
    /// A share of the connections.
    mutating func share() -> Double { pick([0.2, 0.5, 1]) }
}

/// The server and the agents of a run, kept alive: what was killed is started again a moment later.
final class ChaosPool {
    /// A process that is to run, with pauses.
    struct Member {
        var arguments: [String]
        var environment: [String: String]
        /// What starts it: the way into its network namespace.
        var prefix: [String] = []
        var process: RoostProcess?
        /// When it is started again; set when it was seen to be gone.
        var dueAt: ContinuousClock.Instant?
        var pausedUntil: ContinuousClock.Instant?
        /// We killed it.
        var wasKilled = false
        var starts = 0
    }

    let stage: Stage
    /// What is between the server and the others: one of them.
    private let proxy: TroubledProxy?
    let network: TroubledNetwork?
    /// The server first, then the agents.
    private(set) var members: [Member] = []
    /// Workers that are stopped, and until when.
    private var pausedWorkers: [(pid: Int32, until: ContinuousClock.Instant)] = []
    /// Ends that nobody asked for.
    private(set) var unexpected: [String] = []
    /// Agents that left by themselves, because tasks of theirs crashed that did well elsewhere.
    private(set) var drained = 0
    /// How many agents, the first ones, are never killed or paused.
    private let spared: Int
    /// How long the network is in trouble, at most.
    private let longest: Duration
    /// Agents that were started while the server was away or cut off.
    private(set) var notFound = 0

    /// Where agents and clients find the server.
    var url: String { proxy.map { "roost://127.0.0.1:\($0.port)" } ?? stage.url }
    /// What starts a client.
    var clientPrefix: [String] { network?.within(members.count) ?? [] }
    var server: RoostProcess? { members[0].process }
    var agents: [RoostProcess] { members.dropFirst().compactMap(\.process) }
    /// The first agent that nothing happens to.
    var sparedAgent: RoostProcess? { spared > 0 ? members[1].process : nil }
    /// What agents keep on disk.
    var stateDirectories: [String] { members.indices.dropFirst().map { "\(stage.directory)/node-\($0)" } }

    init(_ stage: Stage, plan: ChaosPlan, _ dice: inout SeededGenerator) async throws {
        self.stage = stage
        spared = plan.spared
        longest = plan.longest
        // Clients share the last namespace.
        network = plan.isNetworked ? try await TroubledNetwork(stage, peers: plan.nodes + 1, &dice) : nil
        let prefix = network?.within(0) ?? []
        let server = try await stage.startServer(
            host: plan.isNetworked ? TroubledNetwork.serverHost : "127.0.0.1", within: prefix)
        proxy = plan.isNetworked ? nil : try TroubledProxy(toPort: stage.port)
        var first = Member(
            arguments: ["server", "start", "--listen", stage.address, "--data", stage.data], environment: [:], prefix: prefix)
        first.process = server
        members.append(first)
        let token = try await stage.token("node")
        for number in 1...plan.nodes {
            var member = Member(
                arguments: ["node", "start", "--name", "n\(number)", "--slots", "4", "--state", "\(stage.directory)/node-\(number)"]
                    + ["--runtimes", "command"] + (plan.rSessions > 0 && number < 3 ? ["r"] : []),
                environment: ["ROOST_TOKEN": token, "ROOST_POOL": url, "TMPDIR": stage.directory],
                prefix: network?.within(number) ?? [])
            member.process = try stage.start(member.arguments, environment: member.environment, within: member.prefix)
            members.append(member)
        }
    }

    /// Starts again what is due, lets go on what was paused long enough.
    func look(_ dice: inout SeededGenerator, at now: ContinuousClock.Instant) throws {
        for index in members.indices {
            if let until = members[index].pausedUntil, until <= now {
                members[index].process?.signal(SIGCONT)
                members[index].pausedUntil = nil
            }
            if let due = members[index].dueAt {
                guard due <= now else { continue }
                members[index].dueAt = nil
                members[index].process = try stage.start(
                    members[index].arguments, environment: members[index].environment, within: members[index].prefix)
                members[index].starts += 1
            } else if let process = members[index].process, !process.isRunning {
                noteEnd(of: index, process)
                members[index].process = nil
                members[index].dueAt = now + dice.length(.milliseconds(20), .seconds(2))
            }
        }
        pausedWorkers.removeAll { worker in
            guard worker.until <= now else { return false }
            kill(worker.pid, SIGCONT)
            return true
        }
    }

    private func noteEnd(of index: Int, _ process: RoostProcess) {
        defer { stage.discard(process) }
        if members[index].wasKilled {
            members[index].wasKilled = false
        } else if index > 0 && process.ended == 69 && !process.errors.contains("joined the pool") {
            // An agent that does not find the pool when it starts says so and ends.
            notFound += 1
        } else if index > 0 && process.ended == 0 && process.errors.contains("left the pool reason=\"the server asked for it\"") {
            // Nobody drains nodes here but the server itself.
            drained += 1
        } else {
            let last = process.errors.split(separator: "\n").suffix(3).joined(separator: " | ")
            unexpected.append("\(process.arguments.prefix(4).joined(separator: " ")) ended by itself: \(last)")
        }
    }

    /// Does it, if it can be done now.
    func inject(_ fault: ChaosFault, _ dice: inout SeededGenerator, at now: ContinuousClock.Instant) -> Bool {
        switch fault {
        case .serverKilled: return killMember(0)
        case .serverPaused: return pause(0, until: now + dice.length(.milliseconds(50), .seconds(3)))
        case .agentKilled: return killMember(anyAgent(&dice))
        case .agentPaused: return pause(anyAgent(&dice), until: now + dice.length(.milliseconds(50), .seconds(4)))
        case .workerKilled: return strike(workers(), SIGKILL, &dice)
        case .rWorkerKilled: return strike(rWorkers(), SIGKILL, &dice)
        case .workerPaused: return strike(workers(), SIGSTOP, &dice, until: now + dice.length(.milliseconds(50), .seconds(2)))
        case .rWorkerPaused: return strike(rWorkers(), SIGSTOP, &dice, until: now + dice.length(.milliseconds(50), .seconds(2)))
        case .connectionsCut: proxy?.trouble(.cut, share: dice.share())
        case .connectionsHalfClosed: proxy?.trouble(.halfClosed, share: dice.share())
        case .connectionsStalled:
            proxy?.trouble(.stalled(until: now + dice.length(.milliseconds(50), .seconds(4))), share: dice.share())
        case .connectionsSlowed:
            let end = now + dice.length(.milliseconds(200), .seconds(3))
            proxy?.trouble(.slow(bytes: dice.int(4...64), until: end), share: dice.share())
        case .clientKilled: return false
        case .partitioned: disturb(.silence(toServer: true, toPeer: true), &dice, at: now)
        case .deafened:
            let isServer = dice.chance(0.5)
            disturb(.silence(toServer: isServer, toPeer: !isServer), &dice, at: now)
        case .lossy: disturb(.loss(0.05 + 0.15 * dice.unit()), &dice, at: now)
        case .delayed:
            let from = dice.length(.milliseconds(2), .milliseconds(100))
            disturb(.delay(from: from, to: from * 3), &dice, at: now)
        }
        return true
    }

    /// Troubles the network of one peer, or of several, or of all.
    private func disturb(_ fault: TroubledNetwork.Fault, _ dice: inout SeededGenerator, at now: ContinuousClock.Instant) {
        let until = now + dice.length(.milliseconds(200), longest)
        let chosen = dice.int(1...members.count)
        let share = dice.pick([0, 0, 0.5, 1])
        for peer in 1...members.count where peer == chosen || dice.chance(share) { network?.trouble(peer, fault, until: until) }
    }

    private func anyAgent(_ dice: inout SeededGenerator) -> Int { dice.int((1 + spared)...(members.count - 1)) }

    private func killMember(_ index: Int) -> Bool {
        guard let process = members[index].process, process.isRunning, !members[index].wasKilled else { return false }
        members[index].wasKilled = true
        members[index].pausedUntil = nil
        process.signal(SIGKILL)
        return true
    }

    private func pause(_ index: Int, until: ContinuousClock.Instant) -> Bool {
        guard let process = members[index].process, process.isRunning, members[index].pausedUntil == nil else { return false }
        process.signal(SIGSTOP)
        members[index].pausedUntil = until
        return true
    }

    /// Sends a signal to one of them; false: there is none.
    private func strike(
        _ pids: [Int32], _ signal: Int32, _ dice: inout SeededGenerator, until: ContinuousClock.Instant? = nil
    ) -> Bool {
        guard let pid = pids.randomElement(using: &dice), kill(pid, signal) == 0 else { return false }
        if let until { pausedWorkers.append((pid, until)) }
        return true
    }

    /// The processes of commands that run now.
    private func workers() -> [Int32] { processes { $0.range(of: Data("\u{0}ROOST_TASK=".utf8)) != nil } }

    /// The workers of R that there are, also those that have nothing to do.
    private func rWorkers() -> [Int32] {
        processes { environment in
            environment.range(of: Data("\u{0}ROOST_NODE=".utf8)) != nil && environment.range(of: Data("\u{0}R_HOME=".utf8)) != nil
                && environment.range(of: Data("\u{0}ROOST_TASK=".utf8)) == nil
        }
    }

    /// Processes of this run with such an environment.
    private func processes(_ isMeant: (Data) -> Bool) -> [Int32] {
        Marked.processes("HOME=\(stage.directory)\u{0}").filter { pid in
            guard let environment = FileManager.default.contents(atPath: "/proc/\(pid)/environ") else { return false }
            return isMeant(Data([0]) + environment)
        }.sorted()
    }

    /// From now on nothing is wrong any more.
    func heal(_ dice: inout SeededGenerator) throws {
        let now = ContinuousClock.now
        proxy?.trouble(.stalled(until: now), share: 1)
        network?.heal()
        for index in members.indices {
            members[index].process?.signal(SIGCONT)
            members[index].pausedUntil = nil
            if members[index].dueAt != nil { members[index].dueAt = now }
        }
        for worker in pausedWorkers { kill(worker.pid, SIGCONT) }
        pausedWorkers = []
        try look(&dice, at: now)
    }

    /// Ends all, and says what is left that should not be.
    func end() async throws -> [String] {
        var broken: [String] = []
        for agent in agents { agent.signal(SIGTERM) }
        for agent in agents where try await agent.status() != 0 { broken.append("an agent left badly: \(agent.errors.suffix(300))") }
        if let server {
            server.signal(SIGTERM)
            if try await server.status() != 0 { broken.append("the server ended badly: \(server.errors.suffix(300))") }
        }
        try await proxy?.end()
        try await network?.end()
        do {
            try await eventually("no process is left", within: .seconds(20)) {
                Marked.processes("HOME=\(stage.directory)\u{0}").isEmpty
            }
        } catch {
            let left = Marked.processes("HOME=\(stage.directory)\u{0}").map { pid in
                String(decoding: FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data(), as: UTF8.self)
                    .replacingOccurrences(of: "\0", with: " ")
            }
            broken.append("processes are left: \(left)")
        }
        for port in [proxy == nil ? nil : stage.port, proxy?.port].compactMap({ $0 }) where RawPort.isOpen(port) {
            broken.append("port \(port) is open still")
        }
        return broken
    }
}
