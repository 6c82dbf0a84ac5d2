import Roost
import RoostModel

/// Jobs that the server keeps: found again by any session, let go of without harm.
extension BridgeServer {
    /// Reads a job that the server keeps.
    func attach(_ control: Control) async throws(BridgeFailure) -> BridgeAnswer {
        let id = try await durableJob(control)
        if jobs[id] == nil {
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
        answer.control.set("number", job.number.map(Double.init))
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
        if !job.isOver {
            _ = try await ask(.cancel(.id(job.id), tasks: [], kill: false))
            while !job.isOver {
                await sleep(on: job, outcomes: false, until: .never)
                if Task.isCancelled { throw .stopped }
            }
        }
        jobs[job.id] = nil
        do throws(BridgeFailure) {
            _ = try await ask(.forget(.id(job.id)))
        } catch {
            // Somebody else was faster.
            if error.code != "notFound" { throw error }
        }
    }

    /// R has one handle of the job less. After the last, a job of this session is cancelled; one that the server keeps goes on.
    func leave(_ job: BridgeJob) {
        guard job.isDurable else { return drop(job) }
        job.holders -= 1
        leaveIfOver(job)
    }

    /// A job is read by this session until its end: what is on its way to one reading would be taken for a later one's.
    func leaveIfOver(_ job: BridgeJob) {
        if job.holders <= 0, job.handle.hasEnded, jobs[job.id] === job { jobs[job.id] = nil }
    }
}
