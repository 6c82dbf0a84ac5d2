import RoostModel

extension BridgeServer {
    /// Does what a request asks for.
    func perform(_ sequence: UInt64, _ frame: BridgeFrame) async throws(BridgeFailure) -> BridgeAnswer {
        let control = frame.control
        switch control.text("op") {
        case "open": return try await openSession(control)
        case "submit": return try await submit(frame).answer
        case "run":
            let (job, answer) = try await submit(frame)
            let announced = Clock.now() + .milliseconds(BridgeLimits.announceMilliseconds)
            return try await collect(job, control, sequence, onto: answer, announced: announced)
        case "append": return try await append(frame)
        case "collect": return try await collect(job(control), control, sequence, onto: BridgeAnswer())
        case "next": return try await next(job(control), control, sequence)
        case "status": return try await status(job(control))
        case "wait": return try await wait(job(control), control, sequence)
        case "cancel": return try await cancel(control)
        case "forget":
            try await forget(job(control))
            return BridgeAnswer()
        case "leave":
            try leave(job(control))
            return BridgeAnswer()
        case "setup": return try await addSetup(frame)
        case "jobs": return try await listJobs()
        case "attach": return try await attach(control)
        case "nodes": return try await listNodes()
        case "workers": return try await listWorkers()
        case "kill_worker": return try await killWorker(control)
        case "drain": return try await changeNode(control) { .drainNode(name: $0) }
        case "kill_node": return try await changeNode(control) { .killNode(name: $0) }
        case "stop":
            guard let number = control.number("seq"), let request = UInt64(exactly: number), request != sequence else {
                throw .usage("'stop' names a request by its seq")
            }
            stop(request)
            return BridgeAnswer()
        case "bye", "ping": return BridgeAnswer()
        case .some(let other):
            throw .usage("the bridge knows no request '\(other)'", remedy: "Use the R package and the roost program of the same version.")
        case nil: throw .usage("a request says in 'op' what it wants")
        }
    }

    /// The job that a request names; it has all that was appended to it.
    func job(_ control: Control) throws(BridgeFailure) -> BridgeJob {
        let job = try findJob(control)
        handOver(job)
        return job
    }

    func findJob(_ control: Control) throws(BridgeFailure) -> BridgeJob {
        if let number = control.number("brief") {
            guard let id = Int(exactly: number).flatMap({ briefJobs[$0] }), let job = jobs[id] else {
                throw BridgeFailure(code: "notFound", "this session has no open job number \(number)")
            }
            return job
        }
        guard let id = JobText.id(control.text("job")) else { throw .usage("the request names no job") }
        guard let job = jobs[id] else {
            throw BridgeFailure(
                code: "notFound", "this session has no job \(JobText.show(id))", remedy: "It may have been forgotten; attach to it.")
        }
        return job
    }
}

/// Job ids as R has them: 16 hexadecimal digits.
enum JobText {
    static func show(_ id: JobID) -> String {
        let digits = String(id.rawValue, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    static func id(_ text: String?) -> JobID? {
        guard let text, text.utf8.count <= 16, let number = UInt64(text, radix: 16) else { return nil }
        return JobID(rawValue: number)
    }
}
