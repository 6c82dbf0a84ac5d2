import RoostModel

extension MapSession {
    /// A task's end as one line of JSON (`--output json`).
    func json(_ outcome: MapOutcome, _ task: Pending) -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.key("task")
        json.number(task.sequence)
        json.key("inputs")
        json.beginArray()
        for value in task.values { json.string(value) }
        json.endArray()
        json.key("command")
        json.string(commandLine(task.sequence, task.values, slot: outcome.slot))
        json.key("outcome")
        json.string("\(outcome.kind)")
        json.key("reason")
        json.string(outcome.reason)
        json.key("node")
        json.string(outcome.host)
        json.key("attempt")
        json.number(outcome.attempt)
        json.key("start")
        json.number(outcome.startSeconds)
        json.key("seconds")
        json.number(outcome.runSeconds)
        json.key("exit_status")
        json.number(Int(outcome.exitStatus))
        json.key("signal")
        json.number(Int(outcome.signal))
        json.key("stdout")
        json.string(outcome.stdout.head + outcome.stdout.tail)
        json.key("stderr")
        json.string(outcome.stderr.head + outcome.stderr.tail)
        json.key("omitted_bytes")
        json.number(Int(outcome.stdout.omittedBytes + outcome.stderr.omittedBytes))
        json.endObject()
        json.newline()
        return json.bytes
    }
}
