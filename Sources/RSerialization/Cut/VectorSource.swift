/// Where the elements of one vector come from. R's compact forms (ALTREP) are seen through.
struct VectorSource: Sendable {
    enum Kind: UInt8 {
        /// Numbers of one size, one behind the other.
        case numbers
        /// Numbers that follow from the first.
        case sequence
        case strings
        case items
        /// A compact form that only R can expand.
        case opaque
    }
    var kind: Kind
    /// The type of the vector that R sees.
    var type: UInt8
    var count = 0
    /// Where the elements begin in the stream, and how many definitions begin before.
    var start = 0
    var definitions = 0
    /// The first number of a sequence and the step from one to the next.
    var first = 0.0
    var step = 0.0
    /// When `type` is that of strings but these are numbers: their type. R has not yet made them strings.
    var deferred: UInt8 = 0
    /// Where the attributes stand; 0 when there are none. Definitions before them.
    var attributes = 0
    var attributeDefinitions = 0
    var isObject = false
    var levels: UInt16 = 0
    /// Whether the vector stands there in a compact form.
    var isCompact = false
    /// The name of an opaque form.
    var className = ""

    /// Bytes of one element when all have one size.
    var width: Int { TypeCode.width(of: deferred == 0 ? type : deferred) }

    func integer(at index: Int) -> Int32 {
        let value = first + step * Double(index)
        return value.exactInt32 ?? Int32.min
    }

    func double(at index: Int) -> Double { first + step * Double(index) }
}

/// Where each element of a vector ends, when they differ in size.
///
/// The lowest bit says whether the element has references, so that it cannot be copied as it is.
struct ElementEnds: Sendable {
    private(set) var start = 0
    private var entries: [Int] = []

    init() {}

    init(start: Int, capacity: Int) {
        self.start = start
        // A hint: a hostile length is bounded by the bytes that are there.
        entries.reserveCapacity(capacity)
    }

    @inline(__always) mutating func append(end: Int, hasReferences: Bool) { entries.append(end << 1 | (hasReferences ? 1 : 0)) }
    @inline(__always) func start(of index: Int) -> Int { index == 0 ? start : entries[index - 1] >> 1 }
    @inline(__always) func end(of index: Int) -> Int { entries[index] >> 1 }
    @inline(__always) func hasReferences(_ index: Int) -> Bool { entries[index] & 1 != 0 }
}
