import RoostModel

extension Scheduler {
    /// What must be true between any two events; the first thing that is not, in words. For tests: it looks at
    /// every task.
    package func brokenInvariant() -> String? {
        var lanesOfUsers = [Int64](repeating: 0, count: users.count)
        for node in nodes.slots {
            var free = nodes[node].hello.offer
            for share in nodes[node].shares {
                guard jobs.isUsed(share.job) else { return "a share of a forgotten job" }
                free.subtract(jobs[share.job].spec.request, times: share.lanes)
                lanesOfUsers[jobs[share.job].user] += jobs[share.job].spec.request.milliCPUs * Int64(share.lanes)
                if share.lanes > share.granted { return "more lanes than granted tasks" }
                if share.granted <= 0 || share.lanes <= 0 { return "an empty share" }
            }
            if free != nodes[node].free { return "node \(node): free \(nodes[node].free.milliCPUs), should be \(free.milliCPUs)" }
            if free.milliCPUs < 0 || free.memoryBytes < 0 { return "node \(node) is over-committed" }
        }
        for (user, lanes) in lanesOfUsers.enumerated() where users[user].milliCPUs != lanes {
            return "user \(user) holds \(users[user].milliCPUs), should hold \(lanes)"
        }
        for job in jobs.slots {
            if let broken = brokenInvariant(ofJob: job) { return "job \(jobs[job].number): \(broken)" }
        }
        return nil
    }

    private func brokenInvariant(ofJob job: Int) -> String? {
        let table = jobs[job].tasks
        var counts: [TaskCell.State: UInt32] = [:]
        var byNode: [Int: Int] = [:]
        for cell in table.cells {
            counts[cell.state, default: 0] += 1
            if cell.isGranted { byNode[Int(cell.node), default: 0] += 1 }
        }
        let progress = table.progress
        if counts[.granted, default: 0] + counts[.running, default: 0] != progress.granted { return "granted count" }
        if counts[.succeeded, default: 0] != progress.succeeded { return "succeeded count" }
        if counts[.failed, default: 0] != progress.failed { return "failed count" }
        if counts[.cancelled, default: 0] != progress.cancelled { return "cancelled count" }
        if counts[.held, default: 0] != progress.held { return "held count" }
        if Int(counts[.ready, default: 0]) != table.returnedCount { return "ready count" }
        for node in nodes.slots {
            let granted = nodes[node].share(of: job).map { nodes[node].shares[$0].granted } ?? 0
            if granted != byNode[node, default: 0] {
                return "node \(node) is reckoned to have \(granted) tasks and has \(byNode[node, default: 0])"
            }
        }
        if byNode.keys.contains(where: { !nodes.isUsed($0) }) { return "a task is granted to a node that is gone" }
        return nil
    }
}
