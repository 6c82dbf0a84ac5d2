import Roost
import RoostModel

extension JSONWriter {
    /// An object; `body` writes its members.
    mutating func object(_ body: (inout JSONWriter) -> Void) {
        beginObject()
        body(&self)
        endObject()
    }

    mutating func member(_ name: String, _ value: String) { key(name); string(value) }
    mutating func member(_ name: String, _ value: some BinaryInteger) { key(name); number(Int(clamping: value)) }
    mutating func member(_ name: String, _ value: Double) { key(name); number(value) }
    mutating func member(_ name: String, _ value: Bool) { key(name); bool(value) }

    mutating func member(_ name: String, _ value: (some BinaryInteger)?) {
        key(name)
        if let value { number(Int(clamping: value)) } else { null() }
    }

    /// The document as printed: with a line end.
    static func document(_ body: (inout JSONWriter) -> Void) -> [UInt8] {
        var writer = JSONWriter()
        body(&writer)
        writer.newline()
        return writer.bytes
    }
}

extension PoolSnapshot {
    func json(_ address: PoolAddress) -> [UInt8] {
        JSONWriter.document { json in
            json.object { json in
                json.member("url", "\(address)")
                json.member("pool", Hex.of(pool))
                json.member("epoch", epoch)
                json.member("version", version)
                json.member("uptime_seconds", uptimeSeconds)
                json.member("clients", clients)
                json.key("counters")
                json.object { json in
                    json.member("granted", counters.granted)
                    json.member("finished", counters.finished)
                    json.member("late", counters.late)
                    json.member("retracted", counters.retracted)
                    json.member("nodes_lost", counters.nodesLost)
                }
                json.key("nodes")
                json.beginArray()
                for node in nodes { node.write(to: &json) }
                json.endArray()
                json.key("jobs")
                json.beginArray()
                for job in jobs { job.write(to: &json) }
                json.endArray()
            }
        }
    }
}

extension NodeSnapshot {
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("id", Hex.of(id.rawValue))
            json.member("name", name)
            json.member("state", state.words)
            json.member("pid", processID)
            json.member("peer", peer)
            json.member("platform", platform)
            json.member("version", version)
            json.member("cpus", Double(offer.milliCPUs) / 1000)
            json.member("memory_bytes", offer.memoryBytes)
            json.member("gpus", Double(offer.milliGPUs) / 1000)
            json.key("resources")
            json.object { json in
                for amount in offer.named { json.member(amount.name, Double(amount.milliAmount) / 1000) }
            }
            json.key("labels")
            json.object { json in for label in labels { json.member(label.key, label.value) } }
            json.member("granted", granted)
            json.member("queued", status.queued)
            json.member("running", status.running)
            json.member("unacknowledged", status.unacknowledged)
            json.member("load", Double(status.milliLoad) / 1000)
            json.member("finished", finished)
            json.member("connected_seconds", connectedSeconds)
            json.member("silent_seconds", silentSeconds)
            json.key("workers")
            json.beginArray()
            for worker in status.workers { worker.write(to: &json) }
            json.endArray()
        }
    }
}

extension NodeSnapshot.State {
    var words: String {
        switch self {
        case .connected: "connected"
        case .suspect: "suspect"
        case .draining: "draining"
        case .lost: "lost"
        }
    }
}

extension JobSnapshot {
    /// In a word: where the job stands.
    var state: String {
        if progress.isEnded {
            return isCancelled ? "cancelled" : progress.failed + progress.held + progress.cancelled > 0 ? "failed" : "done"
        }
        if isCancelled { return "cancelling" }
        return progress.granted > 0 ? "running" : progress.isClosed ? "waiting" : "open"
    }

    /// In a word: what keeps it safe.
    var kind: String { retention == .durable ? "durable" : "attached" }

    func write(to json: inout JSONWriter, withTroubles: Bool = false) {
        json.object { json in
            json.member("job", number)
            json.member("id", Hex.of(id.rawValue))
            json.member("name", name)
            json.member("user", user)
            json.member("runtime", runtime.rawValue)
            json.member("durable", retention == .durable)
            json.member("priority", priority)
            json.member("state", state)
            json.member("cancelled_by_request", isCancelled)
            progress.writeMembers(to: &json)
            json.member("age_seconds", ageSeconds)
            json.key("mean_task_seconds")
            if let meanTaskSeconds { json.number(meanTaskSeconds) } else { json.null() }
            guard withTroubles else { return }
            json.key("troubles")
            json.beginArray()
            for trouble in troubles {
                json.object { json in
                    json.member("task", trouble.task)
                    json.member("outcome", trouble.code.kind.words)
                    json.member("end", trouble.code.end.words)
                    json.key("post_mortem")
                    if let postMortem = trouble.postMortem { postMortem.write(to: &json) } else { json.null() }
                }
            }
            json.endArray()
        }
    }
}

extension JobProgress {
    func writeMembers(to json: inout JSONWriter) {
        json.member("tasks", tasks)
        json.member("closed", isClosed)
        json.member("ended", isEnded)
        json.member("succeeded", succeeded)
        json.member("failed", failed)
        json.member("cancelled", cancelled)
        json.member("held", held)
        json.member("granted", granted)
        json.member("attempts", attempts)
        json.member("retried", retried)
        json.member("lost", lost)
        json.member("late", late)
    }
}

extension PostMortem {
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("reason", reason)
            json.member("node", node)
            json.member("attempt", attempt)
            json.member("signal", signal)
            json.member("exit_status", exitStatus)
            json.member("peak_memory_bytes", peakMemoryBytes)
            json.key("out_of_memory_killed")
            if let outOfMemoryKilled { json.bool(outOfMemoryKilled) } else { json.null() }
            json.member("last_output", lastOutput)
        }
    }
}

extension OutcomeKind {
    var words: String {
        switch self {
        case .succeeded: "succeeded"
        case .failed: "failed"
        case .cancelled: "cancelled"
        case .held: "held"
        }
    }
}

extension AttemptEnd {
    var words: String {
        switch self {
        case .succeeded: "succeeded"
        case .failed: "failed"
        case .crashed: "crashed"
        case .timedOut: "timed out"
        case .memoryExceeded: "memory exceeded"
        case .couldNotStart: "could not start"
        case .cancelled: "cancelled"
        case .reclaimed: "reclaimed"
        case .nodeLost: "node lost"
        case .neverRan: "never ran"
        }
    }
}
