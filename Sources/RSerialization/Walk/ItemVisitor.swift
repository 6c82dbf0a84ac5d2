/// What a pass over serialized items wants to know. ``ItemWalker`` knows the grammar, visitors act.
///
/// *Definitions* are what later references may point to, counted in the order of the walk. A *name* is one whose bytes are all
/// there at once (symbol, namespace, package, persistent name); a *node* has content that is walked (environment, external pointer,
/// weak reference) and may refer to itself.
protocol ItemVisitor {
    /// Whether words and vectors are turned around in place.
    static var swapsBytes: Bool { get }
    /// Whether they are native, and not big-endian, before.
    static var readsNative: Bool { get }
    /// Whether ``nodeEnded(_:at:)`` is wanted: it costs a frame.
    static var wantsNodeEnds: Bool { get }

    /// A definition whose bytes are `start..<end`.
    mutating func name(type: UInt8, from start: Int, to end: Int) throws(RSerializationError)
    /// A definition that begins at `start`.
    mutating func node(from start: Int) throws(RSerializationError) -> NodeAction
    /// The content of the node that got `number` ended before `end`.
    mutating func nodeEnded(_ number: Int, at end: Int)
    /// A reference, its index counted from 0.
    /// - Returns: where the walker shall walk one item before it goes on behind the reference; nil to just go on.
    mutating func reference(_ index: Int, from start: Int, to end: Int) throws(RSerializationError) -> Int?
    /// The item that a reference led to ended before `end`; the walk goes on at `resumption`.
    mutating func resumed(after end: Int, at resumption: Int)
}

/// What to do with a node's content.
enum NodeAction {
    case walk(number: Int)
    /// Go on at this offset.
    case skip(to: Int)
}

extension ItemVisitor {
    static var swapsBytes: Bool { false }
    static var readsNative: Bool { true }
    static var wantsNodeEnds: Bool { false }
    mutating func name(type: UInt8, from start: Int, to end: Int) {}
    mutating func node(from start: Int) -> NodeAction { .walk(number: 0) }
    mutating func nodeEnded(_ number: Int, at end: Int) {}
    mutating func reference(_ index: Int, from start: Int, to end: Int) -> Int? { nil }
    mutating func resumed(after end: Int, at resumption: Int) {}
}

/// Only wants to know where an item ends.
struct NoVisitor: ItemVisitor {}

/// Turns every word around, in place: XDR becomes native.
struct ToNativeVisitor: ItemVisitor {
    static var swapsBytes: Bool { true }
    static var readsNative: Bool { false }
}

/// Turns every word around, in place: native becomes XDR.
struct ToBigEndianVisitor: ItemVisitor {
    static var swapsBytes: Bool { true }
}
