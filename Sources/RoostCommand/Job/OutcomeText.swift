import Roost
import RoostModel

/// An outcome as 'roost job results' and 'roost job attach' show it.
enum OutcomeText {
    /// Prints what the task printed, each stream to its like; or all there is to know of it as a line of JSON.
    static func show(_ outcome: TaskOutcome, runtime: RuntimeName, isJSON: Bool) {
        if isJSON { return Terminal.print(JSONWriter.document { outcome.write(to: &$0, runtime: runtime) }) }
        if runtime == .r {
            RTaskResult(outcome.payload)?.show(task: outcome.task)
        } else if let result = outcome.command {
            Terminal.print(result.stdout.shown)
            Terminal.printError(result.stderr.shown)
        }
    }

    /// Says of an attached job that its own client has fetched some of the outcomes: `done` there are, `shown` were.
    static func noteFetched(of job: JobSnapshot, done: UInt32, shown: Int) {
        let fetched = Int(done) - shown
        guard job.retention == .attached, fetched > 0 else { return }
        Terminal.note(
            "roost: \(fetched) outcome\(fetched == 1 ? " is" : "s are") with the client that submitted the job, and here no more")
    }
}
