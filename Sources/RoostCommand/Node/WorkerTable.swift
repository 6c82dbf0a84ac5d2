package import RoostModel

/// The workers of a node that outlive their tasks, as `roost node show` has them.
package enum WorkerTable {
    /// Nothing when there are none.
    package static func text(_ workers: [WorkerSnapshot], jobs: [JobSnapshot], width: Int?) -> String {
        guard !workers.isEmpty else { return "" }
        let numbers = Dictionary(jobs.map { ($0.id, $0.number) }, uniquingKeysWith: { first, _ in first })
        var table = Table([
            .init("PID", .right), .init("STATE"), .init("SESSION"), .init("SEAT", .right), .init("TASK"), .init("SINCE", .right),
            .init("MEMORY", .right), .init("DONE", .right),
        ])
        for worker in workers {
            // As people name jobs: by number where the server knows the job.
            let task = worker.task.map { task in
                "\(numbers[task.job].map { "\($0)" } ?? short(task.job.rawValue)):\(task.index)"
            }
            table.add([
                "\(worker.processID)", worker.state.words,
                worker.session.rawValue == 0 ? "-" : short(worker.session.rawValue),
                worker.seat == 0 ? "-" : "\(worker.seat)", task ?? "-",
                DurationText.show(.seconds(worker.seconds)),
                worker.memoryBytes == 0 ? "-" : SizeText.show(Int64(clamping: worker.memoryBytes)), "\(worker.tasksDone)",
            ])
        }
        return "\n" + table.render(width: width)
    }

    /// The half of a long number that people are shown.
    private static func short(_ number: UInt64) -> String { String(Hex.of(number).prefix(8)) }
}

extension WorkerSnapshot.State {
    package var words: String {
        switch self {
        case .starting: "starting"
        case .idle: "idle"
        case .busy: "busy"
        case .ending: "ending"
        }
    }
}

extension WorkerSnapshot {
    func write(to json: inout JSONWriter) {
        json.object { json in
            json.member("pid", processID)
            json.member("state", state.words)
            json.key("session")
            if session.rawValue == 0 { json.null() } else { json.string(String(Hex.of(session.rawValue).prefix(8))) }
            json.member("seat", seat == 0 ? nil : seat)
            json.key("job")
            if let task { json.string(Hex.of(task.job.rawValue)) } else { json.null() }
            json.member("task", task?.index)
            json.member("since_seconds", seconds)
            json.member("memory_bytes", memoryBytes == 0 ? nil : memoryBytes)
            json.member("tasks_done", tasksDone)
        }
    }
}
