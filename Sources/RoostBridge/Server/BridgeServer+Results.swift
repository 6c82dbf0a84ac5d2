import RSerialization
import Roost
import RoostModel

extension BridgeServer {
    // MARK: All of a job

    /// The values of all tasks, in order.
    /// - Parameter announced: when R is told the name of a job that the same request made; nil: another one did.
    func collect(
        _ job: BridgeJob, _ control: Control, _ request: UInt64, onto answer: BridgeAnswer, announced: Instant? = nil
    ) async throws(BridgeFailure) -> BridgeAnswer {
        var answer = answer
        let forgets = control.flag("forget") ?? false
        if control.flag("wait") ?? true {
            if let announced { try await announce(job, answer, request, at: announced) }
            _ = try await waitForEnd(job, request, progress: control.flag("progress") ?? true)
        }
        let joined: JoinedOutcomes
        do throws(BridgeFailure) {
            if let failure = job.failure { throw failure }
            joined = try await join(job, nil, names: job.namesOfTasks)
        } catch {
            // Nobody else knows a job that was made by this very request.
            if forgets || announced != nil { try await forget(job) }
            throw error
        }
        // Who ran something without a blob is answered without one: one stream to read instead of two.
        let isInline = announced != nil && !control.objects.isEmpty && job.outcomes.areFew
        write(joined, inControl: isInline, into: &answer)
        if forgets { try await forget(job) }
        return answer
    }

    /// Of a job that takes a while R learns the name; one that is over at once is worth no frame of its own.
    private func announce(
        _ job: BridgeJob, _ answer: BridgeAnswer, _ request: UInt64, at due: Instant
    ) async throws(BridgeFailure) {
        beginWaiting(job, request)
        while !job.isOver, Clock.now() < due {
            await sleep(on: job, outcomes: false, until: due)
            if Task.isCancelled { throw .stopped }
        }
        if !job.isOver { send(request, .progress, control: answer.finished(more: true).control) }
    }

    // MARK: As they complete

    /// Outcomes behind the cursor; waits for one if there is none.
    func next(_ job: BridgeJob, _ control: Control, _ request: UInt64) async throws(BridgeFailure) -> BridgeAnswer {
        let cursor = try Self.cursor(control)
        let most = try Self.most(control)
        let deadline = try Self.deadline(control)
        beginWaiting(job, request)
        defer { if job.waitingRequest == request { job.waitingRequest = nil } }
        while job.outcomes.arrivals.count <= cursor, !job.isOver, Clock.now() < deadline {
            await sleep(on: job, outcomes: true, until: deadline)
            if Task.isCancelled { throw .stopped }
        }
        let arrived = job.outcomes.arrivals.count
        if cursor >= arrived, let failure = job.failure { throw failure }
        let end = min(arrived, cursor + most)
        let tasks = cursor < end ? Array(job.outcomes.arrivals[cursor..<end]) : []
        // While they are joined more may come, and be the last.
        let hasEnded = job.isOver && end >= arrived
        let joined = try await join(job, tasks, names: nil)
        let answer = describe(
            joined, tasks, cursor: max(cursor, end), hasEnded: hasEnded, isBrief: control.isBrief)
        release(tasks, of: job)
        return answer
    }

    /// The answer to `next`.
    func describe(_ joined: JoinedOutcomes, _ tasks: [TaskIndex], cursor: Int, hasEnded: Bool, isBrief: Bool) -> BridgeAnswer {
        var answer = BridgeAnswer()
        if isBrief, joined.isPlain {
            answer.brief = BriefControl.answer(cursor: cursor, hasEnded: hasEnded, index: tasks)
            answer.parts = [joined.values]
            return answer
        }
        answer.control.set("index", integers: tasks.map { Int32(truncatingIfNeeded: $0 + 1) })
        answer.control.set("cursor", Double(cursor))
        answer.control.set("ended", hasEnded)
        write(joined, into: &answer)
        return answer
    }

    /// Outcomes that were given to R are kept no longer, where that was asked for.
    func release(_ tasks: [TaskIndex], of job: BridgeJob) {
        guard job.isTransient else { return }
        for task in tasks { job.outcomes.release(TaskRange(first: task, count: 1)) }
    }

    static func cursor(_ control: Control) throws(BridgeFailure) -> Int {
        guard let cursor = Int(exactly: control.number("cursor") ?? 0), cursor >= 0 else {
            throw .usage("'cursor' is what the last answer to 'next' said, 0 at first")
        }
        return cursor
    }

    /// How many outcomes `next` wants at most.
    static func most(_ control: Control) throws(BridgeFailure) -> Int {
        let most = min(BridgeLimits.nextTasks, Int(exactly: (control.number("max") ?? 1024).rounded(.down)) ?? .max)
        guard most > 0 else { throw .usage("'max' is at least 1") }
        return most
    }

