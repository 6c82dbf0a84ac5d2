import Foundation
import Glibc
import RoostTesting

/// The clients of a run, one step at a time: some submit durable jobs, some read
/// them, some map, some are sessions of R.
final class ChaosClients {
    /// What one client is at.
    enum Work {
        case submit(tag: String, tasks: Int)
        case map(tag: String, tasks: Int)
        /// A session of R that calls `lbapply`.
        case r(tag: String, tasks: Int)
        case wait(ChaosHistory.DurableJob)
        case results(ChaosHistory.DurableJob)
        case forget(ChaosHistory.DurableJob)
        /// Looks for ended jobs that nobody knows.
        case list
        case forgetOrphan(number: String)
    }

    struct Client {
        var process: RoostProcess
        var work: Work
        var wasKilled = false
    }

    let stage: Stage
    private let url: String
    /// What starts a client.
    private let prefix: [String]
    let token: String
    let plan: ChaosPlan
    private(set) var clients: [Client] = []
    private var count = 0
    /// Tasks of the jobs that were begun.
    private var tasks = 0
    private let started = ContinuousClock.now
    /// Acknowledged, and not yet read.
    var unread: [ChaosHistory.DurableJob] = []
    /// Nil in a run without R.
    private let r: ChaosR?
    var history: ChaosHistory

    var isIdle: Bool { clients.isEmpty }

    init(_ stage: Stage, _ pool: ChaosPool, plan: ChaosPlan) async throws {
        self.stage = stage
        url = pool.url
        prefix = pool.clientPrefix
        self.plan = plan
        history = ChaosHistory(log: "\(stage.directory)/executions")
        r = plan.rSessions > 0 ? try await ChaosR(stage, log: history.log) : nil
        token = try await stage.token("client")
    }

    /// Takes note of what has ended, and begins more unless the run nears its end.
    func look(_ dice: inout SeededGenerator, begins: Bool) throws {
        for index in clients.indices.reversed() where !clients[index].process.isRunning {
            let client = clients.remove(at: index)
            try ended(client, mayFail: begins)
            stage.discard(client.process)
        }
        guard begins else { return }
        let submitters = clients.count { if case .submit = $0.work { true } else { false } }
        let mappers = clients.count { if case .map = $0.work { true } else { false } }
        let sessions = clients.count { if case .r = $0.work { true } else { false } }
        // Readers keep pace with submitters.
        if clients.count - submitters - mappers - sessions < 2, !unread.isEmpty { try begin(.wait(unread.removeFirst())) }
        guard mayBegin else { return }
        if submitters < 1 && unread.count < plan.most { try submit(&dice) }
        if mappers < plan.maps { try map(&dice) }
        if sessions < plan.rSessions { try session(&dice) }
    }

    private var mayBegin: Bool {
        guard let rate = plan.rate else { return true }
        return Double(tasks) <= rate * ((ContinuousClock.now - started) / .seconds(1))
    }

    /// Kills a client; of a session of R now and then only its bridge.
    func killOne(_ dice: inout SeededGenerator) -> Bool {
        // A reader tries again anyway.
        guard let index = clients.indices.randomElement(using: &dice), clients[index].process.isRunning else { return false }
        if case .r = clients[index].work, dice.chance(0.3) {
            guard let bridge = ChaosR.bridge(of: clients[index].process), kill(bridge, SIGKILL) == 0 else { return false }
        } else {
            clients[index].process.signal(SIGKILL)
        }
        clients[index].wasKilled = true
        return true
    }

    private func seconds(_ tasks: Int, _ dice: inout SeededGenerator) -> Double { tasks > 200 ? 0 : dice.pick(plan.pauses) }

    /// What each task does: it says that it starts, takes its time, says that it ends, and tells who it was.
    private func script(_ tag: String, _ tasks: Int, _ dice: inout SeededGenerator) -> String {
        let seconds = seconds(tasks, &dice)
        let pause = seconds > 0 ? "sleep \(seconds); " : ""
        let who = "\(tag) {} $ROOST_ATTEMPT.$$"
        return "echo \"S \(who)\" >> \(history.log); \(pause)echo \"E \(who)\" >> \(history.log); echo \"\(who)\""
    }

    private static let patience = ["--retries", "100", "--crash-limit", "100"]

    private func size(_ sizes: [Int], _ dice: inout SeededGenerator) -> Int {
        let size = dice.pick(sizes)
        tasks += size
        return size
    }

    private func submit(_ dice: inout SeededGenerator) throws {
        count += 1
        let policy = dice.pick(plan.policies)
        let tag = (policy.contains("--strict") ? "s" : "d") + "\(count)"
        let tasks = size(plan.jobSizes, &dice)
        try begin(
            .submit(tag: tag, tasks: tasks),
            ["job", "submit", "--name", tag] + policy + Self.patience + [script(tag, tasks, &dice), ":::"] + (1...tasks).map(String.init))
    }

    private func map(_ dice: inout SeededGenerator) throws {
        count += 1
        let tag = "m\(count)"
        let tasks = size(plan.mapSizes, &dice)
        try begin(
            .map(tag: tag, tasks: tasks),
            ["map", "--no-progress", "--pool", url] + Self.patience + [script(tag, tasks, &dice), ":::"] + (1...tasks).map(String.init))
    }

    private func session(_ dice: inout SeededGenerator) throws {
        guard let r else { return }
        count += 1
        let tag = "r\(count)"
        let tasks = size(plan.rSizes, &dice)
        let process = try r.start(
            stage, tag: tag, tasks: tasks, seconds: seconds(tasks, &dice), environment: environment,
            within: prefix)
        clients.append(Client(process: process, work: .r(tag: tag, tasks: tasks)))
    }

    func start(_ words: [String]) throws -> RoostProcess {
        try stage.start(words, environment: environment, within: prefix)
    }

    private var environment: [String: String] {
        ["ROOST_TOKEN": token, "ROOST_POOL": url, "TMPDIR": stage.directory]
    }

    func begin(_ work: Work, _ arguments: [String]? = nil) throws {
        let words =
            switch work {
            case .submit, .map, .r: arguments ?? []
            case .wait(let job): ["job", "wait", job.number]
            case .results(let job): ["job", "results", job.number]
            case .forget(let job): ["job", "forget", job.number]
            case .list: ["job", "list", "--output", "json"]
            case .forgetOrphan(let number): ["job", "forget", number]
            }
        let process = try start(words)
        clients.append(Client(process: process, work: work))
    }
}
