package import RoostModel

extension ClientToServer: WireMessage {
    package var number: MessageNumber {
        switch self {
        case .submit: .submit
        case .append: .append
        case .close: .close
        case .read: .read
        case .acknowledge: .acknowledge
        case .watch: .watch
        case .query: .query
        case .setup: .setup
        case .heartbeat: .clientHeartbeat
        case .goodbye: .clientGoodbye
        }
    }

    package var lane: WireLane {
        switch self {
        case .submit(let spec): .job(spec.id)
        case .append(let tasks): .job(tasks.job)
        case .close(let job, _), .watch(let job, _, _): .job(job)
        case .read(let request): .job(request.job)
        // A query may be about anything that was sent before it.
        case .query, .goodbye: .last
        case .setup(let entry): .session(entry.session)
        case .acknowledge, .heartbeat: .urgent
        }
    }

    package var payloadBytes: Int {
        switch self {
        case .submit(let spec): spec.common.count
        case .append(let tasks): tasks.arguments.byteCount + tasks.arguments.count
        case .setup(let entry): entry.payload.count
        case .close, .read, .acknowledge, .watch, .query, .heartbeat, .goodbye: 0
        }
    }

    package func encode(into writer: inout ProtobufWriter) {
        switch self {
        case .submit(let spec): spec.encode(into: &writer)
        case .append(let tasks): tasks.encode(into: &writer)
        case .close(let job, let count):
            writer.jobID(1, job)
            writer.varint(2, count)
        case .read(let request): request.encode(into: &writer)
        case .acknowledge(let job, let cursor):
            writer.jobID(1, job)
            writer.varint(2, cursor)
        case .watch(let job, let task, let on): Watch(job: job, task: task, on: on).encode(into: &writer)
        case .query(let id, let query):
            writer.varint(1, id)
            query.encode(into: &writer)
        case .setup(let entry): entry.encode(into: &writer)
        case .heartbeat, .goodbye: break
        }
    }

    package static func decode(
        _ number: MessageNumber, from reader: inout ProtobufReader
    ) throws(WireFault) -> ClientToServer? {
        switch number {
        case .submit: return .submit(try JobSpec(&reader))
        case .append: return .append(try AppendTasks(&reader))
        case .close:
            let (job, count) = try reader.jobAndNumber()
            guard let count = UInt32(exactly: count) else { throw .badValue(field: 2) }
            return .close(job: job, count: count)
        case .read: return .read(try ReadRequest(&reader))
        case .acknowledge:
            let (job, cursor) = try reader.jobAndNumber()
            return .acknowledge(job: job, cursor: cursor)
        case .watch:
            let watch = try Watch(&reader)
            return .watch(job: watch.job, task: watch.task, on: watch.on)
        case .query:
            let (id, query) = try Query.decode(&reader)
            return .query(id: id, query)
        case .setup: return .setup(try SetupEntry(&reader))
        case .clientHeartbeat:
            try reader.skipAll()
            return .heartbeat
        case .clientGoodbye:
            try reader.skipAll()
            return .goodbye
        default: return nil
        }
    }
}

extension AppendTasks {
    func encode(into writer: inout ProtobufWriter) {
        writer.jobID(1, job)
        writer.varint(2, first)
        writer.payloads(lengths: 3, bytes: 4, arguments)
        writer.ranges(5, finished)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(job: JobID(rawValue: 0), first: 0, arguments: PayloadSlice(PayloadArray()))
        var bytes: [UInt8] = []
        var ends: [UInt32] = []
        while let field = try reader.next() {
            switch field.number {
            case 1: job = try reader.jobID(field)
            case 2: first = try reader.unsigned(field)
            case 3: try reader.ends(field, into: &ends)
            case 4: bytes = try reader.bytes(field)
            case 5: try reader.ranges(field, into: &finished)
            default: try reader.skip(field)
            }
        }
        arguments = PayloadSlice(try ProtobufReader.payloads(bytes, ends: ends))
        guard first <= Limits.tasksPerJob, arguments.count <= Int(Limits.tasksPerJob - first) else {
            throw .badValue(field: 2)
        }
    }
}

