import NIOCore
package import RoostModel

extension Hello {
    package func encode(into writer: inout ProtobufWriter) {
        switch self {
        case .client(let hello): writer.nested(1) { hello.encode(into: &$0) }
        case .node(let hello): writer.nested(2) { hello.encode(into: &$0) }
        case .guardReport(let report): writer.nested(3) { report.encode(into: &$0) }
        }
    }

    static func decode(_ body: ByteBuffer) throws(RoostError) -> Hello {
        var reader = ProtobufReader(body)
        do throws(WireFault) {
            return try Hello(&reader)
        } catch {
            throw error.error(in: "hello")
        }
    }

    private init(_ reader: inout ProtobufReader) throws(WireFault) {
        var found: Hello?
        while let field = try reader.next() {
            switch field.number {
            case 1: found = .client(try reader.nested(field, ClientHello.init))
            case 2: found = .node(try reader.nested(field, NodeHello.init))
            case 3: found = .guardReport(try reader.nested(field, GuardReport.init))
            default: try reader.skip(field)
            }
        }
        guard let found else { throw .missing(field: 1) }
        self = found
    }
}

extension ClientHello {
    func encode(into writer: inout ProtobufWriter) {
        writer.fixed64(1, session.rawValue)
        writer.string(2, description.asName)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(session: SessionID(rawValue: 0))
        while let field = try reader.next() {
            switch field.number {
            case 1: session = SessionID(rawValue: try reader.fixed64(field))
            case 2: description = try reader.name(field)
            default: try reader.skip(field)
            }
        }
    }
}

extension GuardReport {
    func encode(into writer: inout ProtobufWriter) {
        writer.fixed64(1, node.rawValue)
        writer.fixed64(2, incarnation.rawValue)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(node: NodeID(rawValue: 0), incarnation: Incarnation(rawValue: 0))
        while let field = try reader.next() {
            switch field.number {
            case 1: node = NodeID(rawValue: try reader.fixed64(field))
            case 2: incarnation = Incarnation(rawValue: try reader.fixed64(field))
            default: try reader.skip(field)
            }
        }
    }
}

extension NodeHello {
    func encode(into writer: inout ProtobufWriter) {
        writer.fixed64(1, node.rawValue)
        writer.fixed64(2, incarnation.rawValue)
        writer.string(3, name.asName)
        writer.signed(4, processID)
        writer.nested(5) { offer.encode(into: &$0) }
        for label in labels { writer.nested(6) { label.encode(into: &$0) } }
        for runtime in runtimes { writer.stringElement(7, runtime.rawValue) }
        writer.string(8, platform.asName)
        writer.string(9, version.asName)
        for run in inventory { writer.nested(10) { run.encode(into: &$0) } }
        for held in setups { writer.nested(11) { held.encode(into: &$0) } }
        for held in seats { writer.nested(12) { held.encode(into: &$0) } }
        for contact in contacts { writer.nested(13) { contact.encode(into: &$0) } }
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(
            node: NodeID(rawValue: 0), incarnation: Incarnation(rawValue: 0), name: "", offer: Resources(),
            runtimes: [])
        while let field = try reader.next() {
            switch field.number {
            case 1: node = NodeID(rawValue: try reader.fixed64(field))
            case 2: incarnation = Incarnation(rawValue: try reader.fixed64(field))
            case 3: name = try reader.name(field)
            case 4: processID = try reader.signed(field)
            case 5: offer = try reader.nested(field, Resources.init)
            case 6:
                guard labels.count < Limits.labelsPerNode else { throw .tooLong(field: 6) }
                labels.append(try reader.nested(field, Label.init))
            case 7:
                guard runtimes.count < Limits.labelsPerNode else { throw .tooLong(field: 7) }
                runtimes.append(RuntimeName(rawValue: try reader.name(field)))
            case 8: platform = try reader.name(field)
            case 9: version = try reader.name(field)
            case 10: inventory.append(try reader.nested(field, InventoryRun.init))
            case 11: setups.append(try reader.nested(field, SetupHeld.init))
            case 12: seats.append(try reader.nested(field, SeatHeld.init))
            case 13:
                guard contacts.count < Limits.contactsPerNode else { throw .tooLong(field: 13) }
                contacts.append(try reader.nested(field, Contact.init))
            default: try reader.skip(field)
            }
        }
    }
}

extension Contact {
    func encode(into writer: inout ProtobufWriter) {
        writer.varint(1, epoch)
        writer.duration(2, time)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(epoch: 0, time: .zero)
        while let field = try reader.next() {
            switch field.number {
            case 1: epoch = try reader.unsigned(field)
            case 2: time = try reader.duration(field)
            default: try reader.skip(field)
            }
        }
    }
}

