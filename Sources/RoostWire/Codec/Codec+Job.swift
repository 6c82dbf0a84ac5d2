import RoostModel

extension JobSpec {
    func encode(into writer: inout ProtobufWriter) {
        writer.jobID(1, id)
        writer.string(2, name.asName)
        writer.string(3, runtime.rawValue)
        writer.blob(4, common[...])
        writer.nested(5) { request.encode(into: &$0) }
        for label in labels { writer.nested(6) { label.encode(into: &$0) } }
        writer.nested(7) { policy.encode(into: &$0) }
        writer.varint(8, retention.rawValue)
        writer.bool(9, streamsOutput)
        writer.fixed64(10, session.rawValue)
        writer.varint(11, setup)
        writer.varint(12, seat)
        writer.varint(13, seatEpoch)
        writer.varint(14, firstEpoch)
        writer.bytes(15, annotation)
        writer.bool(16, streamsConditions)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(id: JobID(rawValue: 0), runtime: RuntimeName(rawValue: ""), request: Resources())
        policy = JobPolicy.zero
        while let field = try reader.next() {
            switch field.number {
            case 1: id = try reader.jobID(field)
            case 2: name = try reader.name(field)
            case 3: runtime = RuntimeName(rawValue: try reader.name(field))
            case 4: common = try reader.bytes(field)
            case 5: request = try reader.nested(field, Resources.init)
            case 6:
                guard labels.count < Limits.labelsPerNode else { throw .tooLong(field: 6) }
                labels.append(try reader.nested(field, Label.init))
            case 7: policy = try reader.nested(field, JobPolicy.init)
            case 8: retention = try reader.choice(field)
            case 9: streamsOutput = try reader.bool(field)
            case 10: session = SessionID(rawValue: try reader.fixed64(field))
            case 11: setup = try reader.unsigned(field)
            case 12: seat = try reader.unsigned(field)
            case 13: seatEpoch = try reader.unsigned(field)
            case 14: firstEpoch = try reader.unsigned(field)
            case 15: annotation = try reader.bytes(field, most: Limits.annotationBytes)
            case 16: streamsConditions = try reader.bool(field)
            default: try reader.skip(field)
            }
        }
    }
}

extension JobPolicy {
    /// Every number 0: what fields that are not there mean.
    static var zero: JobPolicy {
        var policy = JobPolicy()
        policy.retries = 0
        policy.crashLimit = 0
        policy.nodeLossLimit = 0
        policy.lease = .zero
        policy.killGrace = .zero
        return policy
    }

    func encode(into writer: inout ProtobufWriter) {
        writer.varint(1, retries)
        writer.varint(2, crashLimit)
        writer.varint(3, nodeLossLimit)
        writer.optionalDuration(4, timeout)
        writer.optional(5, maxParallel)
        if let halt { writer.nested(6) { halt.encode(into: &$0) } }
        writer.signed(7, priority)
        writer.duration(8, lease)
        writer.duration(9, killGrace)
        writer.bool(10, isStrict)
        writer.optionalDuration(11, keep)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self = .zero
        while let field = try reader.next() {
            switch field.number {
            case 1: retries = try reader.unsigned(field)
            case 2: crashLimit = try reader.unsigned(field)
            case 3: nodeLossLimit = try reader.unsigned(field)
            case 4: timeout = try reader.duration(field)
            case 5: maxParallel = try reader.unsigned(field, as: UInt32.self)
            case 6: halt = try reader.nested(field, HaltRule.init)
            case 7: priority = try reader.signed(field)
            case 8: lease = try reader.duration(field)
            case 9: killGrace = try reader.duration(field)
            case 10: isStrict = try reader.bool(field)
            case 11: keep = try reader.duration(field)
            default: try reader.skip(field)
            }
        }
    }
}

extension HaltRule {
    func encode(into writer: inout ProtobufWriter) {
        writer.varint(1, urgency.rawValue)
        writer.varint(2, condition.rawValue)
        switch threshold {
        case .count(let count): writer.optional(3, count)
        case .percent(let percent): writer.optional(4, percent)
        }
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        var urgency = Urgency.soon
        var condition = Condition.failed
        var threshold: Threshold?
        while let field = try reader.next() {
            switch field.number {
            case 1: urgency = try reader.choice(field)
            case 2: condition = try reader.choice(field)
            case 3: threshold = .count(try reader.unsigned(field))
            case 4: threshold = .percent(try reader.unsigned(field))
            default: try reader.skip(field)
            }
        }
        guard let threshold else { throw .missing(field: 3) }
        self.init(urgency: urgency, condition: condition, threshold: threshold)
    }
}

extension Resources {
    /// No machine has more of anything; sums of many stay far from overflow.

    func encode(into writer: inout ProtobufWriter) {
        writer.signed(1, milliCPUs)
        writer.signed(2, memoryBytes)
        writer.signed(3, milliGPUs)
        for amount in named {
            writer.nested(4) {
                $0.string(1, amount.name)
                $0.signed(2, amount.milliAmount)
            }
        }
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        var (cpus, memory, gpus): (Int64, Int64, Int64) = (0, 0, 0)
        var named: [NamedAmount] = []
        while let field = try reader.next() {
            switch field.number {
            case 1: cpus = try Self.amount(field, &reader)
            case 2: memory = try Self.amount(field, &reader)
            case 3: gpus = try Self.amount(field, &reader)
            case 4:
                guard named.count < Limits.namedResources else { throw .tooLong(field: 4) }
                named.append(try reader.nested(field, Self.namedAmount))
            default: try reader.skip(field)
            }
        }
        self.init(milliCPUs: cpus, memoryBytes: memory, milliGPUs: gpus, named: named)
    }

    private static func namedAmount(_ reader: inout ProtobufReader) throws(WireFault) -> NamedAmount {
        var amount = NamedAmount(name: "", milliAmount: 0)
        while let field = try reader.next() {
            switch field.number {
            case 1: amount.name = try reader.name(field)
            case 2: amount.milliAmount = try Self.amount(field, &reader)
            default: try reader.skip(field)
            }
        }
        return amount
    }

    private static func amount(
        _ field: ProtobufReader.Field, _ reader: inout ProtobufReader
    ) throws(WireFault) -> Int64 {
        let amount: Int64 = try reader.signed(field)
        guard (0...mostAmount).contains(amount) else { throw .badValue(field: field.number) }
        return amount
    }
}

extension Label {
    func encode(into writer: inout ProtobufWriter) {
        writer.string(1, key)
        writer.string(2, value)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(key: "", value: "")
        while let field = try reader.next() {
            switch field.number {
            case 1: key = try reader.name(field)
            case 2: value = try reader.name(field)
            default: try reader.skip(field)
            }
        }
    }
}
