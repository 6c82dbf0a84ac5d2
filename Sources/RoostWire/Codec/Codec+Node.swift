package import RoostModel

extension NodeToServer: WireMessage {
    package var number: MessageNumber {
        switch self {
        case .outcomes: .outcomes
        case .retracted: .retracted
        case .running: .running
        case .heartbeat: .nodeHeartbeat
        case .output: .nodeOutput
        case .condition: .nodeCondition
        case .draining: .draining
        case .goodbye: .nodeGoodbye
        }
    }

    package var lane: WireLane {
        switch self {
        case .outcomes(_, let batch): .job(batch.job)
        case .retracted(let job, _): .job(job)
        case .output(let chunk): .job(chunk.job)
        case .condition(let condition): .job(condition.job)
        case .running, .heartbeat, .draining: .urgent
        case .goodbye: .last
        }
    }

    package var payloadBytes: Int {
        switch self {
        case .outcomes(_, let batch): batch.payloads.bytes.count + batch.count
        case .output(let chunk): chunk.bytes.count
        case .condition(let condition): condition.bytes.count
        case .retracted, .running, .heartbeat, .draining, .goodbye: 0
        }
    }

    package func encode(into writer: inout ProtobufWriter) {
        switch self {
        case .outcomes(let sequence, let batch):
            batch.encode(into: &writer)
            writer.varint(16, sequence)
        case .retracted(let job, let attempts):
            writer.jobID(1, job)
            writer.attempts(2, attempts)
        case .running(let attempts): writer.attempts(1, attempts)
        case .heartbeat(let status): status.encode(into: &writer)
        case .output(let chunk): chunk.encode(into: &writer)
        case .condition(let condition): condition.encode(into: &writer)
        case .draining(let reason), .goodbye(let reason):
            writer.string(1, reason.prefixBytes(ProtobufReader.textBytes))
        }
    }

    package static func decode(
        _ number: MessageNumber, from reader: inout ProtobufReader
    ) throws(WireFault) -> NodeToServer? {
        switch number {
        case .outcomes:
            let (batch, sequence) = try OutcomeBatch.decode(&reader, numberField: 16)
            return .outcomes(sequence: sequence, batch)
        case .retracted:
            var job = JobID(rawValue: 0)
            var attempts: [AttemptRun] = []
            while let field = try reader.next() {
                switch field.number {
                case 1: job = try reader.jobID(field)
                case 2: attempts.append(try reader.nested(field, AttemptRun.init))
                default: try reader.skip(field)
                }
            }
            return .retracted(job: job, attempts)
        case .running: return .running(try reader.attempts().runs)
        case .nodeHeartbeat: return .heartbeat(try NodeStatus(&reader))
        case .nodeOutput: return .output(try OutputChunk(&reader))
        case .nodeCondition: return .condition(try TaskCondition(&reader))
        case .draining: return .draining(reason: try reader.text())
        case .nodeGoodbye: return .goodbye(reason: try reader.text())
        default: return nil
        }
    }
}

extension NodeStatus {
    func encode(into writer: inout ProtobufWriter) {
        writer.varint(1, queued)
        writer.varint(2, running)
        writer.varint(3, unacknowledged)
        writer.varint(4, milliLoad)
        for worker in workers { writer.nested(5) { worker.encode(into: &$0) } }
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init()
        while let field = try reader.next() {
            switch field.number {
            case 1: queued = try reader.unsigned(field)
            case 2: running = try reader.unsigned(field)
            case 3: unacknowledged = try reader.unsigned(field)
            case 4: milliLoad = try reader.unsigned(field)
            case 5:
                guard workers.count < Limits.workersPerNode else { throw .tooLong(field: 5) }
                workers.append(try reader.nested(field, WorkerSnapshot.init))
            default: try reader.skip(field)
            }
        }
    }
}

extension ServerToNode: WireMessage {
    package var number: MessageNumber {
        switch self {
        case .job: .job
        case .grant: .grant
        case .retract: .retract
        case .cancel: .cancel
        case .acknowledge: .acknowledgeOutcomes
        case .drop: .drop
        case .forget: .forget
        case .setup: .nodeSetup
        case .forgetSession: .forgetSession
        case .killWorker: .killWorker
        case .watch: .watchTasks
        case .drain: .drain
        case .shutDown: .shutDown
        case .heartbeat: .heartbeatInterval
        }
    }

    package var lane: WireLane {
        switch self {
        case .job(let spec): .job(spec.id)
        case .grant(let run): .job(run.attempts.job)
        case .retract(let job, _), .forget(let job), .watch(let job, _, _): .job(job)
        // They are about grants that may still be on their way.
        case .cancel(let attempts, _), .drop(let attempts): Self.lane(of: attempts)
        case .setup(let entry): .session(entry.session)
        case .forgetSession(let session): .session(session)
        case .acknowledge, .killWorker, .drain, .shutDown, .heartbeat: .urgent
        }
    }

    private static func lane(of attempts: [AttemptRun]) -> WireLane {
        guard let job = attempts.first?.job, attempts.allSatisfy({ $0.job == job }) else { return .last }
        return .job(job)
    }

