import Foundation
import Glibc
import RoostTesting

/// The clients of a run, one step at a time: some submit durable jobs, one reads them, some map.
final class ChaosClients {
    /// What one client is at.
    private enum Work {
        case submit(tag: String, tasks: Int)
        case map(tag: String, tasks: Int)
        case wait(ChaosHistory.DurableJob)
        case results(ChaosHistory.DurableJob)
        case forget(ChaosHistory.DurableJob)
        /// Looks for ended jobs that nobody knows.
        case list
        case forgetOrphan(number: String)
    }

    private struct Client {
        var process: RoostProcess
        var work: Work
        var wasKilled = false
    }

    private let stage: Stage
    private let url: String
    private let token: String
    private let plan: ChaosPlan
    private var clients: [Client] = []
    private var count = 0
    /// Acknowledged, and not yet read.
    private var unread: [ChaosHistory.DurableJob] = []
    private(set) var killed = 0
    var history: ChaosHistory

    var log: String { "\(stage.directory)/executions" }
    var isIdle: Bool { clients.isEmpty }

    init(_ stage: Stage, url: String, plan: ChaosPlan) async throws {
        self.stage = stage
        self.url = url
        self.plan = plan
        history = ChaosHistory(log: "\(stage.directory)/executions")
        token = try await stage.token("client")
    }

    /// Takes note of what has ended, and begins more unless the run nears its end.
    func look(_ dice: inout SeededGenerator, begins: Bool) throws {
        for index in clients.indices.reversed() where !clients[index].process.isRunning {
            let client = clients.remove(at: index)
            try ended(client, &dice, mayFail: begins)
            stage.discard(client.process)
        }
        guard begins else { return }
        let submitters = clients.count { if case .submit = $0.work { true } else { false } }
        let mappers = clients.count { if case .map = $0.work { true } else { false } }
        // Readers keep pace with submitters.
        if submitters < 1 && unread.count < plan.most { try submit(&dice) }
        if mappers < plan.maps { try map(&dice) }
        if clients.count - submitters - mappers < 2, !unread.isEmpty { try begin(.wait(unread.removeFirst())) }
    }

    func killOne(_ dice: inout SeededGenerator) -> Bool {
        // A reader tries again anyway.
        guard let index = clients.indices.randomElement(using: &dice), clients[index].process.isRunning else { return false }
        clients[index].wasKilled = true
        clients[index].process.signal(SIGKILL)
        killed += 1
        return true
    }

    /// What each task does: it says that it starts, takes its time, says that it ends, and tells who it was.
    private func script(_ tag: String, _ tasks: Int, _ dice: inout SeededGenerator) -> String {
        // Hundreds of tasks are short ones.
        let pause = tasks > 200 ? "" : dice.pick(["", "", "sleep 0.05; ", "sleep 0.2; ", "sleep 1; "])
        let who = "\(tag) {} $ROOST_ATTEMPT.$$"
        return "echo \"S \(who)\" >> \(log); \(pause)echo \"E \(who)\" >> \(log); echo \"\(who)\""
    }

    private static let patience = ["--retries", "100", "--crash-limit", "100"]

    private func submit(_ dice: inout SeededGenerator) throws {
        count += 1
        let tag = "d\(count)"
        let tasks = dice.pick(plan.jobSizes)
        try begin(
            .submit(tag: tag, tasks: tasks),
            ["job", "submit", "--name", tag] + Self.patience + [script(tag, tasks, &dice), ":::"] + (1...tasks).map(String.init))
    }

    private func map(_ dice: inout SeededGenerator) throws {
        count += 1
        let tag = "m\(count)"
        let tasks = dice.pick(plan.mapSizes)
        try begin(
            .map(tag: tag, tasks: tasks),
            ["map", "--no-progress", "--pool", url] + Self.patience + [script(tag, tasks, &dice), ":::"] + (1...tasks).map(String.init))
    }

    private func begin(_ work: Work, _ arguments: [String]? = nil) throws {
        let words =
            switch work {
            case .submit, .map: arguments ?? []
            case .wait(let job): ["job", "wait", job.number]
            case .results(let job): ["job", "results", job.number]
            case .forget(let job): ["job", "forget", job.number]
            case .list: ["job", "list", "--output", "json"]
            case .forgetOrphan(let number): ["job", "forget", number]
            }
        let process = try stage.start(words, environment: ["ROOST_TOKEN": token, "ROOST_POOL": url])
        clients.append(Client(process: process, work: work))
    }

    private func ended(_ client: Client, _ dice: inout SeededGenerator, mayFail: Bool) throws {
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
            history.durableTasks += tasks
            unread.append(job)
        case .map(let tag, let tasks):
            guard !client.wasKilled else { return }
            guard isGood else {
                return history.mapsFailed.append((tag, client.process.ended, String(client.process.errors.suffix(400))))
            }
            history.maps += 1
            history.mapTasks += tasks
            history.check(client.process.output, tag: tag, tasks: tasks, inOrder: false)
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
            let shown = try await run(["job", "wait", job.number, "--limit", "120s"])
            guard shown.status == 0 else {
                history.broken.append("\(job.tag): job \(job.number) does not end: \(shown.status), \(shown.errors)")
                continue
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
        let process = try stage.start(words, environment: ["ROOST_TOKEN": token])
        defer { stage.discard(process) }
        let status = try await process.status(within: .seconds(150))
        return Stage.Outcome(status: status, output: process.output, errors: process.errors)
    }
}
