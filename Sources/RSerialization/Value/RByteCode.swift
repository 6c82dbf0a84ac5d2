/// Compiled code, kept as R wrote it; nothing here interprets it.
public struct RByteCode: Sendable {
    /// How many cells are referred to from several places.
    public var repeatCount: Int32
    public var body: Body
    public var meta: RMeta

    public struct Body: Sendable {
        /// The instructions, an integer vector.
        public var code: RValue
        public var constants: [Constant]
    }

    public enum Constant: Sendable {
        indirect case body(Body)
        case part(Part)
    }

    /// A constant, or a part of a call among the constants.
    public indirect enum Part: Sendable {
        /// A cell that was defined before, by its number.
        case repeated(Int32)
        /// Cells one behind the other, and what is behind the last.
        case cells([Cell], end: Part)
        /// `type` is what R wrote before the value.
        case value(type: UInt32, RValue)
    }

    public struct Cell: Sendable {
        /// The number by which other places refer to this cell.
        public var number: Int32?
        /// One of R's four codes for cells.
        public var type: UInt32
        public var attributes: RValue?
        public var tag: RValue
        public var value: Part
    }
}
