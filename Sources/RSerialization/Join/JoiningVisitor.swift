/// Copies items into a stream with one table of references: names are defined once, everything else is renumbered.
///
///     items    [VEC a SYM names …] [VEC b SYM names …]
///     stream    VEC a SYM names …   VEC b REF names …
@safe struct JoiningVisitor: ItemVisitor {
    /// What lasts from item to item.
    struct State: Sendable {
        /// The stream under construction.
        var output: [UInt8] = []
        fileprivate var names = NameTable()
        /// How many definitions the stream has.
        fileprivate var definitions = 0
        /// The number in the stream of each definition of the current item.
        fileprivate var local: [Int32] = []

        /// Nobody outside this process can choose names that collide.
        fileprivate static let seed = UInt64.random(in: 0 ... .max)
    }

    private(set) var state: State
    private var pending = 0
    private let source: UnsafeRawBufferPointer

    init(_ source: UnsafeRawBufferPointer, state: consuming State) {
        unsafe self.source = source
        self.state = state
    }

    /// Copies the item that begins at `start`, and looks no further than `limit`.
    mutating func join(from start: Int, to limit: Int, walker: inout ItemWalker) throws(RSerializationError) {
        state.local.removeAll(keepingCapacity: true)
        pending = start
        let item = unsafe UnsafeRawBufferPointer(rebasing: source[..<limit])
        let end = try unsafe walker.walk(item, from: start, visitor: &self)
        try RItem.expectEnd(end, of: limit)
        unsafe state.output.append(source, pending, end)
    }

    /// Copies bytes without references.
    @inline(__always) mutating func copy(from start: Int, to end: Int) { unsafe state.output.append(source, start, end) }

    private mutating func define() throws(RSerializationError) -> Int {
        guard let number = Int32(exactly: state.definitions) else {
            throw RSerializationError(.tooLarge, "one stream holds 2 billion definitions at most")
        }
        state.local.append(number)
        state.definitions += 1
        return Int(number)
    }

    mutating func name(type: UInt8, from start: Int, to end: Int) throws(RSerializationError) {
        // What is persistent is restored by a function in R, once for each definition.
        if type == TypeCode.persistentName {
            _ = try define()
            return
        }
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: source[start..<end])
        let hash = unsafe NameTable.hash(bytes, seed: State.seed)
        if let number = unsafe state.names.number(of: bytes, hash: hash, in: state.output) {
            unsafe state.output.append(source, pending, start)
            state.output.append(reference: number)
            pending = end
            state.local.append(Int32(truncatingIfNeeded: number))
            return
        }
        unsafe state.output.append(source, pending, end)
        pending = end
        state.names.insert(hash: hash, start: state.output.count - (end - start), size: end - start, number: try define())
    }

    mutating func node(from start: Int) throws(RSerializationError) -> NodeAction { .walk(number: try define()) }

    mutating func reference(_ index: Int, from start: Int, to end: Int) throws(RSerializationError) -> Int? {
        guard index < state.local.count else {
            throw RSerializationError(
                .badReference, "a reference to definition \(index + 1) where there are \(state.local.count)", at: start)
        }
        unsafe state.output.append(source, pending, start)
        state.output.append(reference: Int(state.local[index]))
        pending = end
        return nil
    }
}
