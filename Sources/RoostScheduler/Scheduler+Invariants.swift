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
                if share.lanes > 0 { free.subtract(jobs[share.job].spec.request, times: share.lanes) }
                lanesOfUsers[jobs[share.job].user] += jobs[share.job].spec.request.milliCPUs * Int64(share.lanes)
                if share.lanes > share.granted { return "more lanes than granted tasks" }
                if share.granted <= 0 || (share.lanes <= 0 && !share.isInherited) { return "an empty share" }
            }
            if free != nodes[node].free {
                return "node \(node): free \(nodes[node].free), should be \(free)"
            }
            if free.milliCPUs < 0 || free.memoryBytes < 0 { return "node \(node) is over-committed" }
        }
        for (user, lanes) in lanesOfUsers.enumerated() where users[user].milliCPUs != lanes {
            return "user \(user) holds \(users[user].milliCPUs), should hold \(lanes)"
        }
        let cached = jobs.slots.reduce(0) { $0 + (jobs[$1].isDurable ? jobs[$1].tasks.arguments.byteCount : 0) }
        if cached != cachedArgumentBytes { return "\(cachedArgumentBytes) bytes of arguments in memory, should be \(cached)" }
        for job in jobs.slots {
            if let broken = brokenInvariant(ofJob: job) { return "job \(jobs[job].number): \(broken)" }
        }
        return nil
    }

    private func brokenInvariant(ofJob job: Int) -> String? {
        let table = jobs[job].tasks
        var counts = [UInt32](repeating: 0, count: 1 + Int(TaskCell.State.held.rawValue))
        var byNode = [Int](repeating: 0, count: nodes.end)
        for cell in table.cells {
            counts[Int(cell.state.rawValue)] += 1
            guard cell.isGranted else { continue }
            guard nodes.isUsed(Int(cell.node)) else { return "a task is granted to a node that is gone" }
            byNode[Int(cell.node)] += 1
        }
        func count(_ state: TaskCell.State) -> UInt32 { counts[Int(state.rawValue)] }
        let progress = table.progress
        if count(.granted) + count(.running) != progress.granted { return "granted count" }
        if count(.succeeded) != progress.succeeded { return "succeeded count" }
        if count(.failed) != progress.failed { return "failed count" }
        if count(.cancelled) != progress.cancelled { return "cancelled count" }
        if count(.held) != progress.held { return "held count" }
        if Int(count(.ready)) != table.returnedCount { return "ready count" }
        for node in nodes.slots {
            let granted = nodes[node].share(of: job).map { nodes[node].shares[$0].granted } ?? 0
            if granted != byNode[node] {
                return "node \(node) is reckoned to have \(granted) tasks and has \(byNode[node])"
            }
        }
        return nil
    }
}
