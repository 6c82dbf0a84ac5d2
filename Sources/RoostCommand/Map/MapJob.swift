import Roost
import RoostModel
import RoostWire

/// The job of a `roost map`, from the session's thread.
final class MapJob {
    let handle: JobHandle
    private let inbox: MapInbox

    init(_ pool: MapPool, _ plan: MapPlan, inbox: MapInbox) throws(RoostError) {
        handle = try pool.startJob(plan)
        self.inbox = inbox
        if plan.detaches {
            announceWhenSubmitted()
        } else {
            listen(pool)
            if !pool.isHere { watchForWant(pool.pool) }
        }
    }

    /// Nothing is said of a job that waits behind others; of one that would wait for ever something is. Ends with the job.
    private func watchForWant(_ pool: Pool) {
        Task { [handle, inbox] in
            while (try? await Task.sleep(for: MapLimits.wantAfter)) != nil, !handle.hasEnded {
                guard handle.progress.granted == 0, let want = await pool.want(of: handle.id) else { continue }
                return inbox.post(.wanting(want))
            }
        }
    }

    /// Brings everything that happens to the job into the inbox.
    private func listen(_ pool: MapPool) {
        let watch = ProgressWatch(slots: pool.slots)
        handle.onProgress { [inbox] progress in for fact in watch.facts(progress) { inbox.post(fact) } }
        handle.onOutput { [inbox] chunk in
            if inbox.post(MapChunk(chunk)) == .crowded { pool.pauseOutput(true) }
        }
        handle.onOutcomes { [inbox] news in
            switch news {
            case .success(let batch): inbox.post(.ended(batch))
            case .failure(let error): inbox.post(.failed(MapError(error)))
            }
        }
    }

    /// `--detach`: the outcomes are for others; we wait until the server has all tasks on its disk.
    private func announceWhenSubmitted() {
        // What comes meanwhile stays there, too.
        handle.onOutcomes { [handle] news in if case .success(let batch) = news { handle.used(batch.count) } }
        Task { [handle, inbox] in
            do throws(RoostError) {
                let number = try await handle.number()
                try await handle.waitUntilSubmitted()
                inbox.post(.submitted(job: "\(number)", id: Hex.of(handle.id.rawValue)))
            } catch {
                inbox.post(.failed(MapError(error)))
            }
        }
    }

    /// Sends tasks, in chunks that the connection likes.
    func append(_ commands: [CommandArgument]) {
        var chunk = PayloadArray()
        for command in commands {
            chunk.append(command.payload)
            if chunk.count >= Limits.chunkTasks || chunk.bytes.count >= Limits.chunkBytes {
                handle.post(chunk)
                chunk = PayloadArray()
            }
        }
        handle.post(chunk)
    }

    func close() { handle.postClose() }

    /// The session has done with so many outcomes: the server may send more.
    func used(_ tasks: Int) { handle.used(tasks) }

    func cancel(kill: Bool) {
        Task { [handle, inbox] in
            do throws(RoostError) {
                try await handle.cancel(kill: kill)
            } catch {
                // A job that has ended meanwhile needs no cancelling.
                if error.code != .notFound { inbox.post(.failed(MapError(error))) }
            }
        }
    }
}

extension MapChunk {
    init(_ chunk: OutputChunk) {
        self.init(
            index: Int(chunk.task), attempt: Int(chunk.attempt), stream: chunk.stream,
            offset: Int(clamping: chunk.offset), bytes: chunk.bytes)
    }
}