extension ReadRequest {
    func encode(into writer: inout ProtobufWriter) {
        writer.jobID(1, job)
        writer.varint(2, order.rawValue)
        writer.varint(3, after)
        writer.varint(4, window)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(job: JobID(rawValue: 0), order: .asCompleted, after: 0, window: 0)
        while let field = try reader.next() {
            switch field.number {
            case 1: job = try reader.jobID(field)
            case 2: order = try reader.choice(field)
            case 3: after = try reader.varint(field)
            case 4: window = try reader.unsigned(field)
            default: try reader.skip(field)
            }
        }
    }
}

/// The body of both messages that ask for running tasks' output.
struct Watch {
    var job: JobID
    var task: TaskIndex?
    var on: Bool

    init(job: JobID, task: TaskIndex?, on: Bool) {
        self.job = job
        self.task = task
        self.on = on
    }

    func encode(into writer: inout ProtobufWriter) {
        writer.jobID(1, job)
        writer.optional(2, task)
        writer.bool(3, on)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(job: JobID(rawValue: 0), task: nil, on: false)
        while let field = try reader.next() {
            switch field.number {
            case 1: job = try reader.jobID(field)
            case 2: task = try reader.unsigned(field, as: TaskIndex.self)
            case 3: on = try reader.bool(field)
            default: try reader.skip(field)
            }
        }
    }
}

extension ProtobufReader {
    /// A message of a job (1) and a number (2).
    mutating func jobAndNumber() throws(WireFault) -> (JobID, UInt64) {
        var job = JobID(rawValue: 0)
        var number: UInt64 = 0
        while let field = try next() {
            switch field.number {
            case 1: job = try jobID(field)
            case 2: number = try varint(field)
            default: try skip(field)
            }
        }
        return (job, number)
    }

    /// A message of one string (1).
    mutating func text() throws(WireFault) -> String {
        var text = ""
        while let field = try next() {
            if field.number == 1 { text = try string(field) } else { try skip(field) }
        }
        return text
    }

    /// A message without fields, to this version.
    mutating func skipAll() throws(WireFault) {
        while let field = try next() { try skip(field) }
    }
}

extension ServerToClient: WireMessage {
    package var number: MessageNumber {
        switch self {
        case .submitted: .submitted
        case .appended: .appended
        case .outcomes: .delivery
        case .progress: .progress
        case .ended: .ended
        case .refused: .refused
        case .reply: .reply
        case .output: .output
        case .condition: .condition
        case .setupHeld: .setupHeld
        case .heartbeat: .serverHeartbeat
        }
    }

    package var lane: WireLane {
        switch self {
        case .submitted(let job, _, _), .appended(let job, _), .refused(let job, _): .job(job)
        case .outcomes(let delivery): .job(delivery.batch.job)
        case .progress(let progress), .ended(let progress): .job(progress.job)
        case .output(let chunk): .job(chunk.job)
        case .condition(let condition): .job(condition.job)
        // Whoever asks about one job may conclude from the answer that what was sent before has come.
        case .reply(_, .jobs(let jobs)) where jobs.count == 1: .job(jobs[0].id)
        case .reply, .setupHeld, .heartbeat: .urgent
        }
    }

    package var payloadBytes: Int {
        switch self {
        case .outcomes(let delivery): delivery.batch.payloads.bytes.count + delivery.batch.count
        case .output(let chunk): chunk.bytes.count
        case .condition(let condition): condition.bytes.count
        case .submitted, .appended, .progress, .ended, .refused, .reply, .setupHeld, .heartbeat: 0
        }
    }

    package func encode(into writer: inout ProtobufWriter) {
        switch self {
        case .submitted(let job, let number, let tasks):
            writer.jobID(1, job)
            writer.varint(2, number)
            writer.varint(3, tasks)
        case .appended(let job, let tasks):
            writer.jobID(1, job)
            writer.varint(2, tasks)
        case .outcomes(let delivery):
            delivery.batch.encode(into: &writer)
            writer.varint(15, delivery.cursor)
        case .progress(let progress), .ended(let progress): progress.encode(into: &writer)
        case .refused(let job, let error):
            writer.jobID(1, job)
            writer.nested(2) { error.encode(into: &$0) }
        case .reply(let id, let reply):
            writer.varint(1, id)
            reply.encode(into: &writer)
        case .output(let chunk): chunk.encode(into: &writer)
        case .condition(let condition): condition.encode(into: &writer)
        case .setupHeld(let held, let error):
            held.encode(into: &writer)
            if let error { writer.nested(4) { error.encode(into: &$0) } }
        case .heartbeat: break
        }
    }

