import NIOCore
import RSerialization
import Roost
import RoostModel
import RoostNode

/// A request that appended a few tasks to an open job and waits for their outcomes.
struct PendingCall {
    var request: UInt64
    var tasks: TaskRange
    let isBrief: Bool
    /// Tells R how far the call is, now and then; nil: R does not want to know.
    var progress: RepeatedTask?
}

/// A brief `next` that waits for an outcome.
struct PendingNext {
    var request: UInt64
    var control: Control
    var cursor: Int
    var most: Int
    var alarm: Scheduled<Void>?
}

/// Small calls. R keeps a job open and appends its small calls to it: no job is made and ended for each.
///
///     call    tasks ─▶ open job ── their outcomes ─▶ answer
///     append  the same; the outcomes come with `next`
///
/// Both are done in the turn that reads them: no Swift task is made for one.
extension BridgeServer {
    /// - Returns: false when the request is of another kind, or too large to be done at once.
    func appendAtOnce(_ sequence: UInt64, _ frame: BridgeFrame) -> Bool {
        let control = frame.control
        let isCall = control.text("op") == "call"
        guard isCall || control.text("op") == "append" else { return false }
        do throws(BridgeFailure) {
            let isQuiet = control.flag("quiet") ?? false
            let job = try isQuiet ? findJob(control) : job(control)
            guard let part = frame.parts.first, part.count <= BridgeLimits.inlineBytes, job.feeding == nil else {
                guard isCall else { return false }
                throw .usage("'call' is for tasks of at most \(BridgeLimits.inlineBytes) bytes in all, of a job that is open")
            }
            let cutter = try Self.cutterHere(part, seed: try seed(of: job, control))
            let first = job.outcomes.taskCount
            let closes = control.flag("close") ?? false
            try append(cutter, to: job, closing: closes, gathers: isQuiet && job.isTransient && !closes)
            if isCall { return waitForCall(job, TaskRange(first: UInt32(first), count: UInt32(cutter.count)), sequence, control) }
            if !isQuiet || job.isOver {
                finish(sequence, .success(appended(to: job)))
            } else {
                finishQuietly(sequence)
            }
        } catch {
            failed(sequence, control, error)
        }
        return true
    }

    /// The first of many quiet appends is handed over at once, those that come within the next moment together: a worker that is given
    /// them one by one takes several times as long. Whatever else R asks of the job ends the moment.
    func gather(_ chunk: PayloadArray, of job: BridgeJob) {
        guard job.gathering != nil else {
            job.handle.post(chunk)
            return gatherAgain(job)
        }
        for position in 0..<chunk.count { job.gathered.append(chunk[position]) }
        if job.gathered.bytes.count >= Limits.chunkBytes || job.gathered.count >= Limits.chunkTasks { handOver(job) }
    }

    private func gatherAgain(_ job: BridgeJob) {
        let id = job.id
        job.gathering = loop.scheduleTask(in: .milliseconds(BridgeLimits.gatherMilliseconds)) {
            self.assumeIsolated { server in
                guard let job = server.jobs[id] else { return }
                job.gathering = nil
                guard !job.gathered.isEmpty else { return }
                server.handOver(job)
                server.gatherAgain(job)
            }
        }
    }

    /// What was gathered goes to the pool.
    func handOver(_ job: BridgeJob) {
        guard !job.gathered.isEmpty else { return }
        job.handle.post(job.gathered)
        job.gathered = PayloadArray()
    }

    /// R does not wait for a quiet request, and counts the tasks that it appends: from now on all that it asks of the job fails.
    func failed(_ sequence: UInt64, _ control: Control, _ failure: BridgeFailure) {
        if control.text("op") == "append", control.flag("quiet") ?? false, let job = try? job(control) { fail(job, failure) }
        finish(sequence, .failure(failure))
    }

    /// The stream of the first appended task: the request's own, else the one behind the last task's.
    private func seed(of job: BridgeJob, _ control: Control) throws(BridgeFailure) -> RStreamSeed? {
        let own = try RandomSeed(control)
        // A batch has seeds for all of its tasks, or for none.
        if job.isTransient {
            guard job.outcomes.taskCount == 0 || job.isSeeded == (own != nil) else {
                throw .usage("the tasks of an open job all have seeds, or none has")
            }
            job.isSeeded = own != nil
        }
        return own?.next ?? job.seed?.next
    }

