import Foundation
import Glibc
import RoostTesting

/// A run of real processes with faults, and what came of it.
struct ChaosRun {
    var plan: ChaosPlan
    private(set) var injected: [ChaosFault: Int] = [:]
    private(set) var history = ChaosHistory()
    private(set) var executions = ChaosHistory.Executions(file: "")
    private(set) var samples = ChaosSamples()
    private(set) var drained = 0

    init(_ plan: ChaosPlan) { self.plan = plan }

    mutating func play() async throws {
        var failure: (any Error)?
        try await Stage.play { stage in
            do { try await play(on: stage) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private mutating func play(on stage: Stage) async throws {
        var dice = SeededGenerator(seed: plan.seed)
        let pool = try await ChaosPool(stage, plan: plan)
        let clients = try await ChaosClients(stage, url: pool.proxyURL, forgets: plan.forgets)
        let end = ContinuousClock.now + .seconds(plan.seconds)
        var nextFault = ContinuousClock.now + .seconds(1)
        var nextSample = ContinuousClock.now
        var deck: [ChaosFault] = []
        while ContinuousClock.now < end {
            let now = ContinuousClock.now
            try pool.look(&dice, at: now)
            try clients.look(&dice, begins: true)
            if nextFault <= now {
                nextFault = now + dice.wait(mean: plan.interval)
                // Each kind comes once before any comes again.
                if deck.isEmpty { deck = plan.faults.shuffled(using: &dice) }
                let fault = deck.removeLast()
                let isDone = fault == .clientKilled ? clients.killOne(&dice) : pool.inject(fault, &dice, at: now)
                if isDone { injected[fault, default: 0] += 1 }
            }
            if let every = plan.samples, nextSample <= now {
                nextSample = now + every
                if let sample = samples.take(stage, pool) { print("chaos: \(sample)") }
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        // Quiet: what was begun comes to its end.
        try pool.heal(&dice)
        do {
            try await eventually("all clients end", within: .seconds(150)) {
                try pool.look(&dice, at: .now)
                try clients.look(&dice, begins: false)
                return clients.isIdle
            }
        } catch {
            clients.history.broken.append("\(error)")
        }
        try await clients.readAll()
        history = clients.history
        history.broken += pool.unexpected
        history.broken += try await pool.end()
        executions = ChaosHistory.Executions(file: clients.log)
        history.compare(with: executions)
        drained = pool.drained
    }

    var report: String {
        let faults = ChaosFault.allCases.compactMap { fault in injected[fault].map { "\($0) \(fault.rawValue)" } }
        return """
            chaos: seed \(plan.seed), \(plan.seconds) s: \(injected.values.reduce(0, +)) faults: \(faults.joined(separator: ", "))
            chaos: seed \(plan.seed): \(history.acknowledged.count + history.forgotten) durable jobs of \(history.durableTasks) tasks, \
            \(history.maps) maps of \(history.mapTasks) tasks, \(executions.startsOfTask.count) tasks run in \
            \(executions.starts.count) attempts; \(drained) nodes drained for crashes, \(history.submissionsFailed) submissions given \
            up, \(history.mapsFailed.count) maps that found no pool and \(history.triedAgain) readings tried again by their clients; \(history.broken.count) promises broken
            \(history.reasons.sorted { $0.key < $1.key }.map { "chaos: \($0.value) times: \($0.key)" }.joined(separator: "\n"))
            """
    }
}

/// What long runs look at: memory and descriptors of the server and of the agents, and the disk.
struct ChaosSamples {
    struct Sample: CustomStringConvertible {
        var seconds: Int
        var serverMegabytes: Int
        var serverDescriptors: Int
        var agentMegabytes: Int
        var agentDescriptors: Int
        var diskMegabytes: Int

        var description: String {
            "\(seconds) s: server \(serverMegabytes) MB, \(serverDescriptors) descriptors; largest agent \(agentMegabytes) MB, "
                + "\(agentDescriptors) descriptors; disk \(diskMegabytes) MB"
        }
    }

    private(set) var all: [Sample] = []
    private let begun = ContinuousClock.now

    /// Nil while the server is away.
    mutating func take(_ stage: Stage, _ pool: ChaosPool) -> Sample? {
        guard let server = pool.server, server.isRunning else { return nil }
        let sample = Sample(
            seconds: Int((ContinuousClock.now - begun).components.seconds),
            serverMegabytes: Self.megabytes(server.pid), serverDescriptors: Self.descriptors(server.pid),
            agentMegabytes: pool.agents.map { Self.megabytes($0.pid) }.max() ?? 0,
            agentDescriptors: pool.agents.map { Self.descriptors($0.pid) }.max() ?? 0,
            diskMegabytes: Self.bytes(below: stage.data) >> 20)
        all.append(sample)
        return sample
    }

    /// What grew: the greatest value in the last quarter against the greatest in the second.
    var grown: [String] {
        guard all.count >= 16 else { return [] }
        let (second, last) = (all[all.count / 4..<all.count / 2], all[(all.count * 3 / 4)...])
        var grown: [String] = []
        for (name, value, slack) in [
            ("the server's memory", \Sample.serverMegabytes, 32), ("the server's descriptors", \.serverDescriptors, 32),
            ("an agent's memory", \.agentMegabytes, 32), ("an agent's descriptors", \.agentDescriptors, 32),
            ("the disk", \.diskMegabytes, 32),
        ] as [(String, KeyPath<Sample, Int>, Int)] {
            let (before, after) = (second.map { $0[keyPath: value] }.max() ?? 0, last.map { $0[keyPath: value] }.max() ?? 0)
            if after > before * 3 / 2 + slack { grown.append("\(name) grew from \(before) to \(after)") }
        }
        return grown
    }

    private static func megabytes(_ pid: Int32) -> Int {
        let status = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) >> 10
    }

    private static func descriptors(_ pid: Int32) -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd").count) ?? 0
    }

    private static func bytes(below directory: String) -> Int {
        let names = FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String } ?? []
        return names.reduce(0) { sum, name in
            sum + ((try? FileManager.default.attributesOfItem(atPath: "\(directory)/\(name)")[.size] as? Int) ?? 0)
        }
    }
}