extension InventoryRun {
    func encode(into writer: inout ProtobufWriter) {
        writer.nested(1) { attempts.encode(into: &$0) }
        writer.varint(2, state.rawValue)
        writer.varint(3, confirmed)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(attempts: AttemptRun.none, state: .queued)
        while let field = try reader.next() {
            switch field.number {
            case 1: attempts = try reader.nested(field, AttemptRun.init)
            case 2: state = try reader.choice(field)
            case 3: confirmed = try reader.unsigned(field)
            default: try reader.skip(field)
            }
        }
    }
}

extension AttemptRun {
    static var none: AttemptRun {
        AttemptRun(job: JobID(rawValue: 0), epoch: 0, number: 0, tasks: TaskRange(first: 0, count: 0))
    }

    func encode(into writer: inout ProtobufWriter) {
        writer.jobID(1, job)
        writer.varint(2, epoch)
        writer.varint(3, number)
        writer.varint(4, tasks.first)
        writer.varint(5, tasks.count)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self = .none
        while let field = try reader.next() {
            if try !take(field, from: &reader) { try reader.skip(field) }
        }
        try check()
    }

    /// Reads one of the fields 1 to 5; false for others.
    mutating func take(_ field: ProtobufReader.Field, from reader: inout ProtobufReader) throws(WireFault) -> Bool {
        switch field.number {
        case 1: job = try reader.jobID(field)
        case 2: epoch = try reader.unsigned(field)
        case 3: number = try reader.unsigned(field)
        case 4: tasks.first = try reader.unsigned(field)
        case 5: tasks.count = try reader.unsigned(field)
        default: return false
        }
        return true
    }

    func check() throws(WireFault) {
        guard tasks.first <= Limits.tasksPerJob, tasks.count <= Limits.tasksPerJob - tasks.first else {
            throw .badValue(field: 5)
        }
    }
}

extension Welcome {
    func encode(version: UInt8, into writer: inout ProtobufWriter) {
        writer.fixed64(1, pool)
        writer.varint(2, epoch)
        writer.string(3, serverVersion.asName)
        writer.duration(4, heartbeat)
        writer.signed(5, unixNanoseconds)
        writer.varint(6, version)
    }

    /// The welcome, when its protocol version is one of ours.
    static func decode(_ body: ByteBuffer) throws(RoostError) -> Welcome {
        var reader = ProtobufReader(body)
        let welcome: Welcome
        let version: UInt8
        do throws(WireFault) {
            (welcome, version) = try decode(&reader)
        } catch {
            throw error.error(in: "welcome")
        }
        guard (WireVersion.lowest...WireVersion.highest).contains(version) else {
            throw RoostError(.protocolViolation, "the server chose protocol version \(version), which nobody offered")
        }
        return welcome
    }

    private static func decode(_ reader: inout ProtobufReader) throws(WireFault) -> (Welcome, UInt8) {
        var welcome = Welcome(pool: 0, epoch: 0, heartbeat: .zero)
        var version: UInt8 = 0
        while let field = try reader.next() {
            switch field.number {
            case 1: welcome.pool = try reader.fixed64(field)
            case 2: welcome.epoch = try reader.unsigned(field)
            case 3: welcome.serverVersion = try reader.name(field)
            case 4: welcome.heartbeat = try reader.duration(field)
            case 5: welcome.unixNanoseconds = try reader.signed(field)
            case 6: version = try reader.unsigned(field)
            default: try reader.skip(field)
            }
        }
        return (welcome, version)
    }
}

extension RoostError {
    func encode(into writer: inout ProtobufWriter) {
        writer.string(1, code.description)
        writer.string(2, message.prefixBytes(4096))
        writer.string(3, remedy.prefixBytes(4096))
        writer.string(4, cause.prefixBytes(4096))
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(.internal, "")
        while let field = try reader.next() {
            switch field.number {
            case 1: code = Code(name: try reader.name(field))
            case 2: message = try reader.string(field)
            case 3: remedy = try reader.string(field)
            case 4: cause = try reader.string(field)
            default: try reader.skip(field)
            }
        }
    }

    /// The reason in a refusal frame; when it cannot be read, that is the reason.
    static func received(_ body: inout ByteBuffer) -> RoostError {
        var reader = ProtobufReader(body)
        do throws(WireFault) {
            return try RoostError(&reader)
        } catch {
            return error.error(in: "refusal")
        }
    }
}

extension String {
    /// As much of the beginning as fits into `count` bytes, without cutting a character's bytes apart.
    func prefixBytes(_ count: Int) -> String {
        guard utf8.count > count else { return self }
        var end = utf8.index(utf8.startIndex, offsetBy: count)
        while end > utf8.startIndex, utf8[end] & 0xC0 == 0x80 { end = utf8.index(before: end) }
        return String(decoding: utf8[..<end], as: UTF8.self)
    }

    /// A name as its reader accepts it.
    var asName: String { prefixBytes(Limits.nameBytes) }
}
