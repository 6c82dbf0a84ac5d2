import ArgumentParser
import Roost
import RoostModel

/// `roost job results`.
struct JobResults: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "results",
        abstract: "Print what a job's tasks printed, as 'roost map -k' would have.",
        discussion: """
            What tasks wrote to standard output goes to standard output, their errors to standard error, in the \
            order of tasks. Of a job that has not ended, what there is; --follow waits for the rest. With --output \
            json, one object a task: outcome, exit status, node, attempt, times, output, post-mortem.

            Tasks of R have a value too, and errors, warnings and messages with their class, message and call: \
            --output json has them, written as R's package jsonlite would. What a session of R has fetched of its own \
            job is gone from the server; --follow, begun in time, sees all.
            """)

    @Argument(help: JobSelection.helpOfOne)
    var job: JobSelection

    @Flag(help: "Wait for tasks that have not ended, until all have.")
    var follow = false

    @OptionGroup var pool: PoolOptions
    @OptionGroup var format: OutputOptions

    func run() async throws {
        let (job, follow, isJSON) = (job, follow, format.isJSON)
        try await pool.withPool { (pool) throws(RoostError) in
            let found = try await pool.job(job)
            var values = 0
            let count = try await JobReader(pool: pool, job: found).read(follows: follow) { outcome in
                if OutcomeText.show(outcome, runtime: found.runtime, isJSON: isJSON) { values += 1 }
            }
            OutcomeText.noteValues(values)
            OutcomeText.noteFetched(of: found, done: found.progress.done, shown: count)
        }
    }
}
