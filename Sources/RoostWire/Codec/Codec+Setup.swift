import RoostModel

extension SetupEntry {
    func encode(into writer: inout ProtobufWriter) {
        writer.fixed64(1, session.rawValue)
        writer.varint(2, number)
        writer.blob(3, payload[...])
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(session: SessionID(rawValue: 0), number: 0, payload: [])
        while let field = try reader.next() {
            switch field.number {
            case 1: session = SessionID(rawValue: try reader.fixed64(field))
            case 2: number = try reader.unsigned(field)
            case 3: payload = try reader.bytes(field)
            default: try reader.skip(field)
            }
        }
    }
}

extension SetupHeld {
    func encode(into writer: inout ProtobufWriter) {
        writer.fixed64(1, session.rawValue)
        writer.varint(2, count)
        writer.varint(3, epoch)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(session: SessionID(rawValue: 0), count: 0)
        while let field = try reader.next() {
            if try !take(field, from: &reader) { try reader.skip(field) }
        }
    }

    /// Reads one of the fields 1 to 3; false for others.
    mutating func take(_ field: ProtobufReader.Field, from reader: inout ProtobufReader) throws(WireFault) -> Bool {
        switch field.number {
        case 1: session = SessionID(rawValue: try reader.fixed64(field))
        case 2: count = try reader.unsigned(field)
        case 3: epoch = try reader.unsigned(field)
        default: return false
        }
        return true
    }

    /// With the reason why there will be no more (4).
    static func decodeWithError(_ reader: inout ProtobufReader) throws(WireFault) -> (SetupHeld, RoostError?) {
        var held = SetupHeld(session: SessionID(rawValue: 0), count: 0)
        var error: RoostError?
        while let field = try reader.next() {
            if try held.take(field, from: &reader) { continue }
            if field.number == 4 { error = try reader.nested(field, RoostError.init) } else { try reader.skip(field) }
        }
        return (held, error)
    }
}

extension SeatHeld {
    func encode(into writer: inout ProtobufWriter) {
        writer.fixed64(1, seat.session.rawValue)
        writer.varint(2, seat.number)
        writer.varint(3, epoch)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(seat: SeatID(session: SessionID(rawValue: 0), number: 0), epoch: 0)
        while let field = try reader.next() {
            switch field.number {
            case 1: seat.session = SessionID(rawValue: try reader.fixed64(field))
            case 2: seat.number = try reader.unsigned(field)
            case 3: epoch = try reader.unsigned(field)
            default: try reader.skip(field)
            }
        }
    }
}

extension TaskCondition {
    func encode(into writer: inout ProtobufWriter) {
        writer.jobID(1, job)
        writer.varint(2, task)
        writer.varint(3, attempt)
        writer.blob(4, bytes[...])
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(job: JobID(rawValue: 0), task: 0, attempt: 0, bytes: [])
        while let field = try reader.next() {
            switch field.number {
            case 1: job = try reader.jobID(field)
            case 2: task = try reader.unsigned(field)
            case 3: attempt = try reader.unsigned(field)
            case 4: bytes = try reader.bytes(field)
            default: try reader.skip(field)
            }
        }
    }
}
