import Roost
import RoostModel
import Synchronization

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

    /// Outcomes there are now; or, if it `follows` or the job has ended, all until the job's end, in the order of tasks.
    /// - Returns: how many there were.
    @discardableResult
    func read(follows: Bool, _ body: (TaskOutcome) throws(RoostError) -> Void) async throws(RoostError) -> Int {
        guard follows || job.progress.isEnded else { return try await readPresent(body) }
        var count = 0
        var outcomes = pool.attach(job.id, order: .inOrder).results.makeAsyncIterator()
        while let outcome = try await outcomes.next() {
            try body(outcome)
            count += 1
        }
        return count
    }

    /// What the server has now. Its answer about a job comes behind all that it sent of the job before: when it has
    /// answered the second of two questions, each asked when the one before was answered, all has come that it had at the
    /// first, as far as the window allowed.
    private func readPresent(_ body: (TaskOutcome) throws(RoostError) -> Void) async throws(RoostError) -> Int {
        let handle = pool.attach(job.id)
        let inbox = OutcomeInbox()
        handle.onOutcomes { inbox.take($0) }
        var count = 0
        while true {
            try await knock(handle)
            let batches = try inbox.empty()
            if batches.isEmpty { return count }
            for batch in batches {
                var position = 0
                for range in batch.tasks {
                    for task in range.first..<range.end {
                        try body(TaskOutcome(batch, task: task, position: position))
                        position += 1
                    }
                }
                handle.used(batch.count)
                count += batch.count
            }
        }
    }

    private func knock(_ handle: JobHandle) async throws(RoostError) {
        // What comes before the answer may take as long as it is large. A server that is cut off is known by another
        // question, whose answer overtakes everything. Ends with this function: it is cancelled below.
        let watch = Task { [pool, job] in
            while true {
                do { try await Task.sleep(for: .seconds(10)) } catch { return }
                _ = try? await pool.ask(.explain(.id(job.id), task: nil))
            }
        }
        defer { watch.cancel() }
        for _ in 0..<2 {
            guard case .failed(let error) = await pool.query(.job(.id(job.id))) else { continue }
            guard error.code == .notFound else { throw error }
            // It was forgotten meanwhile, and is read as far as it could be once its reader has been told, too.
            _ = try? await handle.wait()
        }
    }
}

/// Batches that have come and nobody has looked at yet.
private final class OutcomeInbox: Sendable {
    private let state = Mutex<(batches: [OutcomeBatch], failure: RoostError?)>(([], nil))

    func take(_ result: Result<OutcomeBatch, RoostError>) {
        state.withLock { state in
            switch result {
            case .success(let batch): state.batches.append(batch)
            case .failure(let error): state.failure = error
            }
        }
    }

    /// - Throws: why no more will come, once all that came was taken.
    func empty() throws(RoostError) -> [OutcomeBatch] {
        let (batches, failure) = state.withLock { state in
            defer { state.batches = [] }
            return (state.batches, state.failure)
        }
        if let failure, batches.isEmpty, failure.code != .notFound { throw failure }
        return batches
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

    /// - Parameter runtime: What ran it: what the payload is, it does not say itself.
    func write(to json: inout JSONWriter, runtime: RuntimeName) {
        let result = runtime == .command ? command : nil
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
            if runtime == .r, let result = RTaskResult(payload) { result.write(to: &json) }
            json.key("post_mortem")
            if let postMortem { postMortem.write(to: &json) } else { json.null() }
        }
    }
}
