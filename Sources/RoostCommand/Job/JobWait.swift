import ArgumentParser
import Roost
import RoostModel

/// `roost job wait`.
struct JobWait: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: "Wait until jobs have ended.",
        discussion: """
            EXIT STATUS
              0: all tasks succeeded; 1 to 100: that many did not; 101: more; 69 the pool cannot be reached, \
            77 it refused, 124 --limit is over, 255 Roost itself could not wait.
            """)

    @Argument(help: JobSelection.help)
    var job: JobSelection

    @Option(help: ArgumentHelp("Wait no longer than this.", valueName: "duration"))
    var limit: String?

    @OptionGroup var pool: PoolOptions
    @OptionGroup var format: OutputOptions

    /// What `timeout` of coreutils ends with.
    private static let timeIsOver = ExitStatus(rawValue: 124)

    func run() async throws {
        let limit = try limit.map { (text) throws(RoostError) -> Duration in
            guard let limit = DurationText.parse(text) else {
                throw RoostError(.usage, "--limit takes a duration such as 90s or 2h, not '\(text)'")
            }
            return limit
        }
        let job = job
        let jobs = try await pool.withPool { (pool) throws(RoostError) in try await Self.wait(for: job, limit, pool) }
        if format.isJSON {
            Terminal.print(
                JSONWriter.document { json in
                    json.beginArray()
                    for job in jobs { job.write(to: &json) }
                    json.endArray()
                })
        }
        guard jobs.allSatisfy(\.progress.isEnded) else { throw Quit(status: Self.timeIsOver) }
        let bad = jobs.reduce(0) { $0 + Int($1.progress.failed + $1.progress.held + $1.progress.cancelled) }
        throw Quit(status: .failures(bad))
    }

    /// Asks now and then, less often the longer it takes: outcomes themselves stay on the server.
    private static func wait(
        for selection: JobSelection, _ limit: Duration?, _ pool: Pool
    ) async throws(RoostError) -> [JobSnapshot] {
        let end = limit.map { Clock.now() + $0 }
        var jobs = try await pool.jobs(selection)
        // 'last' and 'all' mean what they meant when we began.
        let meant = JobSelector.numbers(jobs.map { $0.number...$0.number })
        var pause = Duration.milliseconds(10)
        var watch = WantWatch()
        while !jobs.allSatisfy(\.progress.isEnded) {
            if let end, Clock.now() >= end { return jobs }
            do { try await Task.sleep(for: pause) } catch { throw RoostError(.cancelled, "waiting was cancelled; the job goes on") }
            pause = min(pause * 1.5, .seconds(1))
            guard case .jobs(let found) = try await pool.ask(.job(meant), within: .seconds(3600)) else { throw Pool.unexpected }
            jobs = found
            await watch.look(at: jobs, pool)
        }
        return jobs
    }
}

/// Says, once for each job, that nothing can run it.
private struct WantWatch {
    private var nextLook = Clock.now() + MapLimits.wantAfter
    private var told: Set<JobID> = []

    mutating func look(at jobs: [JobSnapshot], _ pool: Pool) async {
        guard Clock.now() >= nextLook else { return }
        nextLook = Clock.now() + MapLimits.wantAfter
        for job in jobs where !job.progress.isEnded && job.progress.granted == 0 && !told.contains(job.id) {
            guard let want = await pool.want(of: job.id) else { continue }
            told.insert(job.id)
            Terminal.note("roost: job \(job.number) waits: \(want)")
        }
    }
}
