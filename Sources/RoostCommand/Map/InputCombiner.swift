/// The records that several sources make together, one at a time.
///
/// Sources in step form a group; groups are combined, the first varying slowest:
///
///     ::: a b :::+ 1 2 ::: X Y        group 0: (a 1) (b 2)     group 1: (X) (Y)
///     → a 1 X, a 1 Y, b 2 X, b 2 Y
///
/// The first group is read once and forgotten; the others are remembered while they are read for the first time,
/// because they come round again.
final class InputCombiner {
    private let groups: [InputGroup]
    /// Which record of each group is due; the last varies fastest.
    private var positions: [Int]
    private var isFinished = false

    init(sources: [InputSource], rules: InputRules) throws(MapError) {
        var parts: [[RememberingSource]] = []
        for source in sources {
            let opened = try RememberingSource(source, rules)
            if (source.isLinked || rules.linksAll) && !parts.isEmpty {
                parts[parts.count - 1].append(opened)
            } else {
                parts.append([opened])
            }
        }
        groups = parts.enumerated().map {
            InputGroup(sources: $1, repeatsShort: rules.linksAll, comesRound: $0 > 0)
        }
        positions = Array(repeating: 0, count: groups.count)
        // Beside a source that has something an empty one stands for one empty input, as in GNU parallel.
        if sources.count > 1 {
            for source in parts.joined() { source.standsForEmpty = true }
        }
    }

    /// Replaces `record` by the next one; false at the end.
    func next(into record: inout [[UInt8]]) throws(MapError) -> Bool {
        record.removeAll(keepingCapacity: true)
        guard !isFinished, !groups.isEmpty else { return false }
        var group = 0
        while group < groups.count {
            if try groups[group].append(at: positions[group], to: &record) {
                group += 1
                continue
            }
            // This group is through: start it again and move the one before on; the first one ends it all.
            if group == 0 || positions[group] == 0 {
                isFinished = true
                record.removeAll()
                return false
            }
            positions[group] = 0
            positions[group - 1] += 1
            record.removeAll(keepingCapacity: true)
            group = 0
        }
        positions[groups.count - 1] += 1
        return try !isNothing()
    }

    /// All sources empty: their stand-ins must not make a task.
    private func isNothing() throws(MapError) -> Bool {
        for group in groups where !group.isNothing { return false }
        isFinished = true
        return true
    }
}

/// Sources taken in step.
final class InputGroup {
    private let sources: [RememberingSource]
    private let repeatsShort: Bool

    init(sources: [RememberingSource], repeatsShort: Bool, comesRound: Bool) {
        self.sources = sources
        self.repeatsShort = repeatsShort && sources.count > 1
        for source in sources { source.remembers = comesRound || self.repeatsShort }
    }

    var isNothing: Bool { sources.allSatisfy(\.isNothing) }

    /// Appends the group's record at `position`; false when there is none. A plain group ends with its shortest
    /// source, a repeating one with its longest.
    func append(at position: Int, to record: inout [[UInt8]]) throws(MapError) -> Bool {
        let start = record.count
        var anyFresh = false
        for source in sources {
            if let item = try source.item(at: position) {
                record.append(item)
                anyFresh = true
            } else if repeatsShort, let item = try source.item(at: position % max(1, source.count)) {
                record.append(item)
            } else {
                record.removeSubrange(start...)
                return false
            }
        }
        if repeatsShort {
            // Once all others have ended, the last one is the longest and need not be kept.
            let unended = sources.filter { !$0.hasEnded }
            if unended.count == 1 { unended[0].forget() }
        }
        if !anyFresh { record.removeSubrange(start...) }
        return anyFresh
    }
}

/// One source that can give items again.
final class RememberingSource {
    private var reader: RecordReader?
    private var items: [[UInt8]] = []
    /// How many items were given before those in `items`.
    private var forgotten = 0
    var remembers = false
    var standsForEmpty = false
    private(set) var isNothing = false

    init(_ source: InputSource, _ rules: InputRules) throws(MapError) {
        switch source.origin {
        case .arguments(let arguments):
            if rules.delimiterIsExplicit && rules.delimiter != [0] {
                items = arguments.flatMap { Self.cut($0, at: rules.delimiter) }
            } else {
                items = arguments
            }
        case .file(let path):
            reader = try RecordReader(path: path, delimiter: rules.delimiter)
        }
    }

    var count: Int { forgotten + items.count }
    var hasEnded: Bool { reader == nil }

    /// The item at `position`, counted from 0; nil when there are not so many.
    func item(at position: Int) throws(MapError) -> [UInt8]? {
        while position >= count, let reader {
            guard let item = try reader.next() else {
                self.reader = nil
                break
            }
            if !remembers && !items.isEmpty { drop() }
            items.append(item)
        }
        if count == 0 && reader == nil {
            isNothing = true
            if standsForEmpty { items = [[]] }
        }
        return position >= forgotten && position < count ? items[position - forgotten] : nil
    }

    /// From now on only the latest item is kept.
    func forget() {
        remembers = false
        if items.count > 1 {
            forgotten += items.count - 1
            items.removeSubrange(..<(items.count - 1))
        }
    }

    private func drop() {
        forgotten += items.count
        items.removeAll(keepingCapacity: true)
    }

    private static func cut(_ argument: [UInt8], at delimiter: [UInt8]) -> [[UInt8]] {
        guard !delimiter.isEmpty else { return [argument] }
        var parts: [[UInt8]] = []
        var rest = argument[...]
        while let range = rest.firstRange(of: delimiter) {
            parts.append(Array(rest[..<range.lowerBound]))
            rest = rest[range.upperBound...]
        }
        parts.append(Array(rest))
        return parts
    }
}
