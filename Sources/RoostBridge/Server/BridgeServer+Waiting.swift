import NIOCore
import Roost
import RoostModel

/// A request that sleeps until something happens to a job.
struct Waiter {
    var job: JobID
    /// Whether any outcome wakes it, or only the end of the job.
    var wantsOutcomes: Bool
    var continuation: CheckedContinuation<Void, Never>
    var alarm: Scheduled<Void>?
}

extension BridgeServer {
    /// Suspends until the job has an outcome more (or, otherwise, has ended), the time is over, or the request was stopped.
    func sleep(on job: BridgeJob, outcomes: Bool, until deadline: Instant) async {
        let id = job.id
        lastWaiter += 1
        let number = lastWaiter
        await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                guard !Task.isCancelled else { return continuation.resume() }
                var alarm: Scheduled<Void>?
                if deadline < .never {
                    let wait = max(0, (deadline - Clock.now()).wholeNanoseconds)
                    alarm = loop.scheduleTask(in: .nanoseconds(wait)) { self.assumeIsolated { $0.wake(number) } }
                }
                waiters[number] = Waiter(job: id, wantsOutcomes: outcomes, continuation: continuation, alarm: alarm)
            }
        } onCancel: {
            loop.execute { self.assumeIsolated { $0.wake(number) } }
        }
    }

    private func wake(_ number: Int) {
        guard let waiter = waiters.removeValue(forKey: number) else { return }
        waiter.alarm?.cancel()
        waiter.continuation.resume()
    }

    /// Something happened to the job.
    func wake(for job: BridgeJob) {
        guard !waiters.isEmpty else { return }
        let due = waiters.filter { $0.value.job == job.id && ($0.value.wantsOutcomes || job.isOver) }.keys.sorted()
        for number in due { wake(number) }
    }

    /// Waits for the end of a job, telling R how far it is if it wants to know.
    /// - Returns: false when the time was over before.
    func waitForEnd(
        _ job: BridgeJob, _ request: UInt64, progress: Bool, until deadline: Instant = .never
    ) async throws(BridgeFailure) -> Bool {
        beginWaiting(job, request)
        defer { if job.waitingRequest == request { job.waitingRequest = nil } }
        while !job.isOver {
            if Clock.now() >= deadline { return false }
            let next = progress ? Clock.now() + .milliseconds(BridgeLimits.progressMilliseconds) : .never
            await sleep(on: job, outcomes: false, until: min(deadline, next))
            if Task.isCancelled { throw .stopped }
            if progress && !job.isOver && Clock.now() >= next { tellProgress(job, request) }
        }
        return true
    }

    private func tellProgress(_ job: BridgeJob, _ request: UInt64) {
        var answer = BridgeAnswer()
        writeProgress(of: job, into: &answer.control)
        send(request, .progress, control: answer.finished(more: true).control)
        refreshPoolSize()
    }

    // MARK: What cannot run

    /// Looks now and then, as long as somebody waits, whether what he waits for can run at all.
    private func watchForWant() {
        guard !isWantWatched else { return }
        isWantWatched = true
        loop.scheduleTask(in: .seconds(BridgeLimits.wantSeconds)) { self.assumeIsolated { $0.lookForWant() } }
    }

    private func lookForWant() {
        isWantWatched = false
        let due = Clock.now() + .seconds(-BridgeLimits.wantSeconds)
        for id in jobs.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
            guard let job = jobs[id], job.waitingRequest != nil, !job.isOver, !job.isWantTold else { continue }
            watchForWant()
            // While the server is away, one question waits for it, and no more.
            guard job.waitingSince <= due, job.handle.progress.granted == 0, !job.isWantAsked else { continue }
            job.isWantAsked = true
            // Ends with the server's answer, or with the pool.
            Task {
                let want = await pool.want(of: id)
                job.isWantAsked = false
                guard let want, let request = job.waitingRequest, !job.isWantTold else { return }
                job.isWantTold = true
                var answer = BridgeAnswer()
                answer.control.set("waiting", want)
                send(request, .condition, control: answer.finished(more: true).control)
            }
        }
    }

    // MARK: Conditions

    /// From now on the job's conditions go to this request; those that came before go first.
    func beginWaiting(_ job: BridgeJob, _ request: UInt64) {
        job.waitingRequest = request
        job.waitingSince = Clock.now()
        watchForWant()
        let early = job.conditions
        job.conditions = []
        job.conditionBytes = 0
        for condition in early { tell(condition.task, condition.item, of: job) }
    }

    /// A running task signalled a condition.
    func heard(_ condition: TaskCondition) {
        guard let job = jobs[condition.job] else { return }
        if job.waitingRequest != nil { return tell(condition.task, condition.bytes, of: job) }
        guard job.conditionBytes + condition.bytes.count <= BridgeLimits.conditionBytes else { return }
        job.conditionBytes += condition.bytes.count
        job.conditions.append((condition.task, condition.bytes))
    }

    private func tell(_ task: TaskIndex, _ item: [UInt8], of job: BridgeJob) {
        guard let request = job.waitingRequest else { return }
        var answer = BridgeAnswer()
        answer.control.set("condition", true)
        answer.control.set("task", Double(task) + 1)
        answer.parts = [item]
        let (control, parts) = answer.finished(more: true)
        send(request, .condition, control: control, parts: parts)
    }
}
