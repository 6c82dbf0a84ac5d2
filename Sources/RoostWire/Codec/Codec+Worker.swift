import RoostModel

extension WorkerSnapshot {
    func encode(into writer: inout ProtobufWriter) {
        writer.signed(1, processID)
        writer.fixed64(2, session.rawValue)
        writer.varint(3, seat)
        writer.varint(4, state.rawValue)
        if let task {
            writer.jobID(5, task.job)
            writer.optional(6, task.index)
        }
        writer.double(7, seconds)
        writer.varint(8, memoryBytes)
        writer.varint(9, tasksDone)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(processID: 0, state: .starting)
        var job = JobID(rawValue: 0)
        var index: TaskIndex?
        while let field = try reader.next() {
            switch field.number {
            case 1: processID = try reader.signed(field)
            case 2: session = SessionID(rawValue: try reader.fixed64(field))
            case 3: seat = try reader.unsigned(field)
            case 4: state = try reader.choice(field)
            case 5: job = try reader.jobID(field)
            case 6: index = try reader.unsigned(field, as: TaskIndex.self)
            case 7: seconds = try reader.double(field)
            case 8: memoryBytes = try reader.varint(field)
            case 9: tasksDone = try reader.varint(field)
            default: try reader.skip(field)
            }
        }
        task = index.map { TaskID(job: job, index: $0) }
    }
}
