import RoostModel

/// Queries: the id is field 1, each kind of query one of the fields 2 to 15.
extension Query {
    func encode(into writer: inout ProtobufWriter) {
        switch self {
        case .pool: writer.nested(2) { _ in }
        case .jobs: writer.nested(3) { _ in }
        case .job(let selector): writer.nested(4) { selector.encode(into: &$0) }
        case .explain(let selector, let task):
            writer.nested(5) {
                $0.nested(1) { selector.encode(into: &$0) }
                $0.optional(2, task)
            }
        case .cancel(let selector, let tasks, let kill):
            writer.nested(6) { Selection(selector: selector, tasks: tasks, flag: kill).encode(into: &$0) }
        case .retry(let selector, let tasks, let held):
            writer.nested(7) { Selection(selector: selector, tasks: tasks, flag: held).encode(into: &$0) }
        case .forget(let selector): writer.nested(8) { selector.encode(into: &$0) }
        case .drainNode(let name): writer.stringElement(9, name)
        case .killNode(let name): writer.stringElement(10, name)
        case .createToken(let role, let user, let lifetime, let weight):
            writer.nested(11) {
                $0.varint(1, role.rawValue)
                $0.string(2, user)
                $0.optionalDuration(3, lifetime)
                $0.varint(4, weight)
            }
        case .listTokens: writer.nested(12) { _ in }
        case .revokeToken(let name): writer.stringElement(13, name)
        case .stopServer: writer.nested(14) { _ in }
        case .killWorker(let node, let processID, let signal):
            writer.nested(15) {
                $0.string(1, node.asName)
                $0.signed(2, processID)
                $0.signed(3, signal)
            }
        }
    }

    static func decode(_ reader: inout ProtobufReader) throws(WireFault) -> (UInt64, Query) {
        var id: UInt64 = 0
        var query: Query?
        while let field = try reader.next() {
            switch field.number {
            case 1: id = try reader.varint(field)
            case 2: query = try reader.empty(field, .pool)
            case 3: query = try reader.empty(field, .jobs)
            case 4: query = .job(try reader.nested(field, JobSelector.init))
            case 5: query = try reader.nested(field, explain)
            case 6:
                let selection = try reader.nested(field, Selection.init)
                query = .cancel(selection.selector, tasks: selection.tasks, kill: selection.flag)
            case 7:
                let selection = try reader.nested(field, Selection.init)
                query = .retry(selection.selector, tasks: selection.tasks, held: selection.flag)
            case 8: query = .forget(try reader.nested(field, JobSelector.init))
            case 9: query = .drainNode(name: try reader.name(field))
            case 10: query = .killNode(name: try reader.name(field))
            case 11: query = try reader.nested(field, createToken)
            case 12: query = try reader.empty(field, .listTokens)
            case 13: query = .revokeToken(name: try reader.name(field))
            case 14: query = try reader.empty(field, .stopServer)
            case 15: query = try reader.nested(field, killWorker)
            default: try reader.skip(field)
            }
        }
        guard let query else { throw .missing(field: 2) }
        return (id, query)
    }

    private static func explain(_ reader: inout ProtobufReader) throws(WireFault) -> Query {
        var selector = JobSelector.last
        var task: TaskIndex?
        while let field = try reader.next() {
            switch field.number {
            case 1: selector = try reader.nested(field, JobSelector.init)
            case 2: task = try reader.unsigned(field, as: TaskIndex.self)
            default: try reader.skip(field)
            }
        }
        return .explain(selector, task: task)
    }

    private static func killWorker(_ reader: inout ProtobufReader) throws(WireFault) -> Query {
        var node = ""
        var (processID, signal): (Int32, Int32) = (0, 0)
        while let field = try reader.next() {
            switch field.number {
            case 1: node = try reader.name(field)
            case 2: processID = try reader.signed(field)
            case 3: signal = try reader.signed(field)
            default: try reader.skip(field)
            }
        }
        return .killWorker(node: node, processID: processID, signal: signal)
    }

    private static func createToken(_ reader: inout ProtobufReader) throws(WireFault) -> Query {
        var role = Role.node
        var user = ""
        var lifetime: Duration?
        var weight: UInt32 = 0
        while let field = try reader.next() {
            switch field.number {
            case 1: role = try reader.choice(field)
            case 2: user = try reader.name(field)
            case 3: lifetime = try reader.duration(field)
            case 4: weight = try reader.unsigned(field)
            default: try reader.skip(field)
            }
        }
        return .createToken(role: role, user: user, lifetime: lifetime, weight: max(weight, 1))
    }
}

/// Some tasks of some jobs, and a yes or no: what a cancel and a retry have in common.
private struct Selection {
    var selector = JobSelector.last
    var tasks: [TaskRange] = []
    var flag = false

    init(selector: JobSelector, tasks: [TaskRange], flag: Bool) {
        self.selector = selector
        self.tasks = tasks
        self.flag = flag
    }

    func encode(into writer: inout ProtobufWriter) {
        writer.nested(1) { selector.encode(into: &$0) }
        writer.ranges(2, tasks)
        writer.bool(3, flag)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        var hasSelector = false
        while let field = try reader.next() {
            switch field.number {
            case 1:
                selector = try reader.nested(field, JobSelector.init)
                hasSelector = true
            case 2: try reader.ranges(field, into: &tasks)
            case 3: flag = try reader.bool(field)
            default: try reader.skip(field)
            }
        }
        // What is not said must not become "the last job": this cancels.
        guard hasSelector else { throw .missing(field: 1) }
    }
}

extension JobSelector {
    func encode(into writer: inout ProtobufWriter) {
        switch self {
        case .id(let job): writer.presentFixed64(1, job.rawValue)
        case .numbers(let ranges): writer.packed(2, ranges.flatMap { [$0.lowerBound, $0.upperBound] })
        case .last: writer.bool(3, true)
        case .all: writer.bool(4, true)
        }
    }

    /// No numbers at all select nothing.
    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self = .numbers([])
        while let field = try reader.next() {
            switch field.number {
            case 1: self = .id(try reader.jobID(field))
            case 2:
                var bounds: [UInt32] = []
                try reader.packed(field, into: &bounds)
                guard bounds.count % 2 == 0 else { throw .inconsistent }
                var ranges: [ClosedRange<UInt32>] = []
                for position in stride(from: 0, to: bounds.count, by: 2) {
                    guard bounds[position] <= bounds[position + 1] else { throw .badValue(field: 2) }
                    ranges.append(bounds[position]...bounds[position + 1])
                }
                self = .numbers(ranges)
            case 3: if try reader.bool(field) { self = .last }
            case 4: if try reader.bool(field) { self = .all }
            default: try reader.skip(field)
            }
        }
    }
}

extension ProtobufReader {
    /// A nested message without fields, to this version; its presence says it all.
    mutating func empty<Value>(_ field: Field, _ value: Value) throws(WireFault) -> Value {
        try skip(field)
        return value
    }
}
