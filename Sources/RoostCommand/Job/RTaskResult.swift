import RSerialization
import RoostModel

/// What a task of R came to, for people and their programs: value, conditions, output.
struct RTaskResult {
    /// nil: the task has none, since it failed.
    private let value: ArraySlice<UInt8>?
    private let details: RValue?
    var hasValue: Bool { value != nil }
    /// What it printed.
    let output: [UInt8]

    /// Nil when the payload is none of R: the task never ran, or its worker died.
    init?(_ payload: ArraySlice<UInt8>) {
        guard let outcome = RTaskPayload.Outcome(payload) else { return nil }
        value = outcome.value.map { payload[$0] }
        details = outcome.details.flatMap { try? RValue(item: payload[$0]) }
        output = outcome.output.map { Array(payload[$0]) } ?? Array((details?["output"]?.text ?? "").utf8)
    }

    func write(to json: inout JSONWriter) {
        json.key("value")
        if let value {
            do throws(RSerializationError) {
                json.raw(try RObject(item: value).json())
            } catch {
                json.null()
                json.member("unreadable", "\(error)")
            }
        } else {
            json.null()
        }
        json.key("error")
        if let error = details?["error"], error.count > 0 {
            Self.write(error, traceback: details?["calls"], to: &json)
        } else {
            json.null()
        }
        for kind in ["warnings", "messages"] {
            json.key(kind)
            json.beginArray()
            if case .list(let conditions)? = details?[kind] {
                for condition in conditions.elements { Self.write(condition, to: &json) }
            }
            json.endArray()
        }
        json.key("stdout")
        json.string(output)
    }

    private static func write(_ condition: RValue, traceback: RValue? = nil, to json: inout JSONWriter) {
        json.object { json in
            json.key("class")
            json.beginArray()
            for name in condition.classNames { json.string(name) }
            json.endArray()
            json.member("message", condition["message"]?.text ?? "")
            json.key("call")
            if let call = condition["call"], call.count > 0 { json.string(call.callText) } else { json.null() }
            guard case .string(let calls)? = traceback else { return }
            json.key("traceback")
            json.beginArray()
            for call in calls.elements { json.string(call.text ?? "NA") }
            json.endArray()
        }
    }

    /// As R itself would have shown it, but for the value.
    func show(task: Int) {
        Terminal.print(output)
        guard let error = details?["error"], error.count > 0 else { return }
        let call = error["call"].flatMap { $0.count == 0 ? nil : " in \($0.callText)" } ?? ""
        Terminal.printError(Array("task \(task): Error\(call): \(error["message"]?.text ?? "")\n".utf8))
    }
}

extension RValue {
    /// The first string.
    fileprivate var text: String? {
        if case .string(let strings) = self { strings.elements.first?.text } else { nil }
    }
}
