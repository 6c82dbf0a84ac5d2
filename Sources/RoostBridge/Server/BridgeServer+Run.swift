import NIOCore
import RSerialization
import RoostModel

/// A `run` whose job may be over at once.
struct BriefRun {
    var request: UInt64
    var control: Control
    /// What R is told of the job with its outcomes.
    var answer: BridgeAnswer
    /// When it has taken too long for that.
    var due: Scheduled<Void>
}

/// Small jobs that are over at once: R's request is answered by whoever brings the last outcome, and no Swift task is made
/// for it. One that takes longer gets its Swift task then.
///
///     run ─▶ job ── all outcomes ─────────────────────▶ answer
///             └──── 20 ms ──▶ Swift task: collect ────▶ answer
extension BridgeServer {
    /// - Returns: false when the request is none of a small job.
    func runAtOnce(_ sequence: UInt64, _ frame: BridgeFrame) -> Bool {
        guard frame.control.text("op") == "run", frame.parts.count == 2, frame.parts[0].count <= BridgeLimits.inlineBytes else {
            return false
        }
        do throws(BridgeFailure) {
            let seed = try RandomSeed(frame.control)
            let (job, answer) = try open(frame, seed, try Self.cutterHere(frame.parts[0], seed: seed?.next))
            beginWaiting(job, sequence)
            let id = job.id
            let due = loop.scheduleTask(in: .milliseconds(BridgeLimits.announceMilliseconds)) {
                self.assumeIsolated { $0.goOn(id) }
            }
            job.madeBy = sequence
            job.run = BriefRun(request: sequence, control: frame.control, answer: answer, due: due)
            if job.isOver { finishRun(job) }
        } catch {
            finish(sequence, .failure(error))
        }
        return true
    }

    /// The job is over: so is its request, if it still waits here.
    func finishRun(_ job: BridgeJob) {
        guard let run = job.run else { return }
        guard job.failure == nil, job.outcomes.areFew else { return goOn(job.id) }
        end(run, of: job)
        var answer = run.answer
        do throws(RSerializationError) {
            let joined = try job.outcomes.joined(names: job.names, nativeEncoding: job.nativeEncoding)
            // As in `collect`.
            write(joined, inControl: !run.control.objects.isEmpty, into: &answer)
        } catch {
            // An error names no job: nobody could ask for it again.
            drop(job)
            return finish(run.request, .failure(Self.noObjects(error)))
        }
        if run.control.flag("forget") ?? false { drop(job) }
        finish(run.request, .success(answer))
    }

    /// R waits for the request no longer, and nobody else knows the job that it made.
    func dropJob(madeBy request: UInt64) {
        guard let job = jobs.values.first(where: { $0.madeBy == request }) else { return }
        if let run = job.run { end(run, of: job) }
        drop(job)
    }

    /// It takes longer, or has more to say.
    private func goOn(_ id: JobID) {
        guard let job = jobs[id], let run = job.run else { return }
        end(run, of: job)
        // Ends with its answer; `stop` and the end of the session cancel it.
        requests[run.request] = Task {
            do throws(BridgeFailure) {
                let answer = try await collect(job, run.control, run.request, onto: run.answer, announced: Clock.now())
                finish(run.request, .success(answer))
            } catch {
                finish(run.request, .failure(error))
            }
        }
    }

    private func end(_ run: BriefRun, of job: BridgeJob) {
        run.due.cancel()
        job.run = nil
        if job.waitingRequest == run.request { job.waitingRequest = nil }
    }
}
