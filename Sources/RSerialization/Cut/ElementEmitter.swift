/// Copies parts of a stream into an item with a table of references of its own.
///
/// What stands between references is copied as it is. A reference to something that this item already has is renumbered; one to
/// something defined in another element becomes that definition, transitively: the walker jumps to it and comes back.
///
///     stream   … SYM names … | VEC a REF names …            the second element refers to a symbol of the first
///     item                     VEC a SYM names …            and gets it defined
///
/// Cycles end by themselves, for a node has its number before its content is walked.
@safe struct ElementEmitter: ItemVisitor {
    private let source: UnsafeRawBufferPointer
    private let table: DefinitionTable
    /// What was emitted; handed on from cut to cut, for it is as large as the table.
    private(set) var memory: Memory
    private var localCount = 0
    /// The definition that the walk meets next, and those of the walks that wait for a jump's end.
    private var next = 0
    private var waiting: [Int] = []
    /// Where what is not copied yet begins.
    private var pending = 0
    /// What the items are written to.
    var output: [UInt8] = []

    struct Memory: Sendable {
        /// For each definition of the stream: the session it was last emitted in (upper half), and its number there.
        var emitted: [UInt64] = []
        /// Counts items.
        var session: UInt64 = 0
    }

    init(_ source: UnsafeRawBufferPointer, table: DefinitionTable, memory: consuming Memory = Memory()) {
        unsafe self.source = source
        self.table = table
        self.memory = memory
        if self.memory.emitted.count < table.count { self.memory.emitted = Array(repeating: 0, count: table.count) }
    }

    /// Begins an item: nothing is defined in it yet.
    mutating func beginItem() {
        memory.session += 1
        if memory.session > UInt64(UInt32.max) {
            memory.emitted = Array(repeating: 0, count: table.count)
            memory.session = 1
        }
        localCount = 0
    }

    /// Copies `count` items that begin at `start`; `definitions` is how many definitions begin before.
    /// - Returns: where they end, and how many definitions begin before that.
    mutating func emit(
        from start: Int, items count: Int = 1, definitions: Int, walker: inout ItemWalker
    ) throws(RSerializationError) -> (end: Int, definitions: Int) {
        next = definitions
        pending = start
        waiting.removeAll(keepingCapacity: true)
        let end = try unsafe walker.walk(source, from: start, items: count, visitor: &self)
        unsafe output.append(source, pending, end)
        return (end, next)
    }

    /// Copies bytes without references.
    mutating func copy(from start: Int, to end: Int) { unsafe output.append(source, start, end) }

    /// The number that a definition has in this item; nil when it is not in it yet.
    @inline(__always) private func number(of definition: Int) -> Int? {
        let entry = memory.emitted[definition]
        return entry >> 32 == memory.session ? Int(entry & 0xFFFF_FFFF) : nil
    }

    @inline(__always) private mutating func define(_ definition: Int) {
        memory.emitted[definition] = memory.session << 32 | UInt64(localCount)
        localCount += 1
    }

    @inline(__always) private mutating func refer(to number: Int, from start: Int, to end: Int) {
        unsafe output.append(source, pending, start)
        output.append(reference: number)
        pending = end
    }

    mutating func name(type: UInt8, from start: Int, to end: Int) {
        let definition = next
        next += 1
        if let number = number(of: definition) { refer(to: number, from: start, to: end) } else { define(definition) }
    }

    mutating func node(from start: Int) -> NodeAction {
        let definition = next
        if let number = number(of: definition) {
            refer(to: number, from: start, to: table.ends[definition])
            next = table.nexts[definition]
            return .skip(to: table.ends[definition])
        }
        next += 1
        define(definition)
        return .walk(number: definition)
    }

    mutating func reference(_ index: Int, from start: Int, to end: Int) throws(RSerializationError) -> Int? {
        if let number = number(of: index) {
            refer(to: number, from: start, to: end)
            return nil
        }
        let from = table.starts[index]
        unsafe output.append(source, pending, start)
        if table.nexts[index] == index + 1, unsafe source.isName(at: from) {
            define(index)
            unsafe output.append(source, from, table.ends[index])
            pending = end
            return nil
        }
        waiting.append(next)
        next = index
        pending = from
        return from
    }

    mutating func resumed(after end: Int, at resumption: Int) {
        unsafe output.append(source, pending, end)
        pending = resumption
        next = waiting.popLast() ?? next
    }
}

extension UnsafeRawBufferPointer {
    /// Whether the definition at `offset` is one that has no content to walk.
    @inline(__always) fileprivate func isName(at offset: Int) -> Bool {
        switch unsafe self[offset] {
        case TypeCode.environment, TypeCode.externalPointer, TypeCode.weakReference: false
        default: true
        }
    }
}