    package var payloadBytes: Int {
        switch self {
        case .job(let spec): spec.common.count
        case .grant(let run): run.arguments.byteCount + run.arguments.count
        case .setup(let entry): entry.payload.count
        case .retract, .cancel, .acknowledge, .drop, .forget, .forgetSession, .watch, .killWorker, .drain, .shutDown,
            .heartbeat:
            0
        }
    }

    package func encode(into writer: inout ProtobufWriter) {
        switch self {
        case .job(let spec): spec.encode(into: &writer)
        case .grant(let run):
            run.attempts.encode(into: &writer)
            writer.payloads(lengths: 6, bytes: 7, run.arguments)
        case .retract(let job, let count):
            writer.jobID(1, job)
            writer.varint(2, count)
        case .cancel(let attempts, let kill):
            writer.attempts(1, attempts)
            writer.bool(2, kill)
        case .acknowledge(let sequences): writer.packed(1, sequences)
        case .drop(let attempts): writer.attempts(1, attempts)
        case .forget(let job): writer.jobID(1, job)
        case .setup(let entry): entry.encode(into: &writer)
        case .forgetSession(let session): writer.fixed64(1, session.rawValue)
        case .watch(let job, let task, let on): Watch(job: job, task: task, on: on).encode(into: &writer)
        case .killWorker(let processID, let signal):
            writer.signed(1, processID)
            writer.signed(2, signal)
        case .drain: break
        case .shutDown(let reason): writer.string(1, reason.prefixBytes(ProtobufReader.textBytes))
        case .heartbeat(let interval): writer.duration(1, interval)
        }
    }

    package static func decode(
        _ number: MessageNumber, from reader: inout ProtobufReader
    ) throws(WireFault) -> ServerToNode? {
        switch number {
        case .job: return .job(try JobSpec(&reader))
        case .grant: return .grant(try GrantRun(&reader))
        case .retract:
            let (job, count) = try reader.jobAndNumber()
            guard let count = UInt32(exactly: count) else { throw .badValue(field: 2) }
            return .retract(job: job, count: count)
        case .cancel:
            let (attempts, kill) = try reader.attempts()
            return .cancel(attempts: attempts, kill: kill)
        case .acknowledgeOutcomes:
            var sequences: [UInt64] = []
            while let field = try reader.next() {
                if field.number == 1 {
                    try reader.packed(field, into: &sequences)
                } else {
                    try reader.skip(field)
                }
            }
            return .acknowledge(sequences)
        case .drop: return .drop(try reader.attempts().runs)
        case .forget: return .forget(job: try reader.jobAndNumber().0)
        case .nodeSetup: return .setup(try SetupEntry(&reader))
        case .forgetSession: return .forgetSession(try SetupHeld(&reader).session)
        case .watchTasks:
            let watch = try Watch(&reader)
            return .watch(job: watch.job, task: watch.task, on: watch.on)
        case .killWorker:
            var (processID, signal): (Int32, Int32) = (0, 0)
            while let field = try reader.next() {
                switch field.number {
                case 1: processID = try reader.signed(field)
                case 2: signal = try reader.signed(field)
                default: try reader.skip(field)
                }
            }
            return .killWorker(processID: processID, signal: signal)
        case .drain:
            try reader.skipAll()
            return .drain
        case .shutDown: return .shutDown(reason: try reader.text())
        case .heartbeatInterval:
            var interval = Duration.zero
            while let field = try reader.next() {
                if field.number == 1 { interval = try reader.duration(field) } else { try reader.skip(field) }
            }
            return .heartbeat(interval: interval)
        default: return nil
        }
    }
}

extension GrantRun {
    init(_ reader: inout ProtobufReader) throws(WireFault) {
        var attempts = AttemptRun.none
        var bytes: [UInt8] = []
        var ends: [UInt32] = []
        while let field = try reader.next() {
            switch field.number {
            case 6: try reader.ends(field, into: &ends)
            case 7: bytes = try reader.bytes(field)
            default: if try !attempts.take(field, from: &reader) { try reader.skip(field) }
            }
        }
        try attempts.check()
        let payloads = try ProtobufReader.payloads(bytes, ends: ends)
        guard payloads.count == Int(attempts.tasks.count) else { throw .inconsistent }
        self.init(attempts: attempts, arguments: PayloadSlice(payloads))
    }
}

extension ProtobufWriter {
    mutating func attempts(_ field: Int, _ runs: [AttemptRun]) {
        for run in runs { nested(field) { run.encode(into: &$0) } }
    }
}

extension ProtobufReader {
    /// A message of attempts (1) and a yes or no (2).
    mutating func attempts() throws(WireFault) -> (runs: [AttemptRun], flag: Bool) {
        var runs: [AttemptRun] = []
        var flag = false
        while let field = try next() {
            switch field.number {
            case 1: runs.append(try nested(field, AttemptRun.init))
            case 2: flag = try bool(field)
            default: try skip(field)
            }
        }
        return (runs, flag)
    }
}
