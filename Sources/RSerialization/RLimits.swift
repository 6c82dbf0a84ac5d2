/// What a stream may make us hold. The defaults admit everything that R itself reads.
public struct RLimits: Sendable, Hashable {
    /// How deep objects may be nested when they are only scanned, cut or joined: entries of 24 bytes on the heap.
    public var scanDepth = 100_000
    /// How deep objects may be nested when they become an ``RValue``: frames on the stack of the calling thread.
    public var valueDepth = 2_000
    /// How many elements a compact sequence may expand to in an ``RValue``. It takes 100 bytes in the stream, however long it is.
    public var expandedElements = 1 << 28
    /// Compact sequences in a list that expand to more bytes than this are cut in their compact form.
    public var expandedItemBytes = 64 << 10

    public init() {}
}
