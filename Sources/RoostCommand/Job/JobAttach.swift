import ArgumentParser
import Glibc
import Roost
import RoostModel

/// `roost job attach`.
struct JobAttach: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attach",
        abstract: "Print what a job's tasks print, as they end, until the job does.",
        discussion: """
            From anywhere, with a token of the job's user: what has ended so far comes first, the rest as 'roost map' would \
            print it, whole tasks, in the order of their ends (with -k: of the tasks). Where tasks crashed, were cut off or \
            held, their post-mortems go to standard error. The server may be restarted meanwhile. Ctrl-C leaves; the job goes on.

            EXIT STATUS
              0: all tasks succeeded; 1 to 100: that many did not; 101: more; 69 the pool cannot be reached, \
            77 it refused, 130 Ctrl-C, 255 Roost itself could not.

            EXAMPLES
              roost job attach "$(roost map --pool roost://head --detach ./fit {} ::: $(seq 1000))"
              roost job attach -k last >all.txt
            """)

    @Argument(help: JobSelection.helpOfOne)
    var job: JobSelection

    @Flag(name: [.customShort("k"), .customLong("keep-order")], help: "In the order of tasks.")
    var keepOrder = false

    @OptionGroup var pool: PoolOptions
    @OptionGroup var format: OutputOptions

    func run() async throws {
        let (job, isOrdered, isJSON) = (job, keepOrder, format.isJSON)
        let bad = try await pool.withPool { (pool) throws(RoostError) in
            let found = try await pool.job(job)
            let watch = await Self.leaveWhenInterrupted(found)
            defer { watch.cancel() }
            return try await Self.follow(found, isOrdered ? .inOrder : .asCompleted, pool, isJSON: isJSON)
        }
        throw Quit(status: .failures(bad))
    }

    /// - Returns: how many tasks did not succeed.
    private static func follow(
        _ job: JobSnapshot, _ order: ReadRequest.Order, _ pool: Pool, isJSON: Bool
    ) async throws(RoostError) -> Int {
        let handle = pool.attach(job.id, order: order)
        var count = 0
        var outcomes = handle.results.makeAsyncIterator()
        while let outcome = try await outcomes.next() {
            count += 1
            show(outcome, of: job, isJSON: isJSON)
        }
        let progress = try await handle.wait()
        OutcomeText.noteFetched(of: job, done: progress.done, shown: count)
        return Int(progress.failed + progress.held + progress.cancelled)
    }

    private static func show(_ outcome: TaskOutcome, of job: JobSnapshot, isJSON: Bool) {
        OutcomeText.show(outcome, runtime: job.runtime, isJSON: isJSON)
        // A task that failed by itself has said so; JSON has it already.
        guard !isJSON, let postMortem = outcome.postMortem, outcome.end != .failed else { return }
        Terminal.note("roost: \(outcome.headline(number: job.number))")
        Terminal.printError(Array(PostMortemText.lines(postMortem, indent: "  ").utf8))
    }

    /// Ends with the reading.
    private static func leaveWhenInterrupted(_ job: JobSnapshot) async -> Task<Void, Never> {
        let leave = { @Sendable (signal: String) -> Void in
            let goesOn = job.retention == .durable ? "goes on; 'roost job attach \(job.number)' shows it again" : "goes on"
            Terminal.note("roost: job \(job.number) \(goesOn)")
            Signals.end(by: signal)
        }
        return await Signals.watch(first: leave, second: leave)
    }
}