    /// A small call's answer is mostly there before the thread would be asleep; and R's next call soon after.
    func expectSoon() {
        guard cpus > 1, let loop = loop as? ProcessEventLoop else { return }
        loop.stayAwake(for: .microseconds(BridgeLimits.awakeMicroseconds))
    }

    private func waitForCall(_ job: BridgeJob, _ tasks: TaskRange, _ sequence: UInt64, _ control: Control) -> Bool {
        var call = PendingCall(request: sequence, tasks: tasks, isBrief: control.isBrief)
        if control.flag("progress") ?? false { call.progress = reportProgress(of: job.id, sequence) }
        job.calls.append(call)
        beginWaiting(job, sequence)
        if tasks.count < cpus { expectSoon() }
        answerCalls(of: job)
        return true
    }

    private func reportProgress(of id: JobID, _ sequence: UInt64) -> RepeatedTask {
        let pause = TimeAmount.milliseconds(BridgeLimits.progressMilliseconds)
        return loop.scheduleRepeatedTask(initialDelay: pause, delay: pause) { _ in
            self.assumeIsolated { server in
                guard let job = server.jobs[id], let call = job.calls.first(where: { $0.request == sequence }) else { return }
                server.tellProgress(of: call, job)
            }
        }
    }

    private func tellProgress(of call: PendingCall, _ job: BridgeJob) {
        var answer = BridgeAnswer()
        answer.control.set("progress") { progress in
            progress.set("tasks", Double(call.tasks.count))
            progress.set("done", Double(Int(call.tasks.count) - job.outcomes.missing(of: call.tasks)))
        }
        send(call.request, .progress, control: answer.finished(more: true).control)
    }

    /// Answers calls whose tasks all have outcomes, and all of a job that can go on no more.
    func answerCalls(of job: BridgeJob) {
        guard !job.calls.isEmpty else { return }
        var index = 0
        while index < job.calls.count {
            let call = job.calls[index]
            guard job.failure != nil || job.outcomes.missing(of: call.tasks) == 0 else {
                index += 1
                continue
            }
            job.calls.remove(at: index)
            end(call, of: job)
            finish(call.request, result(of: call, job))
            if call.tasks.count < cpus { expectSoon() }
            if job.isTransient { job.outcomes.release(call.tasks) }
        }
    }

    private func result(of call: PendingCall, _ job: BridgeJob) -> Result<BridgeAnswer, BridgeFailure> {
        if let failure = job.failure { return .failure(failure) }
        var answer = BridgeAnswer()
        do throws(RSerializationError) {
            let joined = try job.outcomes.joined(call.tasks.first..<call.tasks.end, nativeEncoding: job.nativeEncoding)
            if call.isBrief, joined.isPlain {
                (answer.brief, answer.parts) = ([], [joined.values])
                return .success(answer)
            }
            write(joined, into: &answer)
        } catch { return .failure(Self.noObjects(error)) }
        answer.control.set("first", Double(call.tasks.first) + 1)
        return .success(answer)
    }

    // MARK: Outcomes of appended tasks

    /// A brief `next`: answered by whoever brings an outcome, without a Swift task.
    /// - Returns: false when the request is of another kind.
    func nextAtOnce(_ sequence: UInt64, _ frame: BridgeFrame) -> Bool {
        let control = frame.control
        guard control.isBrief, control.text("op") == "next" else { return false }
        do throws(BridgeFailure) {
            let job = try job(control)
            let cursor = try Self.cursor(control)
            let most = try Self.most(control)
            let deadline = try Self.deadline(control)
            var next = PendingNext(request: sequence, control: control, cursor: cursor, most: most)
            beginWaiting(job, sequence)
            let isDue = deadline <= Clock.now()
            if !isDue, deadline < .never {
                let id = job.id
                next.alarm = loop.scheduleTask(in: .nanoseconds(max(0, (deadline - Clock.now()).wholeNanoseconds))) {
                    self.assumeIsolated { server in
                        guard let job = server.jobs[id], let next = server.takeNext(sequence, of: job) else { return }
                        server.answer(next, of: job)
                    }
                }
            }
            if isDue || job.outcomes.arrivals.count > cursor || job.isOver {
                answer(next, of: job)
            } else {
                job.nexts.append(next)
                expectSoon()
            }
        } catch {
            finish(sequence, .failure(error))
        }
        return true
    }

