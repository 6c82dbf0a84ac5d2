import RoostModel

/// What a node has of each job: granted tasks, and the lanes they run in.
extension Scheduler {
    /// The task's attempt on the node is over without an outcome: ready again, or cancelled if its job is.
    mutating func returnFromNode(_ job: Int, _ task: TaskIndex, node: Int, at now: Instant) {
        let wasIdle = !isRunnable(job)
        jobs[job].tasks.returnTask(task)
        releaseOne(job, node: node)
        if jobs[job].isCancelled || jobs[job].cancelRequested.contains(task) {
            recordWithoutNode(job, TaskRange(first: task, count: 1), .init(.cancelled, .neverRan), nil)
        } else if let evidence = deadSeat(of: job) {
            recordWithoutNode(job, TaskRange(first: task, count: 1), Self.deadSeatCode, evidence)
        } else if wasIdle || !jobs[job].crashes.isEmpty {
            // A node that crashed a task leaves it to the others, however much else of the job waits.
            noteAllHungry()
        }
        noteProgress(job, at: now)
        noteNews(job)
    }

    /// One granted task less on the node.
    mutating func releaseOne(_ job: Int, node: Int) { release(job, node: node, count: 1) }

    mutating func release(_ job: Int, node: Int, count: Int) {
        guard let share = nodes[node].share(of: job) else { return }
        nodes[node].shares[share].granted -= count
        if nodes[node].shares[share].granted == 0 && nodes[node].shares[share].lanes == 0 {
            nodes[node].shares.remove(at: share)
        } else {
            trimLanes(node, share)
        }
        // The room that a job's limit gives back may be used anywhere.
        if jobs[job].spec.policy.maxParallel != nil { noteAllHungry() } else { noteHungry(node) }
    }

    /// Lanes that nothing was granted for are given up, with what they hold of the node.
    func lanesToTrim(_ share: NodeRecord.Share) -> Int { max(0, share.lanes - share.granted) }

    private mutating func trimLanes(_ node: Int, _ share: Int) {
        let surplus = lanesToTrim(nodes[node].shares[share])
        guard surplus > 0 else { return }
        let job = nodes[node].shares[share].job
        nodes[node].shares[share].lanes -= surplus
        giveBack(job, node: node, lanes: configuration.sabotage == .releaseSlotTwice ? surplus * 2 : surplus)
        if nodes[node].shares[share].granted == 0 && nodes[node].shares[share].lanes == 0 {
            nodes[node].shares.remove(at: share)
        }
    }

    private mutating func giveBack(_ job: Int, node: Int, lanes: Int) {
        guard lanes > 0 else { return }
        nodes[node].free.add(jobs[job].spec.request, times: lanes)
        jobs[job].lanes -= lanes
        users[jobs[job].user].milliCPUs -= jobs[job].spec.request.milliCPUs * Int64(lanes)
    }

    mutating func removeShare(of job: Int, from node: Int) {
        guard let share = nodes[node].share(of: job) else { return }
        giveBack(job, node: node, lanes: nodes[node].shares[share].lanes)
        nodes[node].shares.remove(at: share)
        noteHungry(node)
    }
}
