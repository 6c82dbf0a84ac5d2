import Roost
import RoostModel

/// Reads a job's outcomes for a command: one task's, those there are now, or all to the end.
struct JobReader {
    let pool: Pool
    let job: JobSnapshot

    /// The outcome of one task; nil when it has none yet.
    func outcome(of task: UInt32) async throws(RoostError) -> TaskOutcome? {
        guard task < job.progress.tasks || !job.progress.isClosed else {
            throw RoostError(.notFound, "job \(job.number) has the tasks 0 to \(Int(job.progress.tasks) - 1)")
        }
        guard case .explanation(let rows) = try await pool.ask(.explain(.id(job.id), task: task)) else {
            throw Pool.unexpected
        }
        guard rows.first?.reason.hasPrefix("has an outcome") == true else { return nil }
        var outcomes = pool.attach(job.id, from: task, window: 1).results.makeAsyncIterator()
        return try await outcomes.next()
    }

    /// Outcomes there are now; or, if it `follows`, all until the job's end, in the order of tasks.
    func read(follows: Bool, _ body: (TaskOutcome) throws(RoostError) -> Void) async throws(RoostError) {
        let isWhole = follows || job.progress.isEnded
        let wanted = Int(job.progress.done)
        if !isWhole && wanted == 0 { return }
        var seen = Set<Int>()
        var outcomes = pool.attach(job.id, order: isWhole ? .inOrder : .asCompleted).results.makeAsyncIterator()
        while let outcome = try await outcomes.next() {
            try body(outcome)
            guard !isWhole else { continue }
            seen.insert(outcome.task)
            if seen.count >= wanted { return }
        }
    }
}

extension TaskOutcome {
    /// `job 5, task 3: failed, exit status 2, on node a, attempt 1, 0.3s`.
    func headline(number: UInt32) -> String {
        var words = [kind.words]
        if kind != .succeeded, end.words != kind.words { words.append(end.words) }
        if let status = command?.exitStatus, status != 0 { words.append("exit status \(status)") }
        if let signal = command?.signal { words.append("signal \(signal)") }
        if !node.isEmpty { words.append("on \(node)") }
        if attempt > 1 { words.append("attempt \(attempt)") }
        if let nanoseconds = command?.runNanoseconds, nanoseconds > 0 {
            words.append(DurationText.show(.nanoseconds(nanoseconds)))
        }
        return "job \(number), task \(task): \(words.joined(separator: ", "))"
    }

    func write(to json: inout JSONWriter) {
        let result = command
        json.object { json in
            json.member("task", task)
            json.member("outcome", kind.words)
            json.member("end", end.words)
            json.member("node", node)
            json.member("attempt", attempt)
            json.member("exit_status", result?.exitStatus)
            json.member("signal", result?.signal)
            if let result {
                json.member("start", Double(result.startNanoseconds) / 1e9)
                json.member("seconds", Double(result.runNanoseconds) / 1e9)
                // 0 is "not known": no process is that small.
                json.member("peak_memory_bytes", result.peakMemoryBytes > 0 ? result.peakMemoryBytes : nil)
                json.key("stdout")
                json.string(result.stdout.head + result.stdout.tail)
                json.key("stderr")
                json.string(result.stderr.head + result.stderr.tail)
                json.member("omitted_bytes", result.stdout.omittedBytes + result.stderr.omittedBytes)
            }
            json.key("post_mortem")
            if let postMortem { postMortem.write(to: &json) } else { json.null() }
        }
    }
}