    /// `timeout` seconds from now; never when there is none.
    static func deadline(_ control: Control) throws(BridgeFailure) -> Instant {
        guard control.has("timeout"), control.number("timeout") != .infinity else { return .never }
        guard let seconds = control.number("timeout"), seconds >= 0, seconds < 1e9 else {
            throw .usage("'timeout' is a number of seconds")
        }
        return Clock.now() + .nanoseconds(Int64(seconds * 1e9))
    }

    // MARK: Joining

    private func join(
        _ job: BridgeJob, _ tasks: [TaskIndex]?, names: [UInt8]?
    ) async throws(BridgeFailure) -> JoinedOutcomes {
        let outcomes = job.outcomes
        do throws(RSerializationError) {
            if let tasks, tasks.count <= BridgeLimits.inlineTasks, outcomes.byteCount <= BridgeLimits.inlineBytes {
                return try outcomes.joined(tasks, nativeEncoding: job.nativeEncoding)
            }
            if tasks == nil, outcomes.areFew { return try outcomes.joined(names: names, nativeEncoding: job.nativeEncoding) }
            return try await outcomes.joinedElsewhere(tasks, names: names, nativeEncoding: job.nativeEncoding)
        } catch {
            throw Self.noObjects(error)
        }
    }

    static func noObjects(_ error: RSerializationError) -> BridgeFailure {
        BridgeFailure(code: "protocolViolation", "the outcomes of the job are no R objects", cause: "\(error)")
    }

    /// - Parameter inControl: the values stand in the control, and there is no blob.
    func write(_ joined: JoinedOutcomes, inControl: Bool = false, into answer: inout BridgeAnswer) {
        answer.control.set("state", item: joined.hasTrouble ? RItem.raw(joined.states) : RItem.null)
        if inControl { answer.control.set("values", stream: joined.values) } else { answer.parts = [joined.values] }
        if let details = joined.details {
            if !inControl { answer.parts.append(details) }
            answer.control.set("details") {
                $0.set("index", integers: joined.detailed)
                if inControl { $0.set("values", stream: details) }
            }
        }
        guard !joined.postMortems.isEmpty else { return }
        let all = joined.postMortems
        answer.control.set("post_mortems") { list in
            list.set("index", integers: all.map(\.index))
            list.set("reason", all.map(\.postMortem.reason))
            list.set("node", all.map(\.postMortem.node))
            list.set("attempt", integers: all.map { Int32(clamping: $0.postMortem.attempt) })
            list.set("signal", integers: all.map(\.postMortem.signal))
            list.set("exit", integers: all.map(\.postMortem.exitStatus))
            list.set("memory", all.map { $0.postMortem.peakMemoryBytes.map { Double($0) } })
            list.set("output", all.map(\.postMortem.lastOutput))
        }
    }

    // MARK: How far

    func status(_ job: BridgeJob) async throws(BridgeFailure) -> BridgeAnswer {
        var answer = BridgeAnswer()
        writeProgress(of: job, into: &answer.control)
        answer.control.set("ended", job.isOver)
        refreshPoolSize()
        if let failure = job.failure { throw failure }
        return answer
    }

    func wait(_ job: BridgeJob, _ control: Control, _ request: UInt64) async throws(BridgeFailure) -> BridgeAnswer {
        let hasEnded = try await waitForEnd(
            job, request, progress: control.flag("progress") ?? false, until: try Self.deadline(control))
        if let failure = job.failure { throw failure }
        var answer = BridgeAnswer()
        answer.control.set("ended", hasEnded)
        writeProgress(of: job, into: &answer.control)
        return answer
    }

    /// What is known here of outcomes, and from the server of the rest.
    func writeProgress(of job: BridgeJob, into control: inout ControlWriter) {
        let outcomes = job.outcomes
        let heard = job.handle.progress
        control.set("progress") { progress in
            progress.set("tasks", Double(max(outcomes.taskCount, Int(heard.tasks))))
            progress.set("done", Double(outcomes.doneCount))
            progress.set("succeeded", Double(outcomes.count(.succeeded)))
            progress.set("failed", Double(outcomes.count(.failed)))
            progress.set("cancelled", Double(outcomes.count(.cancelled)))
            progress.set("held", Double(outcomes.count(.held)))
            progress.set("running", job.isOver ? 0 : Double(min(Int(heard.granted), outcomes.taskCount - outcomes.doneCount)))
            progress.set("lost", Double(heard.lost))
            progress.set("retried", Double(heard.retried))
            progress.set("nodes", poolSize.nodes.map(Double.init))
            progress.set("slots", poolSize.slots.map(Double.init))
        }
    }
}
