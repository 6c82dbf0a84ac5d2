import Roost
import RoostModel

/// An outcome as 'roost job results' and 'roost job attach' show it.
enum OutcomeText {
    /// Prints what the task printed, each stream to its like; or all there is to know of it as a line of JSON.
    /// - Returns: whether it has a value that was not shown.
    @discardableResult
    static func show(_ outcome: TaskOutcome, runtime: RuntimeName, isJSON: Bool) -> Bool {
        if isJSON {
            Terminal.print(JSONWriter.document { outcome.write(to: &$0, runtime: runtime) })
        } else if runtime == .r {
            let result = RTaskResult(outcome.payload)
            result?.show(task: outcome.task)
            return result?.hasValue ?? false
        } else if let result = outcome.command {
            Terminal.print(result.stdout.shown)
            Terminal.printError(result.stderr.shown)
        }
        return false
    }

    /// Says where values are that tasks returned.
    static func noteValues(_ count: Int) {
        guard count > 0 else { return }
        Terminal.note("roost: \(count) task\(count == 1 ? "" : "s") returned a value; --output json shows \(count == 1 ? "it" : "them")")
    }

    /// Says of an attached job that its own client has fetched some of the outcomes: `done` there are, `shown` were.
    static func noteFetched(of job: JobSnapshot, done: UInt32, shown: Int) {
        let fetched = Int(done) - shown
        guard job.retention == .attached, fetched > 0 else { return }
        Terminal.note(
            "roost: \(fetched) outcome\(fetched == 1 ? " is" : "s are") with the client that submitted the job, and here no more")
    }
}
