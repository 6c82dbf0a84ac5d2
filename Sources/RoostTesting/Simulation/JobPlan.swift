package import RoostModel

/// How a task behaves on its workers.
package struct TaskBehaviour: Sendable {
    package enum Ending: Sendable {
        case succeeds
        /// Fails the first so many times it is really run.
        case fails(Int)
        /// Kills its worker the first so many times.
        case crashes(Int)
        /// Runs until somebody stops it.
        case hangs
    }

    package var duration: Duration
    package var ending: Ending
    package var ignoresInterrupt = false
    package var ignoresTerminate = false
}

/// What a client's program does with one job.
package struct JobPlan: Sendable {
    package enum Use: Sendable {
        case atOnce
        case after(Duration)
        /// In small pieces, with a pause before each.
        case slowly(Duration, most: Int)
    }

    package struct Cancel: Sendable {
        package var after: Duration
        /// Empty: the whole job.
        package var tasks: [TaskRange]
        package var kill: Bool
    }

    package var spec: JobSpec
    package var order: ReadRequest.Order
    package var submitAt: Instant
    package var arguments: [[UInt8]]
    package var behaviours: [TaskBehaviour]
    /// Tasks of each chunk, and the pause before it.
    package var chunks: [(pause: Duration, tasks: Int)]
    package var use: Use
    package var cancels: [Cancel] = []
    /// When its program stops waiting for it; it goes on all the same.
    package var abandonsAfter: Duration?
    /// Durable jobs: read once more when it has ended.
    package var readsAgain = false
    /// Durable jobs: open a new round of what failed (or is held), then read again.
    package var retries = false
    /// Durable jobs: forgotten by its program at last.
    package var forgets = false

    /// What a task returns when it succeeds, and when it fails.
    package func result(of task: Int) -> [UInt8] { bytes(Digest.of(arguments[task][...])) }
    package func complaint(of task: Int) -> [UInt8] { bytes(~Digest.of(arguments[task][...])) }

    private func bytes(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
}

extension JobPlan {
    /// Draws a job.
    package static func draw(
        from random: inout SeededGenerator, faults: FaultPlan, index: Int, submitAt: Instant
    ) -> JobPlan {
        var spec = JobSpec(
            id: JobID(rawValue: random.next() | 1), name: "job-\(index)", runtime: .command,
            common: Array("common-\(index)".utf8))
        let isBatch = random.chance(0.35)
        if isBatch { spec.runtime = .digest }
        spec.retention = random.chance(0.25) ? .durable : .attached
        drawRequest(&spec, from: &random)
        drawPolicy(&spec.policy, from: &random, faults: faults)
        var count = isBatch ? random.int(1...1500) : random.int(1...80)
        if random.chance(0.05) { count = 0 }
        var behaviours: [TaskBehaviour] = []
        let isUneven = !isBatch && random.chance(0.15)
        if isUneven { count *= 4 }
        let isLong = faults.isOn(.longTasks) && random.chance(0.3)
        var typical = random.length(.milliseconds(1), .seconds(8)) * (isLong ? 8 : 1)
        if faults.isOn(.lateReturns) && random.chance(0.5) {
            // Tasks about as long as leases: a node that is back finds its task running elsewhere.
            typical = random.even(.seconds(5), .seconds(30))
            spec.policy.lease = random.length(.seconds(10), .seconds(40))
            count = min(count, 30)
        }
        if isLong { count = min(count, 20) }
        for _ in 0..<count {
            behaviours.append(
                isBatch
                    ? TaskBehaviour(duration: random.length(.microseconds(1), .microseconds(200)), ending: .succeeds)
                    : drawBehaviour(from: &random, faults: faults, typical: typical, policy: spec.policy))
            // Mostly so short that many are granted ahead, behind one that is not.
            if isUneven && random.chance(0.9) {
                behaviours[behaviours.count - 1].duration = random.length(.milliseconds(1), .milliseconds(4))
            }
        }
        var plan = JobPlan(
            spec: spec, order: random.chance(0.5) ? .inOrder : .asCompleted, submitAt: submitAt,
            arguments: (0..<count).map { argument($0, &random) }, behaviours: behaviours, chunks: [], use: .atOnce)
        drawProgram(&plan, from: &random, faults: faults)
        return plan
    }

    private static func argument(_ index: Int, _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = withUnsafeBytes(of: UInt64(index).littleEndian) { Array($0) }
        for _ in 0..<random.int(1...8) { bytes.append(UInt8(truncatingIfNeeded: random.next())) }
        return bytes
    }

    private static func drawRequest(_ spec: inout JobSpec, from random: inout SeededGenerator) {
        switch random.int(0...9) {
        case 0: spec.request = .cpus(2)
        case 1: spec.request = .cpus(4)
        case 2: spec.request = Resources(milliCPUs: 500)
        case 3: spec.request = Resources(milliCPUs: 1000, named: [.init(name: "licence", milliAmount: 1000)])
        case 4: spec.request = Resources(milliCPUs: 1000, memoryBytes: 3 << 30)
        case 5: spec.labels = [Label(key: "zone", value: "a")]
        default: break
        }
    }

    private static func drawPolicy(
        _ policy: inout JobPolicy, from random: inout SeededGenerator, faults: FaultPlan
    ) {
        policy.priority = Int32(random.int(-1...1))
        policy.lease = random.length(.seconds(10), random.chance(0.5) ? .seconds(40) : .seconds(300))
        policy.isStrict = random.chance(0.4)
        policy.crashLimit = UInt32(random.int(0...4))
        policy.retries = UInt32(random.chance(0.5) ? 0 : random.int(1...3))
        policy.killGrace = random.length(.milliseconds(100), .seconds(5))
        if random.chance(0.2) { policy.nodeLossLimit = UInt32(random.int(1...3)) }
        if random.chance(0.2) { policy.maxParallel = UInt32(random.int(1...3)) }
        if random.chance(0.4) { policy.timeout = random.length(.milliseconds(500), .seconds(30)) }
        if random.chance(0.15) {
            policy.halt = HaltRule(
                urgency: random.chance(0.5) ? .soon : .now,
                condition: random.pick([.failed, .succeeded, .done]),
                threshold: random.chance(0.5)
                    ? .count(UInt32(random.int(1...10))) : .percent(UInt32(random.int(5...90))))
        }
    }

    private static func drawBehaviour(
        from random: inout SeededGenerator, faults: FaultPlan, typical: Duration, policy: JobPolicy
    ) -> TaskBehaviour {
        var behaviour = TaskBehaviour(duration: random.length(typical, typical * 4), ending: .succeeds)
        if faults.isOn(.longTasks) && random.chance(0.2 * faults.strength(.longTasks)) {
            behaviour.duration = random.length(.seconds(20), .seconds(400))
        }
        if faults.isOn(.failures) && random.chance(0.15 * faults.strength(.failures)) {
            behaviour.ending = .fails(random.chance(0.5) ? .max : random.int(1...2))
        }
        if faults.isOn(.poison) && random.chance(0.1 * faults.strength(.poison)) {
            behaviour.ending = .crashes(random.chance(0.5) ? .max : random.int(1...2))
        }
        if policy.timeout != nil && random.chance(0.05) { behaviour.ending = .hangs }
        if faults.isOn(.ignoredSignals) && random.chance(0.3) {
            behaviour.ignoresInterrupt = true
            behaviour.ignoresTerminate = random.chance(0.5)
        }
        return behaviour
    }

    private static func drawProgram(
        _ plan: inout JobPlan, from random: inout SeededGenerator, faults: FaultPlan
    ) {
        var left = plan.arguments.count
        let trickles = random.chance(0.3)
        while left > 0 {
            let here = min(left, random.int(1...(trickles ? 20 : 600)))
            plan.chunks.append((trickles ? random.length(.milliseconds(1), .seconds(8)) : .zero, here))
            left -= here
        }
        if faults.isOn(.slowConsumers) && random.chance(0.6) {
            plan.use =
                random.chance(0.5)
                ? .after(random.length(.milliseconds(10), .seconds(20)))
                : .slowly(random.length(.milliseconds(10), .seconds(2)), most: max(1, plan.arguments.count / 10))
        }
        if faults.isOn(.cancels) && random.chance(0.35) {
            for _ in 0..<random.int(1...2) {
                let isWhole = random.chance(0.5)
                let first = UInt32(random.int(0...max(0, plan.arguments.count)))
                plan.cancels.append(
                    Cancel(
                        after: random.length(.milliseconds(5), .seconds(30)),
                        tasks: isWhole ? [] : [TaskRange(first: first, count: UInt32(random.int(1...20)))],
                        kill: random.chance(0.3)))
            }
        }
        if random.chance(0.05) { plan.abandonsAfter = random.length(.milliseconds(10), .seconds(60)) }
        plan.spec.streamsOutput = random.chance(0.1)
        if plan.spec.retention == .durable {
            plan.readsAgain = random.chance(0.5)
            plan.retries = random.chance(0.5)
            plan.forgets = random.chance(0.5)
        }
    }
}
