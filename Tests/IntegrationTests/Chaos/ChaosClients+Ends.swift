import Foundation

extension ChaosClients {
    /// What a client came to.
    func ended(_ client: Client, mayFail: Bool) throws {
        let isGood = client.process.ended == 0
        if !isGood && !client.wasKilled { history.noteFailure(client.process) }
        switch client.work {
        case .submit(let tag, let tasks):
            let number = client.process.output.trimmingCharacters(in: .newlines)
            // A client that was killed may have said the number before; then it was acknowledged.
            guard isGood || !number.isEmpty else {
                history.submissionsFailed += client.wasKilled ? 0 : 1
                return
            }
            let job = ChaosHistory.DurableJob(number: number, tag: tag, tasks: tasks)
            history.acknowledged.append(job)
            history.durable.add(tasks)
            unread.append(job)
        case .map(let tag, let tasks), .r(let tag, let tasks):
            guard !client.wasKilled else { return }
            guard isGood else {
                return history.mapsFailed.append((tag, client.process.ended, String(client.process.errors.suffix(400))))
            }
            if case .r = client.work {
                history.sessions.add(tasks)
                history.check(client.process.output, tag: tag, tasks: tasks, inOrder: true)
            } else {
                history.maps.add(tasks)
                history.check(client.process.output, tag: tag, tasks: tasks, inOrder: false)
            }
        case .wait(let job):
            if isGood { return try begin(.results(job)) }
            // So many tasks without success; 69 and the like are not ours to judge, nor is our own kill.
            let failed = client.wasKilled ? 0 : Int(client.process.ended)
            if (1...min(job.tasks, 101)).contains(failed) && failed != 69 {
                history.broken.append("\(job.tag): job \(job.number) did not end well: \(client.process.ended), \(client.process.errors)")
            } else {
                tryAgain(job)
            }
        case .results(var job):
            guard isGood else { return tryAgain(job) }
            history.check(client.process.output, tag: job.tag, tasks: job.tasks, inOrder: true)
            job.results = client.process.output.hashValue
            guard let place = history.acknowledged.firstIndex(where: { $0.number == job.number }) else { return }
            history.acknowledged[place] = job
            if plan.forgets && mayFail { try begin(.forget(job)) }
        case .forget(let job):
            let isGone = client.process.errors.contains("no such job")
            guard isGood || isGone else { return mayFail ? try begin(.forget(job)) : () }
            history.acknowledged.removeAll { $0.number == job.number }
            history.forgotten += 1
        case .list:
            if isGood && mayFail { try forgetOrphans(in: client.process.output) }
        case .forgetOrphan:
            if isGood { history.orphans += 1 }
        }
    }

    /// A client that was killed before it printed its job's number leaves a job that nobody reads. In a long run they add up.
    func lookForOrphans() throws {
        let isLooking = clients.contains { client in
            switch client.work {
            case .list, .forgetOrphan: true
            default: false
            }
        }
        if !isLooking { try begin(.list) }
    }

    private func forgetOrphans(in list: String) throws {
        let known = Set(history.acknowledged.map(\.number))
        // Whoever is about to print the number knows it, too.
        let submitted = Set(clients.compactMap { client in if case .submit(let tag, _) = client.work { tag } else { nil } })
        let jobs = (try? JSONSerialization.jsonObject(with: Data(list.utf8))) as? [[String: Any]] ?? []
        for job in jobs where job["durable"] as? Bool == true && job["ended"] as? Bool == true {
            let number = "\(job.number("job"))"
            if !known.contains(number) && !submitted.contains(job.text("name")) { try begin(.forgetOrphan(number: number)) }
        }
    }

    private func tryAgain(_ job: ChaosHistory.DurableJob) {
        history.triedAgain += 1
        unread.append(job)
    }

    /// Nothing is wrong any more: every job ends, and can be read, twice if need be, with the same result.
    func readAll() async throws {
        for place in history.acknowledged.indices {
            var job = history.acknowledged[place]
            if job.results == nil {
                let shown = try await run(["job", "wait", job.number, "--limit", "120s"])
                guard shown.status == 0 else {
                    history.broken.append("\(job.tag): job \(job.number) does not end: \(shown.status), \(shown.errors)")
                    continue
                }
            }
            let read = try await run(["job", "results", job.number])
            guard read.status == 0 else {
                history.broken.append("\(job.tag): job \(job.number) cannot be read: \(read.errors)")
                continue
            }
            if let before = job.results {
                if before != read.output.hashValue {
                    history.broken.append("\(job.tag): job \(job.number) was read twice, with different results")
                }
            } else {
                history.check(read.output, tag: job.tag, tasks: job.tasks, inOrder: true)
                job.results = read.output.hashValue
                let again = try await run(["job", "results", job.number])
                if again.output != read.output {
                    history.broken.append("\(job.tag): job \(job.number) was read twice, with different results")
                }
            }
        }
    }

    private func run(_ words: [String]) async throws -> Stage.Outcome {
        let process = try start(words)
        defer { stage.discard(process) }
        let status = try await process.status(within: .seconds(150))
        return Stage.Outcome(status: status, output: process.output, errors: process.errors)
    }
}
