import Roost
import RoostModel

/// Jobs that the server keeps: found again by any session, let go of without harm.
extension BridgeServer {
    // MARK: Submitting

    /// What the server keeps beside the job.
    static func annotation(_ note: JobNote) throws(BridgeFailure) -> [UInt8] {
        let bytes = note.bytes
        guard bytes.count <= Limits.annotationBytes else {
            throw BridgeFailure(
                code: "limit",
                "the names of X take \(bytes.count >> 20) MiB; a durable job keeps \(Limits.annotationBytes >> 20) MiB of them",
                remedy: "Submit unname(X), and give the results their names when they are here.")
        }
        return bytes
    }

    /// R is told of a durable job when it is on the server's disk: from then on nobody here is needed.
    func answerWhenOnDisk(_ job: BridgeJob, _ answer: BridgeAnswer) async throws(BridgeFailure) -> BridgeAnswer {
        do throws(RoostError) {
            job.number = try await job.handle.number()
            await job.feeding?.value
            if job.failure == nil { try await job.handle.waitUntilSubmitted() }
        } catch {
            if job.failure == nil { job.failure = BridgeFailure(error) }
        }
        if Task.isCancelled { throw .stopped }
        if let failure = job.failure {
            jobs[job.id] = nil
            throw failure
        }
        var answer = answer
        answer.control.set("number", job.number.map(Double.init))
        return answer
    }

    // MARK: Attaching

    /// Reads a job that the server keeps, or has another handle of one of this session.
    func attach(_ control: Control) async throws(BridgeFailure) -> BridgeAnswer {
        let id = try await durableJob(control)
        if let job = jobs[id] {
            // The server may have forgotten it already: then it stays without its number.
            if job.number == nil, case .jobs(let found)? = try? await ask(.job(.id(id))) { job.number = found.first?.number }
        } else {
            guard case .jobs(let found) = try await ask(.job(.id(id))), let snapshot = found.first else { throw Self.noJob }
            guard snapshot.runtime.rawValue == "r" else {
                throw .usage("job \(snapshot.number) is none of R: it is of the runtime '\(snapshot.runtime.rawValue)'")
            }
            guard snapshot.retention == .durable else {
                throw BridgeFailure(
                    code: "conflict", "job \(snapshot.number) belongs to the session that submitted it, and ends with it",
                    remedy: "Only durable jobs can be attached to: async_lapply(durable = TRUE).")
            }
            // Another request may have attached to it meanwhile.
            if jobs[id] == nil { take(snapshot) }
        }
        guard let job = jobs[id] else { throw Self.noJob }
        job.holders += 1
        return describe(job)
    }

    private func take(_ snapshot: JobSnapshot) {
        let note = JobNote(snapshot.annotation)
        let job = BridgeJob(
            pool.attach(snapshot.id), isOwn: false, isDurable: true, tasks: Int(snapshot.progress.tasks), names: note.names,
            isOpen: false)
        job.nativeEncoding = note.encoding
        job.isSingle = note.isSingle
        job.number = snapshot.number
        jobs[job.id] = job
        follow(job)
    }

    private func describe(_ job: BridgeJob) -> BridgeAnswer {
        var answer = BridgeAnswer()
        answer.control.set("job", JobText.show(job.id))
        if let number = job.number { answer.control.set("number", Double(number)) }
        answer.control.set("n", Double(job.outcomes.taskCount))
        if let names = job.names { answer.control.set("names", item: names) }
        answer.control.set("single", job.isSingle)
        answer.control.set("durable", job.isDurable)
        return answer
    }

    private static var noJob: BridgeFailure {
        BridgeFailure(code: "notFound", "the pool has no such job", remedy: "pool_jobs(pool) lists them.")
    }

    /// The job that is meant by its id, or by its number.
    private func durableJob(_ control: Control) async throws(BridgeFailure) -> JobID {
        if let id = JobText.id(control.text("job")) { return id }
        guard let number = control.number("number").flatMap({ UInt32(exactly: $0) }) else {
            throw .usage("the request names no job", remedy: "A job has an id of 16 hexadecimal digits, and a number.")
        }
        guard case .jobs(let found) = try await ask(.job(.numbers([number...number]))), let job = found.first else { throw Self.noJob }
        return job.id
    }

    // MARK: Letting go

    /// Nobody will ask for the job again: what still runs of it is cancelled, and the server forgets it.
    func forget(_ job: BridgeJob) async throws(BridgeFailure) {
        guard job.isDurable else { return drop(job) }
        // One that cannot be read here goes on there.
        if !job.isOver || job.failure != nil {
            do throws(BridgeFailure) {
                _ = try await ask(.cancel(.id(job.id), tasks: [], kill: false))
            } catch {
                guard error.code == "notFound" else { throw error }
                // Somebody else was faster.
                jobs[job.id] = nil
                return
            }
            while !job.isOver {
                await sleep(on: job, outcomes: false, until: .never)
                if Task.isCancelled { throw .stopped }
            }
        }
        try await forgetOnServer(job)
        jobs[job.id] = nil
    }

    /// All its outcomes may be here before the server has seen its end.
    private func forgetOnServer(_ job: BridgeJob) async throws(BridgeFailure) {
        let deadline = Clock.now() + .seconds(BridgeLimits.forgetSeconds)
        while true {
            do throws(BridgeFailure) {
                if case .done(let count) = try await ask(.forget(.id(job.id))), count > 0 { return }
            } catch {
                if error.code == "notFound" { return }
                throw error
            }
            guard Clock.now() < deadline else {
                throw BridgeFailure(
                    code: "conflict", "the server keeps job \(JobText.show(job.id)): it has not ended there",
                    remedy: "Cancel it, wait for its end, and forget it again.")
            }
            await sleep(on: job, outcomes: true, until: Clock.now() + .milliseconds(BridgeLimits.forgetPauseMilliseconds))
            if Task.isCancelled { throw .stopped }
        }
    }

    /// R has one handle of the job less. After the last, a job of this session is cancelled; one that the server keeps goes on.
    func leave(_ job: BridgeJob) {
        job.holders -= 1
        guard job.holders <= 0 else { return }
        if job.isDurable { leaveIfOver(job) } else { drop(job) }
    }

    /// A job is read by this session until its end: what is on its way to one reading would be taken for a later one's.
    func leaveIfOver(_ job: BridgeJob) {
        if job.holders <= 0, job.handle.hasEnded, jobs[job.id] === job { jobs[job.id] = nil }
    }
}
