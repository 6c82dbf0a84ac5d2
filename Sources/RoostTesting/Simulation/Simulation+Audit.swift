import Roost
import RoostModel
import RoostNode
import RoostScheduler

extension Simulation {
    /// Looks around every few seconds; false when all is over.
    func audit() -> Bool {
        checkSuperseded()
        checkIdleness()
        guard isQuiet else {
            queue.schedule(.audit, at: now + .seconds(2))
            return true
        }
        let alive = clients.filter(\.isAlive)
        let isAtRest = allWorkersRest && isServerUp && remains == nil
        if alive.allSatisfy(\.isDone) && isAtRest {
            // Only then: a server that forgets a job because its client leaves has not shown that it would.
            if alive.allSatisfy(\.hasLeft) { return false }
            for client in alive where !client.hasLeft {
                note(50, client.ordinal, 0, "client-\(client.ordinal) leaves")
                client.hasLeft = true
                tell(client, .leave)
            }
        }
        if now > latestEnd { failToFinish() }
        queue.schedule(.audit, at: now + .seconds(5))
        return true
    }

    /// By then all must be over: leases, grace times and the work that is left.
    private var latestEnd: Instant {
        var work = Duration.zero
        for job in history.jobs {
            let tries = Int(job.plan.spec.policy.crashLimit + job.plan.spec.policy.retries) + 2
            for behaviour in job.plan.behaviours { work += behaviour.duration * tries }
            if let timeout = job.plan.spec.policy.timeout { work += timeout * tries * 4 }
        }
        return quietAt + .seconds(3600) + work
    }

    private var allWorkersRest: Bool {
        nodes.allSatisfy { node in
            guard let machine = node.machine else { return true }
            return node.works.isEmpty && machine.runningCount == 0 && machine.queuedCount == 0
                && machine.unacknowledgedCount == 0 && machine.isConnected && machine.freeResources == node.offer
        }
    }

    /// What the server should not have any more.
    private var remains: String? {
        for slot in scheduler.jobs.slots {
            let job = scheduler.jobs[slot]
            if job.spec.retention == .attached { return "attached job \(job.number) is still there" }
            if !job.isEnded && !hasLostOwner(job.spec.id) { return "job \(job.number) has no end" }
        }
        for slot in scheduler.nodes.slots where scheduler.nodes[slot].connection != nil {
            if !scheduler.nodes[slot].shares.isEmpty { return "\(scheduler.nodes[slot].hello.name) has shares" }
            if scheduler.nodes[slot].free != scheduler.nodes[slot].hello.offer {
                return "\(scheduler.nodes[slot].hello.name) is not free"
            }
        }
        return nil
    }

    private func hasLostOwner(_ job: JobID) -> Bool {
        history.job(job).map { !clients[$0.owner].isAlive } ?? false
    }

    private func failToFinish() {
        for client in clients where client.isAlive {
            for work in client.works where !work.isDone {
                let reading = work.reading.map { history.readings[$0].count }
                history.fail(
                    .finishes,
                    "job \(work.job) of client-\(client.ordinal) is not done: \(reading.map { "\($0)" } ?? "no") outcomes of \(work.plan.arguments.count), ended \(work.hasEnded), unused \(work.unused)"
                )
            }
        }
        for node in nodes {
            guard let machine = node.machine else { continue }
            if machine.runningCount + machine.queuedCount + machine.unacknowledgedCount > 0 || !machine.isConnected {
                history.fail(.idle, "\(node.name) has \(machine.status), connected \(machine.isConnected)")
            }
        }
        history.fail(.idle, remains ?? "something is not at rest")
    }

    /// A node that was in contact for a while runs nothing that is not its own any more.
    private func checkSuperseded() {
        for node in nodes {
            for worker in node.works.keys.sorted() {
                if let index = node.works[worker]?.attempts.first { checkSuperseded(index, node) }
            }
        }
    }

    func checkSuperseded(_ index: Int, _ node: SimulatedNode) {
        guard node.isWelcome, let connection = node.connection, !connection.isDead,
            node.cutUntil + .seconds(10) < now
        else { return }
        let attempt = history.attempts[index]
        guard let newest = history.jobs[attempt.job].attempts[Int(attempt.task)].last, !history.isLatestHere(index) else { return }
        let since = max(node.welcomed, history.attempts[Int(newest)].granted)
        // One that does not hear is killed after ten seconds. A batch is over before anybody could stop it.
        let end = attempt.isDropped ? attempt.droppedAt + .seconds(11) : since + .seconds(10)
        guard end < now, history.jobs[attempt.job].plan.spec.runtime != .digest else { return }
        history.fail(.superseded, "\(history.show(attempt)) goes on")
    }
}
