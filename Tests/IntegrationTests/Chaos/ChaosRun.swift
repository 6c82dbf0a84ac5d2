import Foundation
import Glibc
import RoostTesting

/// A run of real processes with faults, and what came of it.
struct ChaosRun {
    var plan: ChaosPlan
    private(set) var injected: [ChaosFault: Int] = [:]
    private(set) var history = ChaosHistory(log: "")
    private(set) var samples = ChaosSamples()
    private(set) var drained = 0
    /// How long it took until all had ended and was read, once nothing was wrong any more.
    private(set) var quiet = Duration.zero
    private(set) var packets: TroubledNetwork.Counts?

    init(_ plan: ChaosPlan) { self.plan = plan }

    /// Faults of which one comes at a time, and when the next is due.
    private struct Deck {
        var faults: ChaosFaults
        var left: [ChaosFault] = []
        /// Those that could not be done when their time came; they come first.
        var owed: [ChaosFault] = []
        var nextAt: ContinuousClock.Instant

        /// Lets one happen: each comes as often as it is planned before any comes again. Nil: none can just now.
        mutating func play(_ dice: inout SeededGenerator, _ happens: (ChaosFault, inout SeededGenerator) -> Bool) -> ChaosFault? {
            for index in owed.indices where happens(owed[index], &dice) { return owed.remove(at: index) }
            if left.isEmpty { left = faults.kinds.shuffled(using: &dice) }
            let fault = left.removeLast()
            if happens(fault, &dice) { return fault }
            if !owed.contains(fault) { owed.append(fault) }
            return nil
        }
    }

    mutating func play() async throws {
        var failure: (any Error)?
        try await Stage.play { stage in
            do { try await play(on: stage) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private mutating func play(on stage: Stage) async throws {
        var dice = SeededGenerator(seed: plan.seed)
        let pool = try await ChaosPool(stage, plan: plan, &dice)
        let clients = try await ChaosClients(stage, pool, plan: plan)
        let end = ContinuousClock.now + .seconds(plan.seconds)
        var nextSample = ContinuousClock.now
        var decks = plan.faults.map { Deck(faults: $0, nextAt: .now + .seconds(1)) }
        while ContinuousClock.now < end {
            let now = ContinuousClock.now
            try pool.look(&dice, at: now)
            try clients.look(&dice, begins: true)
            for index in decks.indices where decks[index].nextAt <= now {
                let part = 4 - Int(4 * ((end - now) / .seconds(plan.seconds)))
                let isResting = plan.serverRests && part.isMultiple(of: 2)
                let fault = decks[index].play(&dice) { fault, dice in
                    switch fault {
                    case .serverKilled where isResting: false
                    case .clientKilled: clients.killOne(&dice)
                    default: pool.inject(fault, &dice, at: now)
                    }
                }
                if let fault { injected[fault, default: 0] += 1 }
                let pause = fault == nil ? .milliseconds(50) : dice.wait(mean: decks[index].faults.interval)
                decks[index].nextAt = now + pause
            }
            if let every = plan.samples, nextSample <= now {
                nextSample = now + every
                if plan.forgets { try clients.lookForOrphans() }
                if let sample = samples.take(stage, pool), samples.all.count % 12 == 1 {
                    print("chaos: \(sample); \(clients.history.outcomes) outcomes read")
                }
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        // Quiet: what was begun comes to its end.
        let healed = ContinuousClock.now
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
        quiet = .now - healed
        history = clients.history
        history.broken += pool.unexpected
        history.broken += try await pool.end()
        history.close()
        drained = pool.drained
        packets = pool.network?.counts
    }

    var report: String {
        let faults = ChaosFault.allCases.compactMap { fault in injected[fault].map { "\($0) \(fault.rawValue)" } }
        let kills = injected.filter(\.key.isKill).values.reduce(0, +)
        var lines = [
            "seed \(plan.seed), \(plan.seconds) s: \(injected.values.reduce(0, +)) faults, \(kills) of them kills: "
                + faults.joined(separator: ", "),
            """
            seed \(plan.seed): \(history.durable.jobs) durable jobs of \(history.durable.tasks) tasks, \(history.maps.jobs) maps of \
            \(history.maps.tasks) tasks, \(history.sessions.jobs) lbapply of R of \(history.sessions.tasks) tasks: \(history.executions.taskCount) tasks run in \
            \(history.executions.attemptCount) attempts, \(history.outcomes) outcomes read; \(drained) nodes drained for crashes, \
            \(history.submissionsFailed) submissions given up, \(history.orphans) jobs whose client was killed before it knew \
            them, \(history.mapsFailed.count) maps that found no pool and \(history.triedAgain) readings tried again by their \
            clients; all was read \(quiet.components.seconds) s after the last fault; \(history.broken.count) promises broken
            """,
        ]
        if let packets {
            lines.append(
                "network: \(packets.passed) packets came through, \(packets.delayed) of them late; \(packets.silenced) fell into "
                    + "silence, \(packets.lost) were lost")
        }
        lines.append("skipped: \(plan.skipped.isEmpty ? "nothing" : "\(plan.skipped.count): " + plan.skipped.joined(separator: "; "))")
        lines += history.reasons.sorted { $0.key < $1.key }.map { "\($0.value) times: \($0.key)" }
        return (lines.map { "chaos: \($0)" } + samples.report).joined(separator: "\n")
    }
}
