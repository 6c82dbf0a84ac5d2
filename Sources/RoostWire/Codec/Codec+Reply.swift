import RoostModel

/// Replies: the id is field 1, each kind of reply one of the fields 2 to 8.
extension Reply {
    func encode(into writer: inout ProtobufWriter) {
        switch self {
        case .pool(let snapshot): writer.nested(2) { snapshot.encode(into: &$0) }
        case .jobs(let jobs):
            writer.nested(3) { writer in
                for job in jobs { writer.nested(1) { job.encode(into: &$0) } }
            }
        case .explanation(let nodes):
            writer.nested(4) { writer in
                for node in nodes { writer.nested(1) { node.encode(into: &$0) } }
            }
        case .tokens(let tokens):
            writer.nested(5) { writer in
                for token in tokens { writer.nested(1) { token.encode(into: &$0) } }
            }
        case .token(let text): writer.stringElement(6, text)
        case .done(let count): writer.nested(7) { $0.varint(1, count) }
        case .failed(let error): writer.nested(8) { error.encode(into: &$0) }
        }
    }

    static func decode(_ reader: inout ProtobufReader) throws(WireFault) -> (UInt64, Reply) {
        var id: UInt64 = 0
        var reply: Reply?
        while let field = try reader.next() {
            switch field.number {
            case 1: id = try reader.varint(field)
            case 2: reply = .pool(try reader.nested(field, PoolSnapshot.init))
            case 3: reply = .jobs(try reader.nestedList(field, JobSnapshot.init))
            case 4: reply = .explanation(try reader.nestedList(field, ExplainedNode.init))
            case 5: reply = .tokens(try reader.nestedList(field, TokenSnapshot.init))
            case 6: reply = .token(try reader.string(field))
            case 7: reply = .done(count: try reader.nested(field, count))
            case 8: reply = .failed(try reader.nested(field, RoostError.init))
            default: try reader.skip(field)
            }
        }
        guard let reply else { throw .missing(field: 2) }
        return (id, reply)
    }

    private static func count(_ reader: inout ProtobufReader) throws(WireFault) -> UInt32 {
        var count: UInt32 = 0
        while let field = try reader.next() {
            if field.number == 1 { count = try reader.unsigned(field) } else { try reader.skip(field) }
        }
        return count
    }
}

extension ProtobufReader {
    /// A nested message of one repeated message (1).
    mutating func nestedList<Element>(
        _ field: Field, _ element: (inout ProtobufReader) throws(WireFault) -> Element
    ) throws(WireFault) -> [Element] {
        try nested(field) { (reader: inout ProtobufReader) throws(WireFault) in try reader.list(element) }
    }

    /// A message of one repeated message (1).
    private mutating func list<Element>(
        _ element: (inout ProtobufReader) throws(WireFault) -> Element
    ) throws(WireFault) -> [Element] {
        var elements: [Element] = []
        while let field = try next() {
            if field.number == 1 { elements.append(try nested(field, element)) } else { try skip(field) }
        }
        return elements
    }
}

extension PoolSnapshot {
    func encode(into writer: inout ProtobufWriter) {
        writer.fixed64(1, pool)
        writer.varint(2, epoch)
        writer.string(3, version.asName)
        writer.double(4, uptimeSeconds)
        writer.varint(5, clients)
        for node in nodes { writer.nested(6) { node.encode(into: &$0) } }
        for job in jobs { writer.nested(7) { job.encode(into: &$0) } }
        writer.nested(8) { counters.encode(into: &$0) }
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(
            pool: 0, epoch: 0, version: "", uptimeSeconds: 0, clients: 0, nodes: [], jobs: [], counters: PoolCounters())
        while let field = try reader.next() {
            switch field.number {
            case 1: pool = try reader.fixed64(field)
            case 2: epoch = try reader.unsigned(field)
            case 3: version = try reader.name(field)
            case 4: uptimeSeconds = try reader.double(field)
            case 5: clients = try reader.unsigned(field)
            case 6: nodes.append(try reader.nested(field, NodeSnapshot.init))
            case 7: jobs.append(try reader.nested(field, JobSnapshot.init))
            case 8: counters = try reader.nested(field, PoolCounters.init)
            default: try reader.skip(field)
            }
        }
    }
}

extension PoolCounters {
    func encode(into writer: inout ProtobufWriter) {
        writer.varint(1, granted)
        writer.varint(2, finished)
        writer.varint(3, late)
        writer.varint(4, retracted)
        writer.varint(5, nodesLost)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init()
        while let field = try reader.next() {
            switch field.number {
            case 1: granted = try reader.varint(field)
            case 2: finished = try reader.varint(field)
            case 3: late = try reader.varint(field)
            case 4: retracted = try reader.varint(field)
            case 5: nodesLost = try reader.varint(field)
            default: try reader.skip(field)
            }
        }
    }
}

