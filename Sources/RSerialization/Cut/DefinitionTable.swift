/// Where in a stream everything stands that references may point to, in the order of their indices.
///
///     list(a = f, b = f)     f's environment       definition   start   end   next
///                                                   0  <env>      30    190    3       next: the first definition behind it,
///                                                   1  x          42     55    2       so that its content can be passed over
///                                                   2  srcfile    60     75    3
///                                                   3  names     200    213    4
struct DefinitionTable: Sendable {
    private(set) var starts: [Int] = []
    private(set) var ends: [Int] = []
    private(set) var nexts: [Int] = []

    var count: Int { starts.count }

    mutating func appendName(from start: Int, to end: Int) {
        starts.append(start)
        ends.append(end)
        nexts.append(starts.count)
    }

    /// A node, whose end is not known yet.
    mutating func appendNode(from start: Int) -> Int {
        starts.append(start)
        ends.append(-1)
        nexts.append(-1)
        return starts.count - 1
    }

    mutating func endNode(_ number: Int, at end: Int) {
        ends[number] = end
        nexts[number] = starts.count
    }

    /// How many definitions begin before `offset`: the number of the first one at or behind it.
    func countBefore(_ offset: Int) -> Int {
        var (low, high) = (0, starts.count)
        while low < high {
            let middle = (low + high) / 2
            if starts[middle] < offset { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// Fills a ``DefinitionTable`` and checks that references point to what was defined before them.
struct IndexingVisitor: ItemVisitor {
    var table = DefinitionTable()
    /// Whether anything was defined or referred to since this was last set to false.
    var sawReferences = false

    static var wantsNodeEnds: Bool { true }

    mutating func name(type: UInt8, from start: Int, to end: Int) {
        table.appendName(from: start, to: end)
        sawReferences = true
    }

    mutating func node(from start: Int) -> NodeAction {
        sawReferences = true
        return .walk(number: table.appendNode(from: start))
    }

    mutating func nodeEnded(_ number: Int, at end: Int) { table.endNode(number, at: end) }

    mutating func reference(_ index: Int, from start: Int, to end: Int) throws(RSerializationError) -> Int? {
        guard index < table.count else {
            throw RSerializationError(
                .badReference, "a reference to definition \(index + 1) where there are \(table.count)", at: start)
        }
        sawReferences = true
        return nil
    }
}
