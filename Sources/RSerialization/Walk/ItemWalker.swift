/// Walks whole serialized items, the grammar in one place and without recursion.
///
/// What remains to be read of the objects around the current one stands on a stack of frames. The innermost frame is in
/// local variables, and a frame with nothing left is dropped *before* the next is pushed, so the tails of pairlists cost nothing:
///
///     list(1, list(2, 3))      at the 2:   stack [ ]              current: items × 2   (the outer frame has nothing left)
///     list(list(2, 3), 1)      at the 2:   stack [ items × 1 ]    current: items × 2
///
/// Vectors of numbers are passed by arithmetic. Every length is checked against the bytes that are there.
struct ItemWalker {
    /// What the current frame reads.
    private enum Kind: UInt8 {
        /// Whole items.
        case items
        /// The body of a byte-code object: an item, then constants.
        case code
        /// The number of a body's constants, then the constants.
        case constantsHead
        /// Byte-code's constants, each with its type before it.
        case constants
        /// Parts of the cells of byte-code's constants, each with its type before it.
        case cells
        /// Nothing: tells the visitor that a node ended.
        case nodeEnd
        /// Nothing: goes back to behind a reference.
        case resumption
    }

    private struct Frame {
        var kind: Kind
        var remaining: Int
        /// The number of a node, or the offset to go back to.
        var payload: Int
    }

    private var stack: [Frame] = []
    private let mostDepth: Int

    init(limits: RLimits) { mostDepth = limits.scanDepth }