extension NodeSnapshot {
    func encode(into writer: inout ProtobufWriter) {
        writer.fixed64(1, id.rawValue)
        writer.string(2, name.asName)
        writer.varint(3, state.rawValue)
        writer.signed(4, processID)
        writer.string(5, peer.asName)
        writer.string(6, platform.asName)
        writer.string(7, version.asName)
        writer.nested(8) { offer.encode(into: &$0) }
        for label in labels { writer.nested(9) { label.encode(into: &$0) } }
        writer.varint(10, granted)
        writer.nested(11) { status.encode(into: &$0) }
        writer.varint(12, finished)
        writer.double(13, connectedSeconds)
        writer.double(14, silentSeconds)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(
            id: NodeID(rawValue: 0), name: "", state: .connected, processID: 0, peer: "", platform: "", version: "",
            offer: Resources(), labels: [], granted: 0, status: NodeStatus(), finished: 0, connectedSeconds: 0,
            silentSeconds: 0)
        while let field = try reader.next() {
            switch field.number {
            case 1: id = NodeID(rawValue: try reader.fixed64(field))
            case 2: name = try reader.name(field)
            case 3: state = try reader.choice(field)
            case 4: processID = try reader.signed(field)
            case 5: peer = try reader.name(field)
            case 6: platform = try reader.name(field)
            case 7: version = try reader.name(field)
            case 8: offer = try reader.nested(field, Resources.init)
            case 9:
                guard labels.count < Limits.labelsPerNode else { throw .tooLong(field: 9) }
                labels.append(try reader.nested(field, Label.init))
            case 10: granted = try reader.unsigned(field)
            case 11: status = try reader.nested(field, NodeStatus.init)
            case 12: finished = try reader.varint(field)
            case 13: connectedSeconds = try reader.double(field)
            case 14: silentSeconds = try reader.double(field)
            default: try reader.skip(field)
            }
        }
    }
}

extension JobSnapshot {
    func encode(into writer: inout ProtobufWriter) {
        writer.jobID(1, id)
        writer.varint(2, number)
        writer.string(3, name.asName)
        writer.string(4, user.asName)
        writer.string(5, runtime.rawValue)
        writer.varint(6, retention.rawValue)
        writer.signed(7, priority)
        writer.nested(8) { progress.encode(into: &$0) }
        writer.bool(9, isCancelled)
        writer.double(10, ageSeconds)
        if let meanTaskSeconds { writer.presentFixed64(11, meanTaskSeconds.bitPattern) }
        for trouble in troubles { writer.nested(12) { trouble.encode(into: &$0) } }
        writer.bytes(13, annotation)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(
            id: JobID(rawValue: 0), number: 0, name: "", user: "", runtime: RuntimeName(rawValue: ""),
            retention: .attached, priority: 0, progress: JobProgress(job: JobID(rawValue: 0)), isCancelled: false,
            ageSeconds: 0, meanTaskSeconds: nil)
        while let field = try reader.next() {
            switch field.number {
            case 1: id = try reader.jobID(field)
            case 2: number = try reader.unsigned(field)
            case 3: name = try reader.name(field)
            case 4: user = try reader.name(field)
            case 5: runtime = RuntimeName(rawValue: try reader.name(field))
            case 6: retention = try reader.choice(field)
            case 7: priority = try reader.signed(field)
            case 8: progress = try reader.nested(field, JobProgress.init)
            case 9: isCancelled = try reader.bool(field)
            case 10: ageSeconds = try reader.double(field)
            case 11: meanTaskSeconds = try reader.double(field)
            case 12: troubles.append(try reader.nested(field, Trouble.init))
            case 13: annotation = try reader.bytes(field, most: Limits.annotationBytes)
            default: try reader.skip(field)
            }
        }
    }
}

extension JobSnapshot.Trouble {
    func encode(into writer: inout ProtobufWriter) {
        writer.varint(1, task)
        writer.varint(2, code.rawValue)
        if let postMortem { writer.nested(3) { postMortem.encode(into: &$0) } }
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(task: 0, code: .succeeded, postMortem: nil)
        while let field = try reader.next() {
            switch field.number {
            case 1: task = try reader.unsigned(field)
            case 2: code = try reader.choice(field)
            case 3: postMortem = try reader.nested(field, PostMortem.init)
            default: try reader.skip(field)
            }
        }
    }
}

extension ExplainedNode {
    func encode(into writer: inout ProtobufWriter) {
        writer.string(1, node.asName)
        writer.bool(2, canRun)
        writer.string(3, reason.prefixBytes(ProtobufReader.textBytes))
        writer.bool(4, isUnfit)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(node: "", canRun: false, reason: "")
        while let field = try reader.next() {
            switch field.number {
            case 1: node = try reader.name(field)
            case 2: canRun = try reader.bool(field)
            case 3: reason = try reader.string(field)
            case 4: isUnfit = try reader.bool(field)
            default: try reader.skip(field)
            }
        }
    }
}

extension TokenSnapshot {
    func encode(into writer: inout ProtobufWriter) {
        writer.string(1, id)
        writer.varint(2, role.rawValue)
        writer.string(3, user.asName)
        writer.signed(4, created)
        writer.optionalSigned(5, expires)
        writer.bool(6, isRevoked)
        writer.varint(7, weight)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(id: "", role: .node, user: "", created: 0, expires: nil, isRevoked: false)
        while let field = try reader.next() {
            switch field.number {
            case 1: id = try reader.name(field)
            case 2: role = try reader.choice(field)
            case 3: user = try reader.name(field)
            case 4: created = try reader.signed(field)
            case 5: expires = try reader.signed(field, as: Int64.self)
            case 6: isRevoked = try reader.bool(field)
            case 7: weight = try reader.unsigned(field)
            default: try reader.skip(field)
            }
        }
    }
}
