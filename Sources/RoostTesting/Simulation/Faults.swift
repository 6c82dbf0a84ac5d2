import RoostModel

/// What can go wrong in a simulation.
package enum Fault: Int, CaseIterable, Sendable {
    /// Messages take up to seconds instead of about a millisecond.
    case delays
    /// Connections end, with all that is in flight.
    case drops
    /// A connection ends, and one side notices much later.
    case halfOpen
    /// A node or a client is cut off for a while; what was in flight arrives afterwards, if anybody still waits.
    case partitions
    /// An agent dies; its guard reports it or not; it comes back or not.
    case nodeCrashes
    /// SIGTERM to an agent, sometimes twice.
    case nodeDrains
    /// Nodes that join when work is under way.
    case lateNodes
    /// Workers die now and then, whatever they run.
    case workerCrashes
    /// Tasks that kill every worker.
    case poison
    /// Tasks that fail, always or a few times.
    case failures
    /// Tasks that do not end on INT, or not on TERM either.
    case ignoredSignals
    /// Tasks that take minutes among those that take milliseconds.
    case longTasks
    /// Clients out of contact for less or more than the grace time.
    case clientCuts
    /// Clients that never come back.
    case clientLosses
    /// The server dies and starts again with an empty memory.
    case serverCrashes
    /// Programs that use outcomes slowly, with small windows.
    case slowConsumers
    /// Programs that cancel jobs and tasks.
    case cancels
    /// An administrator who drains and kills nodes.
    case orders
    /// A node is out of contact until what it has was granted to others a moment ago; it brings outcomes then.
    case lateReturns
    /// A machine is gone for good, and nobody says so.
    case nodeLosses
    /// Commits that take seconds.
    case diskDelays
    /// A commit that fails, and the server with it. A node that cannot store results, or not read them back.
    case diskFailures
    /// Connections that end with something on its way that matters: a grant, an outcome, an acknowledgement.
    case untimelyDrops
}

/// Which faults a simulation draws, and how strong they are.
///
/// Not all at once, always: a seed with few faults goes deep where one with all of them stays shallow
/// ("swarm testing").
package struct FaultPlan: Sendable {
    private var strengths: [Double]
    /// How long faults go on.
    package var duration: Duration

    package init(from random: inout SeededGenerator) {
        let share = random.pick([0.1, 0.3, 0.5, 0.8])
        strengths = []
        for _ in Fault.allCases {
            let isOn = random.chance(share)
            let strength = 0.2 + random.unit()
            strengths.append(isOn ? strength : 0)
        }
        duration = random.length(.seconds(60), .seconds(1500))
    }

    package func isOn(_ fault: Fault) -> Bool { strengths[fault.rawValue] > 0 }

    package func strength(_ fault: Fault) -> Double { strengths[fault.rawValue] }

    /// Mean time between two such faults.
    package func interval(_ fault: Fault) -> Duration {
        .nanoseconds(Int64(Double(duration.wholeNanoseconds) / (1 + 14 * strength(fault))))
    }

    package var description: String {
        let names = Fault.allCases.filter { isOn($0) }.map { fault in
            "\(fault) \(Int(strength(fault) * 100))%"
        }
        return "for \(Int(duration.inSeconds)) s: " + (names.isEmpty ? "none" : names.joined(separator: ", "))
    }
}