    package static func decode(
        _ number: MessageNumber, from reader: inout ProtobufReader
    ) throws(WireFault) -> ServerToClient? {
        switch number {
        case .submitted: return try submitted(&reader)
        case .appended:
            let (job, tasks) = try reader.jobAndNumber()
            guard let tasks = UInt32(exactly: tasks) else { throw .badValue(field: 2) }
            return .appended(job: job, tasks: tasks)
        case .delivery:
            let (batch, cursor) = try OutcomeBatch.decode(&reader, numberField: 15)
            return .outcomes(OutcomeDelivery(cursor: cursor, batch: batch))
        case .progress: return .progress(try JobProgress(&reader))
        case .ended: return .ended(try JobProgress(&reader))
        case .refused: return try refused(&reader)
        case .reply:
            let (id, reply) = try Reply.decode(&reader)
            return .reply(id: id, reply)
        case .output: return .output(try OutputChunk(&reader))
        case .condition: return .condition(try TaskCondition(&reader))
        case .setupHeld:
            let (held, error) = try SetupHeld.decodeWithError(&reader)
            return .setupHeld(held, error)
        case .serverHeartbeat:
            try reader.skipAll()
            return .heartbeat
        default: return nil
        }
    }

    private static func submitted(_ reader: inout ProtobufReader) throws(WireFault) -> ServerToClient {
        var job = JobID(rawValue: 0)
        var (number, tasks): (UInt32, UInt32) = (0, 0)
        while let field = try reader.next() {
            switch field.number {
            case 1: job = try reader.jobID(field)
            case 2: number = try reader.unsigned(field)
            case 3: tasks = try reader.unsigned(field)
            default: try reader.skip(field)
            }
        }
        return .submitted(job: job, number: number, tasks: tasks)
    }

    private static func refused(_ reader: inout ProtobufReader) throws(WireFault) -> ServerToClient {
        var job = JobID(rawValue: 0)
        var error = RoostError(.internal, "")
        while let field = try reader.next() {
            switch field.number {
            case 1: job = try reader.jobID(field)
            case 2: error = try reader.nested(field, RoostError.init)
            default: try reader.skip(field)
            }
        }
        return .refused(job: job, error)
    }
}

extension JobProgress {
    func encode(into writer: inout ProtobufWriter) {
        writer.jobID(1, job)
        writer.varint(2, tasks)
        writer.bool(3, isClosed)
        writer.varint(4, succeeded)
        writer.varint(5, failed)
        writer.varint(6, cancelled)
        writer.varint(7, held)
        writer.varint(8, granted)
        writer.varint(9, attempts)
        writer.varint(10, retried)
        writer.varint(11, lost)
        writer.varint(12, late)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(job: JobID(rawValue: 0))
        while let field = try reader.next() {
            switch field.number {
            case 1: job = try reader.jobID(field)
            case 2: tasks = try reader.unsigned(field)
            case 3: isClosed = try reader.bool(field)
            case 4: succeeded = try reader.unsigned(field)
            case 5: failed = try reader.unsigned(field)
            case 6: cancelled = try reader.unsigned(field)
            case 7: held = try reader.unsigned(field)
            case 8: granted = try reader.unsigned(field)
            case 9: attempts = try reader.varint(field)
            case 10: retried = try reader.unsigned(field)
            case 11: lost = try reader.unsigned(field)
            case 12: late = try reader.unsigned(field)
            default: try reader.skip(field)
            }
        }
        // The four add up to what is done, and must do so in 32 bits.
        guard UInt64(succeeded) + UInt64(failed) + UInt64(cancelled) + UInt64(held) <= UInt64(UInt32.max) else {
            throw .badValue(field: 4)
        }
    }
}
