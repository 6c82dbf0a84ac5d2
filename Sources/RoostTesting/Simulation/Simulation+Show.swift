import RoostModel

extension Simulation {
    func show(_ job: JobID) -> String { history.job(job).map { "job \($0.ordinal)" } ?? "job ?" }

    func show(_ tasks: TaskRange) -> String { tasks.count == 1 ? "\(tasks.first)" : "\(tasks.first)..<\(tasks.end)" }

    private func show(_ run: AttemptRun) -> String {
        "\(show(run.job)) tasks \(show(run.tasks)) attempt \(run.epoch).\(run.number)"
    }

    private func show(_ runs: [AttemptRun]) -> String { runs.map { show($0) }.joined(separator: ", ") }

    func show(_ batch: OutcomeBatch) -> String {
        var parts: [String] = []
        var position = 0
        for run in batch.tasks {
            if batch.codes.isEmpty && batch.attempts.isEmpty {
                parts.append("\(show(run)) succeeded")
            } else {
                for task in run.first..<run.end {
                    let code = batch.code(at: position)
                    parts.append("\(task) \(code.kind)(\(code.end)) by \(batch.epoch).\(batch.attempt(at: position))")
                    position += 1
                }
                continue
            }
            position += Int(run.count)
        }
        return "\(show(batch.job)): " + parts.joined(separator: ", ")
    }

    /// One line about a message, for people.
    func show(_ packet: Packet, _ connection: SimulatedConnection, up: Bool) -> String {
        let way = up ? "\(connection.peer) ▸ server" : "server ▸ \(connection.peer)"
        return "[\(connection.id.rawValue)] \(way): \(show(packet))"
    }

    private func show(_ packet: Packet) -> String {
        switch packet {
        case .nodeHello(let hello):
            "hello, life \(hello.incarnation.rawValue), "
                + hello.inventory.map { "\($0.state) \(show($0.attempts))" }.joined(separator: ", ")
        case .clientHello: "hello"
        case .welcome(let welcome): "welcome, epoch \(welcome.epoch)"
        case .end: "end of connection"
        case .fromNode(let message): show(message)
        case .toNode(let message): show(message)
        case .fromClient(let message): show(message)
        case .toClient(let message): show(message)
        }
    }

    private func show(_ message: NodeToServer) -> String {
        switch message {
        case .outcomes(let sequence, let batch): "outcomes #\(sequence) of \(show(batch))"
        case .retracted(_, let runs): "gives back " + show(runs)
        case .running(let runs): "running " + show(runs)
        case .heartbeat: "heartbeat"
        case .output: "output"
        case .condition: "condition"
        case .draining: "draining"
        case .goodbye: "goodbye"
        }
    }

    private func show(_ message: ServerToNode) -> String {
        switch message {
        case .job(let spec): "\(show(spec.id)) is…"
        case .grant(let run): "grants " + show(run.attempts)
        case .retract(let job, let count): "retracts \(count) of \(show(job))"
        case .cancel(let runs, let kill): "cancels " + show(runs) + (kill ? " by KILL" : "")
        case .acknowledge(let sequences): "acknowledges \(sequences)"
        case .drop(let runs): "drop " + show(runs)
        case .forget(let job): "forget \(show(job))"
        case .watch(let job, _, let on): "watch \(show(job)) \(on)"
        case .setup(let entry): "setup \(entry.number) of session \(entry.session.rawValue)"
        case .forgetSession(let session): "forget session \(session.rawValue)"
        case .killWorker(let processID, let signal): "send signal \(signal) to worker \(processID)"
        case .drain: "drain"
        case .shutDown: "shut down"
        case .heartbeat: "heartbeat"
        }
    }

    private func show(_ message: ClientToServer) -> String {
        switch message {
        case .submit(let spec): "submits \(show(spec.id))"
        case .append(let chunk):
            "appends \(show(chunk.job)) \(chunk.first)..<\(Int(chunk.first) + chunk.arguments.count), finished \(chunk.finished.map { show($0) })"
        case .close(let job, let count): "closes \(show(job)) with \(count)"
        case .read(let request):
            "reads \(show(request.job)) \(request.order) after \(request.after), window \(request.window)"
        case .acknowledge(let job, let cursor): "acknowledges \(show(job)) up to \(cursor)"
        case .watch(let job, _, let on): "watch \(show(job)) \(on)"
        case .query(let id, let query): "query \(id) \(query)"
        case .setup(let entry): "setup \(entry.number)"
        case .heartbeat: "heartbeat"
        case .goodbye: "goodbye"
        }
    }

    private func show(_ message: ServerToClient) -> String {
        switch message {
        case .submitted(let job, let number, let tasks): "\(show(job)) is number \(number), has \(tasks) tasks"
        case .appended(let job, let tasks): "\(show(job)) has \(tasks) tasks"
        case .outcomes(let delivery): "delivers up to \(delivery.cursor) " + show(delivery.batch)
        case .progress(let progress): "progress of \(show(progress.job)): \(progress.done) of \(progress.tasks)"
        case .ended(let progress): "\(show(progress.job)) has ended"
        case .refused(let job, let error): "refuses \(show(job)): \(error.message)"
        case .reply(let id, _): "reply \(id)"
        case .output: "output"
        case .condition: "condition"
        case .setupHeld(let held, _): "has \(held.count) setup entries"
        case .heartbeat: "heartbeat"
        }
    }
}
