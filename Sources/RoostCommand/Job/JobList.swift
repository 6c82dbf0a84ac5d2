import ArgumentParser
import Roost
import RoostModel

/// `roost job list`.
struct JobList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the pool's jobs.")

    @OptionGroup var pool: PoolOptions
    @OptionGroup var format: OutputOptions

    func run() async throws {
        let jobs = try await pool.withPool { (pool) throws(RoostError) in
            guard case .jobs(let jobs) = try await pool.ask(.jobs) else { throw Pool.unexpected }
            return jobs
        }
        if format.isJSON {
            return Terminal.print(
                JSONWriter.document { json in
                    json.beginArray()
                    for job in jobs { job.write(to: &json) }
                    json.endArray()
                })
        }
        if jobs.isEmpty { return Terminal.note("roost: the pool has no jobs") }
        var table = Table([
            .init("JOB", .right), .init("NAME"), .init("USER"), .init("KIND"), .init("STATE"), .init("TASKS", .right),
            .init("DONE", .right), .init("FAILED", .right), .init("GRANTED", .right), .init("AGE", .right),
        ])
        for job in jobs {
            let progress = job.progress
            table.add([
                "\(job.number)", job.name.isEmpty ? "-" : job.name, job.user, job.kind, job.state,
                progress.isClosed ? "\(progress.tasks)" : "\(progress.tasks)+", "\(progress.done)",
                "\(progress.failed + progress.held)", "\(progress.granted)", DurationText.show(.seconds(job.ageSeconds)),
            ])
        }
        Terminal.print(table.render(width: Terminal.width))
    }
}

/// `roost job show`.
struct JobShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show all there is to know of jobs, or of one task.",
        discussion: "Failed and held tasks are listed with their post-mortems: what happened, where, and the last lines they printed.")

    @Argument(help: JobSelection.help)
    var job: JobSelection

    @Argument(help: ArgumentHelp("A task's index, from 0.", valueName: "task"))
    var task: UInt32?

    @OptionGroup var pool: PoolOptions
    @OptionGroup var format: OutputOptions

    func run() async throws {
        let (job, task, isJSON) = (job, task, format.isJSON)
        let text = try await pool.withPool { (pool) throws(RoostError) -> [UInt8] in
            if let task { return try await Self.show(task, of: try await pool.job(job), pool, isJSON: isJSON) }
            let jobs = try await pool.jobs(job)
            if isJSON {
                return JSONWriter.document { json in
                    json.beginArray()
                    for job in jobs { job.write(to: &json, withTroubles: true) }
                    json.endArray()
                }
            }
            return Array(jobs.map(Self.text).joined(separator: "\n").utf8)
        }
        Terminal.print(text)
    }

    private static func show(
        _ task: UInt32, of job: JobSnapshot, _ pool: Pool, isJSON: Bool
    ) async throws(RoostError) -> [UInt8] {
        if let outcome = try await JobReader(pool: pool, job: job).outcome(of: task) {
            if isJSON { return JSONWriter.document { outcome.write(to: &$0, runtime: job.runtime) } }
            var lines = outcome.headline(number: job.number) + "\n"
            if let postMortem = outcome.postMortem { lines += PostMortemText.lines(postMortem, indent: "  ") }
            return Array(lines.utf8)
        }
        guard case .explanation(let rows) = try await pool.ask(.explain(.id(job.id), task: task)) else {
            throw Pool.unexpected
        }
        let reason = rows.first?.reason ?? ""
        if isJSON {
            return JSONWriter.document { json in
                json.object { json in
                    json.member("task", task)
                    json.member("state", reason)
                }
            }
        }
        return Array("job \(job.number), task \(task): \(reason)\n".utf8)
    }

    static func text(_ job: JobSnapshot) -> String {
        let progress = job.progress
        var ends: [String] = []
        for (count, word) in [
            (progress.succeeded, "succeeded"), (progress.failed, "failed"), (progress.held, "held"),
            (progress.cancelled, "cancelled"),
        ] where count > 0 { ends.append("\(count) \(word)") }
        let name = job.name.isEmpty ? "" : " \(job.name)"
        let outcomes = ends.isEmpty ? "none has ended" : ends.joined(separator: ", ")
        let soFar = progress.isClosed ? "" : " so far"
        var rows: [(String, String)] = [
            ("job", "\(job.number)\(name), id \(Hex.of(job.id.rawValue))"),
            ("state", job.state),
            ("user", "\(job.user), priority \(job.priority)"),
            ("kind", "\(job.kind): " + (job.retention == .durable ? "on the server's disk" : "in its client's memory")),
            ("tasks", "\(progress.tasks)\(soFar): \(outcomes); \(progress.granted) granted"),
            ("attempts", "\(progress.attempts), \(progress.retried) tried again, \(progress.lost) lost with nodes, \(progress.late) late"),
            ("age", DurationText.show(.seconds(job.ageSeconds))),
        ]
        if let mean = job.meanTaskSeconds { rows.append(("mean task", DurationText.show(.seconds(mean)))) }
        var text = rows.map { "\($0.0):".padded(to: 11) + "\($0.1)\n" }.joined()
        for trouble in job.troubles {
            let (kind, end) = (trouble.code.kind.words, trouble.code.end.words)
            text += "\ntask \(trouble.task): \(kind)\(kind == end ? "" : ", \(end)")\n"
            if let postMortem = trouble.postMortem { text += PostMortemText.lines(postMortem, indent: "  ") }
        }
        return text
    }
}

/// A post-mortem for people.
enum PostMortemText {
    static func lines(_ postMortem: PostMortem, indent: String) -> String {
        var facts: [String] = []
        if !postMortem.node.isEmpty { facts.append("node \(postMortem.node)") }
        if postMortem.attempt > 0 { facts.append("attempt \(postMortem.attempt)") }
        if let bytes = postMortem.peakMemoryBytes { facts.append("peak memory \(SizeText.show(Int64(clamping: bytes)))") }
        if postMortem.outOfMemoryKilled == true { facts.append("the kernel killed it for want of memory") }
        var text = "\(indent)\(postMortem.reason)\n"
        if !facts.isEmpty { text += "\(indent)\(facts.joined(separator: ", "))\n" }
        for line in postMortem.lastOutput.split(separator: "\n", omittingEmptySubsequences: true).suffix(10) {
            text += "\(indent)| \(line)\n"
        }
        return text
    }
}