    /// Walks `count` items that begin at `start`.
    /// - Returns: where they end.
    mutating func walk<Visitor: ItemVisitor>(
        _ bytes: UnsafeRawBufferPointer, from start: Int, items count: Int = 1, visitor: inout Visitor
    ) throws(RSerializationError) -> Int {
        stack.removeAll(keepingCapacity: true)
        guard count > 0 else { return start }
        var reader = try unsafe WordReader(bytes, at: start, swaps: Visitor.swapsBytes, readsNative: Visitor.readsNative)
        var kind = Kind.items
        var remaining = count
        var payload = 0

        while true {
            if remaining == 0 {
                switch kind {
                case .nodeEnd: visitor.nodeEnded(payload, at: reader.position)
                case .resumption:
                    visitor.resumed(after: reader.position, at: payload)
                    reader.position = payload
                case .items, .code, .constantsHead, .constants, .cells: break
                }
                guard let frame = stack.popLast() else { return reader.position }
                kind = frame.kind
                remaining = frame.remaining
                payload = frame.payload
                continue
            }
            remaining -= 1
            switch kind {
            case .items:
                let start = reader.position
                let flags = Flags(try reader.word())
                switch flags.type {
                case TypeCode.double, TypeCode.integer, TypeCode.logical, TypeCode.raw, TypeCode.complex:
                    try reader.skipVector(flags.type)
                    if flags.hasAttributes { remaining += 1 }
                case TypeCode.string:
                    let length = try reader.length(elementBytes: 8)
                    for _ in 0..<length { try reader.skipString() }
                    if flags.hasAttributes { remaining += 1 }
                case TypeCode.list, TypeCode.expression:
                    let length = try reader.length(elementBytes: 4) + (flags.hasAttributes ? 1 : 0)
                    guard length > 0 else { break }
                    try push(kind, &remaining, payload, at: start)
                    (kind, remaining) = (.items, length)
                case TypeCode.pairlist, TypeCode.language, TypeCode.closure, TypeCode.promise, TypeCode.dots:
                    let parts = 2 + (flags.hasAttributes ? 1 : 0) + (flags.hasTag ? 1 : 0)
                    try push(kind, &remaining, payload, at: start)
                    (kind, remaining) = (.items, parts)
                case TypeCode.null, TypeCode.globalEnvironment, TypeCode.baseEnvironment, TypeCode.emptyEnvironment,
                    TypeCode.baseNamespace, TypeCode.missingArgument, TypeCode.unboundValue:
                    break
                case TypeCode.reference:
                    var index = Int(flags.word >> 8)
                    if index == 0 { index = Int(Int32(bitPattern: try reader.word())) }
                    guard index > 0 else { throw RSerializationError(.badReference, "a reference to nothing", at: start) }
                    if let target = try visitor.reference(index - 1, from: start, to: reader.position) {
                        try push(kind, &remaining, payload, at: start)
                        try push(.resumption, at: start, payload: reader.position)
                        (kind, remaining) = (.items, 1)
                        reader.position = target
                    }
                case TypeCode.symbol:
                    try reader.skipString()
                    try visitor.name(type: flags.type, from: start, to: reader.position)
                case TypeCode.namespace, TypeCode.package, TypeCode.persistentName:
                    try reader.skipNames()
                    try visitor.name(type: flags.type, from: start, to: reader.position)
                case TypeCode.environment, TypeCode.externalPointer, TypeCode.weakReference:
                    let isEnvironment = flags.type == TypeCode.environment
                    var parts = isEnvironment ? 4 : flags.type == TypeCode.externalPointer ? 2 : 0
                    if flags.hasAttributes, !isEnvironment { parts += 1 }
                    switch try visitor.node(from: start) {
                    case .skip(let end): reader.position = end
                    case .walk(let number):
                        if isEnvironment { _ = try reader.word() }
                        try push(kind, &remaining, payload, at: start)
                        if Visitor.wantsNodeEnds { try push(.nodeEnd, at: start, payload: number) }
                        (kind, remaining) = (.items, parts)
                    }
                case TypeCode.altrep:
                    try push(kind, &remaining, payload, at: start)
                    (kind, remaining) = (.items, 3)
                case TypeCode.s4: if flags.hasAttributes { remaining += 1 }
                case TypeCode.char:
                    try reader.skipStringContent()
                    if flags.hasAttributes { remaining += 1 }
                case TypeCode.special, TypeCode.builtin:
                    try reader.skipBytes(Int(Int32(bitPattern: try reader.word())))
                    if flags.hasAttributes { remaining += 1 }
                case TypeCode.byteCode:
                    _ = try reader.word()
                    if flags.hasAttributes { remaining += 1 }
                    try push(kind, &remaining, payload, at: start)
                    (kind, remaining) = (.code, 1)
                default: throw RSerializationError(.unknownType, "R has no type \(flags.type)", at: start)
                }

            case .code:
                let start = reader.position
                try push(kind, &remaining, payload, at: start)
                try push(.constantsHead, at: start, remaining: 1)
                (kind, remaining) = (.items, 1)
            case .constantsHead:
                let start = reader.position
                let count = try reader.count(elementBytes: 4)
                try push(kind, &remaining, payload, at: start)
                (kind, remaining) = (.constants, count)
            case .constants, .cells:
                let start = reader.position
                let type = try reader.word()
                if type == UInt32(TypeCode.byteCode), kind == .constants {
                    try push(kind, &remaining, payload, at: start)
                    (kind, remaining) = (.code, 1)
                    continue
                }
                switch try reader.cell(type, at: start) {
                case .reference: break
                case .item:
                    try push(kind, &remaining, payload, at: start)
                    (kind, remaining) = (.items, 1)
                case .cell(let hasAttributes):
                    try push(kind, &remaining, payload, at: start)
                    try push(.cells, at: start, remaining: 2)
                    (kind, remaining) = (.items, hasAttributes ? 2 : 1)
                }
            case .nodeEnd, .resumption: break
            }
        }
    }

    /// Puts the current frame aside, unless nothing remains of it.
    @inline(__always)
    private mutating func push(_ kind: Kind, _ remaining: inout Int, _ payload: Int, at offset: Int) throws(RSerializationError) {
        if remaining > 0 || kind == .nodeEnd || kind == .resumption {
            try push(kind, at: offset, remaining: remaining, payload: payload)
        }
    }

    private mutating func push(_ kind: Kind, at offset: Int, remaining: Int = 0, payload: Int = 0) throws(RSerializationError) {
        guard stack.count < mostDepth else {
            throw RSerializationError(.tooDeep, "objects are nested more than \(mostDepth) deep", at: offset)
        }
        stack.append(Frame(kind: kind, remaining: remaining, payload: payload))
    }
}