    /// A brief `forget`, done before the next request is looked at.
    func forgetAtOnce(_ sequence: UInt64, _ frame: BridgeFrame) -> Bool {
        guard frame.control.isBrief, frame.control.text("op") == "forget" else { return false }
        do throws(BridgeFailure) {
            drop(try findJob(frame.control))
            finishQuietly(sequence)
        } catch {
            finish(sequence, .failure(error))
        }
        return true
    }

    /// Nobody brings outcomes of a job that is forgotten.
    func failWaiting(for job: BridgeJob) {
        let forgotten = BridgeFailure(code: "notFound", "the job \(JobText.show(job.id)) was forgotten")
        for call in job.calls {
            end(call, of: job)
            finish(call.request, .failure(forgotten))
        }
        for next in job.nexts {
            next.alarm?.cancel()
            finish(next.request, .failure(forgotten))
        }
        (job.calls, job.nexts) = ([], [])
    }

    /// Answers those who wait for outcomes that have come, or for a job that can bring no more.
    func answerNexts(of job: BridgeJob) {
        guard !job.nexts.isEmpty else { return }
        for next in job.nexts where job.isOver || job.outcomes.arrivals.count > next.cursor {
            if let next = takeNext(next.request, of: job) { answer(next, of: job) }
        }
    }

    private func takeNext(_ request: UInt64, of job: BridgeJob) -> PendingNext? {
        job.nexts.firstIndex { $0.request == request }.map { job.nexts.remove(at: $0) }
    }

    private func answer(_ next: PendingNext, of job: BridgeJob) {
        next.alarm?.cancel()
        if job.waitingRequest == next.request { job.waitingRequest = nil }
        guard job.outcomes.byteCount <= BridgeLimits.atOnceBytes else {
            // Joining much takes time that the connections should not wait for. Ends with its answer, or with the session.
            requests[next.request] = Task {
                do throws(BridgeFailure) {
                    finish(next.request, .success(try await self.next(job, next.control, next.request)))
                } catch { finish(next.request, .failure(error)) }
            }
            return
        }
        do throws(BridgeFailure) {
            finish(next.request, .success(try outcomes(of: job, behind: next.cursor, most: next.most)))
        } catch {
            finish(next.request, .failure(error))
        }
    }

    /// Outcomes that have come behind the cursor, as they came.
    private func outcomes(of job: BridgeJob, behind cursor: Int, most: Int) throws(BridgeFailure) -> BridgeAnswer {
        let arrived = job.outcomes.arrivals.count
        if cursor >= arrived, let failure = job.failure { throw failure }
        let end = min(arrived, cursor + most)
        let tasks = cursor < end ? Array(job.outcomes.arrivals[cursor..<end]) : []
        let joined: JoinedOutcomes
        do throws(RSerializationError) {
            joined = try job.outcomes.joined(tasks, nativeEncoding: job.nativeEncoding)
        } catch { throw Self.noObjects(error) }
        let answer = describe(joined, tasks, cursor: max(cursor, end), hasEnded: job.isOver && end >= arrived, isBrief: true)
        release(tasks, of: job)
        return answer
    }

    /// R waits for these outcomes no longer.
    func dropNext(_ request: UInt64) {
        for job in jobs.values {
            guard let next = takeNext(request, of: job) else { continue }
            next.alarm?.cancel()
            if job.waitingRequest == request { job.waitingRequest = nil }
            return
        }
    }

    /// R waits for the call no longer: nobody wants its tasks.
    func dropCall(madeBy request: UInt64) {
        for job in jobs.values {
            guard let index = job.calls.firstIndex(where: { $0.request == request }) else { continue }
            let call = job.calls.remove(at: index)
            end(call, of: job)
            job.outcomes.abandon(call.tasks)
            let (pool, id) = (pool, job.id)
            // Ends with the pool's answer, or with the pool.
            Task { _ = await pool.query(.cancel(.id(id), tasks: [call.tasks], kill: false)) }
            return
        }
    }

    private func end(_ call: PendingCall, of job: BridgeJob) {
        call.progress?.cancel()
        if job.waitingRequest == call.request { job.waitingRequest = nil }
    }
}
