import RoostModel

/// Outcomes travel as they are kept: a structure of arrays.
extension OutcomeBatch {
    /// The fields 1 to 10; a delivery adds its cursor as field 15, a node its sequence number as field 16.
    func encode(into writer: inout ProtobufWriter) {
        writer.jobID(1, job)
        writer.varint(2, epoch)
        writer.string(3, node.asName)
        writer.ranges(4, tasks)
        writer.packed(5, attempts)
        writer.bytes(6, codes.map(\.rawValue))
        writer.payloads(lengths: 7, bytes: 8, PayloadSlice(payloads))
        for item in postMortems { writer.nested(9) { item.encode(into: &$0) } }
        writer.varint(10, runNanoseconds)
    }

    /// A batch and the number that came with it in `numberField`.
    static func decode(
        _ reader: inout ProtobufReader, numberField: Int
    ) throws(WireFault) -> (batch: OutcomeBatch, number: UInt64) {
        var batch = OutcomeBatch(job: JobID(rawValue: 0), epoch: 0)
        var number: UInt64 = 0
        var parts = Parts()
        while let field = try reader.next() {
            if field.number == numberField {
                number = try reader.unsigned(field)
            } else if try !batch.take(field, from: &reader, &parts) {
                try reader.skip(field)
            }
        }
        batch.payloads = try ProtobufReader.payloads(parts.bytes, ends: parts.ends)
        guard batch.isConsistent else { throw .inconsistent }
        return (batch, number)
    }

    /// What of the payloads was read so far.
    struct Parts {
        var bytes: [UInt8] = []
        var ends: [UInt32] = []
    }

    /// Reads one of the fields 1 to 10; false for others.
    mutating func take(
        _ field: ProtobufReader.Field, from reader: inout ProtobufReader, _ parts: inout Parts
    ) throws(WireFault) -> Bool {
        switch field.number {
        case 1: job = try reader.jobID(field)
        case 2: epoch = try reader.unsigned(field)
        case 3: node = try reader.name(field)
        case 4: try reader.ranges(field, into: &tasks)
        case 5: try reader.packed(field, into: &attempts)
        case 6: codes = try Self.codes(field, &reader)
        case 7: try reader.ends(field, into: &parts.ends)
        case 8: parts.bytes = try reader.bytes(field)
        case 9: postMortems.append(try reader.nested(field, PositionedPostMortem.init))
        case 10: runNanoseconds = try reader.unsigned(field)
        default: return false
        }
        return true
    }

    private static func codes(
        _ field: ProtobufReader.Field, _ reader: inout ProtobufReader
    ) throws(WireFault) -> [OutcomeCode] {
        let bytes = try reader.bytes(field)
        var codes: [OutcomeCode] = []
        codes.reserveCapacity(bytes.count)
        for byte in bytes {
            guard let code = OutcomeCode(rawValue: byte) else { throw .badValue(field: field.number) }
            codes.append(code)
        }
        return codes
    }
}

extension OutcomeBatch.PositionedPostMortem {
    func encode(into writer: inout ProtobufWriter) {
        writer.varint(1, position)
        writer.nested(2) { postMortem.encode(into: &$0) }
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(position: 0, postMortem: PostMortem(reason: ""))
        while let field = try reader.next() {
            switch field.number {
            case 1: position = try reader.unsigned(field)
            case 2: postMortem = try reader.nested(field, PostMortem.init)
            default: try reader.skip(field)
            }
        }
    }
}

extension PostMortem {
    func encode(into writer: inout ProtobufWriter) {
        writer.string(1, reason.prefixBytes(ProtobufReader.textBytes))
        writer.string(2, node.asName)
        writer.varint(3, attempt)
        writer.optionalSigned(4, signal)
        writer.optionalSigned(5, exitStatus)
        writer.optional(6, peakMemoryBytes)
        writer.optional(7, outOfMemoryKilled.map { $0 ? 1 as UInt8 : 0 })
        writer.string(8, lastOutput.prefixBytes(ProtobufReader.textBytes))
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(reason: "")
        while let field = try reader.next() {
            switch field.number {
            case 1: reason = try reader.string(field)
            case 2: node = try reader.name(field)
            case 3: attempt = try reader.unsigned(field)
            case 4: signal = try reader.signed(field, as: Int32.self)
            case 5: exitStatus = try reader.signed(field, as: Int32.self)
            case 6: peakMemoryBytes = try reader.varint(field)
            case 7: outOfMemoryKilled = try reader.bool(field)
            case 8: lastOutput = try reader.string(field)
            default: try reader.skip(field)
            }
        }
    }
}

extension OutputChunk {
    func encode(into writer: inout ProtobufWriter) {
        writer.jobID(1, job)
        writer.varint(2, task)
        writer.varint(3, attempt)
        writer.varint(4, stream.rawValue)
        writer.varint(5, offset)
        writer.blob(6, bytes[...])
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(job: JobID(rawValue: 0), task: 0, attempt: 0, stream: .stdout, offset: 0, bytes: [])
        while let field = try reader.next() {
            switch field.number {
            case 1: job = try reader.jobID(field)
            case 2: task = try reader.unsigned(field)
            case 3: attempt = try reader.unsigned(field)
            case 4: stream = try reader.choice(field)
            case 5: offset = try reader.varint(field)
            case 6: bytes = try reader.bytes(field)
            default: try reader.skip(field)
            }
        }
    }
}
