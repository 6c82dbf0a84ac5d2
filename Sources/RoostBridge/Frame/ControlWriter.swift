import RSerialization

/// Writes the control of a frame to R: a named list, element by element.
package struct ControlWriter {
    private var joiner = RJoiner()
    private var names: [String?] = []

    package init() {}

    /// Adds an element that is an item already.
    package mutating func set(_ name: String, item: [UInt8]) {
        names.append(name)
        do { try joiner.append(item) } catch { preconditionFailure("what is made here is an item: \(error)") }
    }

    package mutating func set(_ name: String, _ text: String) { set(name, [text]) }
    /// R has no string with a NUL in it: last words of a process may.
    package mutating func set(_ name: String, _ texts: [String]) {
        set(name, item: RItem.strings(texts.map { text in text.utf8.contains(0) ? text.filter { $0 != "\0" } : text }))
    }
    package mutating func set(_ name: String, _ flag: Bool) { set(name, item: RItem.logicals([flag])) }
    package mutating func set(_ name: String, _ number: Double?) { set(name, item: RItem.doubles([number])) }
    package mutating func set(_ name: String, _ numbers: [Double?]) { set(name, item: RItem.doubles(numbers)) }
    package mutating func set(_ name: String, integers: [Int32?]) { set(name, item: RItem.integers(integers)) }

    /// Adds an element that is a named list.
    package mutating func set(_ name: String, _ build: (inout ControlWriter) -> Void) {
        var inner = ControlWriter()
        build(&inner)
        set(name, stream: inner.stream())
    }

    /// Adds the object of a stream that was joined here.
    package mutating func set(_ name: String, stream: [UInt8]) {
        do {
            set(name, item: try RItem.fromStream(stream))
        } catch { preconditionFailure("what is joined here is a stream: \(error)") }
    }

    package consuming func stream() -> [UInt8] {
        let names = RItem.strings(names)
        do { return try joiner.finish(names: names) } catch { preconditionFailure("names made here are an item: \(error)") }
    }
}
