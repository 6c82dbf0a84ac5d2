/// The inputs of one task.
package struct MapInput: Hashable, Sendable {
    /// The task's number in the whole list of inputs, from 1; `{#}`, and `Seq` in the job log.
    package var sequence: Int
    package var values: [[UInt8]]

    package init(sequence: Int, values: [[UInt8]]) {
        self.sequence = sequence
        self.values = values
    }
}

/// Reads inputs lazily: a task's inputs are given as soon as their last line has arrived.
///
/// Blocks while a pipe is silent, so it belongs on a thread of its own; make it there, it is not `Sendable`.
package final class MapInputReader {
    private let combiner: InputCombiner
    private let rules: InputRules
    private let columns: ColumnSeparator?
    private var record: [[UInt8]] = []
    private var sequence = 0
    /// Whether an input had a NUL byte, which no command can be given, and was changed; worth one warning.
    package private(set) var replacedNUL = false

    /// Opens all sources, so that a missing file is found before the first task runs.
    package init(sources: [InputSource], rules: InputRules) throws(MapError) {
        self.rules = rules
        columns = if let pattern = rules.columnSeparator { try ColumnSeparator(pattern) } else { nil }
        combiner = try InputCombiner(sources: sources, rules: rules)
    }

    /// The next task's inputs; nil when all have been given.
    package func next() throws(MapError) -> MapInput? {
        guard let wanted = rules.recordsPerTask, wanted > 0 else {
            guard try nextRecord() else { return nil }
            sequence += 1
            return MapInput(sequence: sequence, values: rules.recordsPerTask == 0 ? [] : record)
        }
        var values: [[UInt8]] = []
        for index in 0..<wanted {
            guard try nextRecord() else {
                if index == 0 { return nil }
                break
            }
            values.append(contentsOf: record)
        }
        sequence += 1
        return MapInput(sequence: sequence, values: values)
    }

    private func nextRecord() throws(MapError) -> Bool {
        while try combiner.next(into: &record) {
            if rules.skipsBlank, record.contains(where: { $0.allSatisfy(ColumnSeparator.isBlank) }) { continue }
            if let columns { record = record.flatMap(columns.columns) }
            for index in record.indices where record[index].contains(0) { replaceNUL(in: &record[index]) }
            return true
        }
        return false
    }

    /// A NUL inside an input is written as the two characters `\0`, as GNU parallel does.
    private func replaceNUL(in value: inout [UInt8]) {
        replacedNUL = true
        value = value.flatMap { $0 == 0 ? [UInt8(ascii: "\\"), UInt8(ascii: "0")] : [$0] }
    }
}
