/// Payloads of jobs of the runtime `r`, opaque to everybody between the bridge and the node's R runtime.
///
/// ```
///   argument   flags:1  [seed: 6 × Int32]  item            flags bit 0: a seed is there
///   outcome    0:1      item                               the value, and nothing to say about it
///              1:1      length:4  item  details            length 0: no value; details: an item too
///              2:1      length:4  output  outcome          what it printed, then one of the two above
/// ```
/// Numbers are little-endian. An *item* is an R object of R's native serialization without a stream's header, with its own
/// table of references; nobody looks inside here.
///
/// Parts are given as ranges into the payload: whoever reads a hundred thousand copies none.
package enum RTaskPayload {
    /// The bytes that come before an argument's item.
    package static func headerBytes(hasSeed: Bool) -> Int { hasSeed ? 1 + RStreamSeed.byteCount : 1 }

    /// Appends an argument to `bytes`.
    package static func append(seed: RStreamSeed?, item: ArraySlice<UInt8>, to bytes: inout [UInt8]) {
        if let seed {
            bytes.append(Self.seedFlag)
            seed.append(to: &bytes)
        } else {
            bytes.append(0)
        }
        bytes.append(contentsOf: item)
    }

    /// Appends an outcome with nothing but its value.
    package static func append(value item: ArraySlice<UInt8>, to bytes: inout [UInt8]) {
        bytes.append(Self.plainKind)
        bytes.append(contentsOf: item)
    }

    /// Appends an outcome with details, and perhaps without a value.
    package static func append(
        value item: ArraySlice<UInt8>?, details: ArraySlice<UInt8>, to bytes: inout [UInt8]
    ) {
        bytes.append(Self.detailedKind)
        withUnsafeBytes(of: UInt32(item?.count ?? 0).littleEndian) { bytes.append(contentsOf: $0) }
        if let item { bytes.append(contentsOf: item) }
        bytes.append(contentsOf: details)
    }

    /// Begins an outcome with what the task printed; one of the others follows.
    package static func append(output: some Collection<UInt8>, to bytes: inout [UInt8]) {
        bytes.append(Self.printedKind)
        withUnsafeBytes(of: UInt32(output.count).littleEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: output)
    }

    /// A task's argument, as its parts stand in the payload.
    package struct Argument: Hashable, Sendable {
        /// The state of R's generator at the task's start; nil: as it comes.
        package var seed: RStreamSeed?
        /// Where the element's item stands.
        package var item: Range<Int>

        /// Nil when the bytes are no argument.
        package init?(_ payload: ArraySlice<UInt8>) {
            guard let flags = payload.first, flags & ~seedFlag == 0 else { return nil }
            var start = payload.startIndex + 1
            if flags & seedFlag != 0 {
                guard let seed = RStreamSeed(payload[start...]) else { return nil }
                self.seed = seed
                start += RStreamSeed.byteCount
            }
            guard start < payload.endIndex else { return nil }
            item = start..<payload.endIndex
        }
    }

    /// A task's outcome, as its parts stand in the payload.
    package struct Outcome: Hashable, Sendable {
        /// Where the value's item stands; nil: no value.
        package var value: Range<Int>?
        /// Where the item of the details stands; nil: nothing to say.
        package var details: Range<Int>?

        /// Where what it printed stands; nil: nothing, or in the details.
        package var output: Range<Int>?

        /// Nil when the bytes are no outcome.
        package init?(_ payload: ArraySlice<UInt8>) {
            var rest = payload
            if rest.first == printedKind {
                guard let range = Self.counted(&rest) else { return nil }
                output = range
            }
            switch rest.first {
            case plainKind:
                let start = rest.startIndex + 1
                guard start < rest.endIndex else { return nil }
                value = start..<rest.endIndex
            case detailedKind:
                guard let range = Self.counted(&rest), !rest.isEmpty else { return nil }
                value = range.isEmpty ? nil : range
                details = rest.startIndex..<rest.endIndex
            default: return nil
            }
        }

        /// Takes a kind, a length and as many bytes off the front; where they stand.
        private static func counted(_ rest: inout ArraySlice<UInt8>) -> Range<Int>? {
            let start = rest.startIndex + 1
            guard rest.endIndex - start >= 4 else { return nil }
            let length = (0..<4).reduce(0) { $0 | Int(rest[start + $1]) << (8 * $1) }
            guard length <= rest.endIndex - start - 4 else { return nil }
            let range = start + 4..<start + 4 + length
            rest = rest[range.upperBound...]
            return range
        }
    }

    private static let seedFlag: UInt8 = 1
    private static let plainKind: UInt8 = 0
    private static let detailedKind: UInt8 = 1
    private static let printedKind: UInt8 = 2
}

/// A state of R's generator "L'Ecuyer-CMRG": what `.Random.seed[2:7]` holds, as unsigned numbers.
package struct RStreamSeed: Hashable, Sendable {
    /// The first recurrence's three numbers, modulo 4294967087.
    package var first: (UInt32, UInt32, UInt32)
    /// The second recurrence's three numbers, modulo 4294944443.
    package var second: (UInt32, UInt32, UInt32)

    package static let byteCount = 24

    package init(first: (UInt32, UInt32, UInt32), second: (UInt32, UInt32, UInt32)) {
        self.first = first
        self.second = second
    }

    /// The six integers as R has them; nil when they are not six.
    package init?(_ integers: [Int32]) {
        guard integers.count == 6 else { return nil }
        let words = integers.map { UInt32(bitPattern: $0) }
        self.init(first: (words[0], words[1], words[2]), second: (words[3], words[4], words[5]))
    }

    /// Reads the first 24 bytes; nil when there are fewer.
    package init?(_ bytes: ArraySlice<UInt8>) {
        guard bytes.count >= Self.byteCount else { return nil }
        func word(_ number: Int) -> UInt32 {
            let start = bytes.startIndex + 4 * number
            return UInt32(bytes[start]) | UInt32(bytes[start + 1]) << 8 | UInt32(bytes[start + 2]) << 16
                | UInt32(bytes[start + 3]) << 24
        }
        self.init(first: (word(0), word(1), word(2)), second: (word(3), word(4), word(5)))
    }

    /// The six numbers in R's order.
    package var integers: [Int32] {
        [first.0, first.1, first.2, second.0, second.1, second.2].map { Int32(bitPattern: $0) }
    }

    package func append(to bytes: inout [UInt8]) {
        func append(_ a: UInt32, _ b: UInt32) {
            withUnsafeBytes(of: (UInt64(a) | UInt64(b) << 32).littleEndian) { bytes.append(contentsOf: $0) }
        }
        append(first.0, first.1)
        append(first.2, second.0)
        append(second.1, second.2)
    }

    package static func == (a: RStreamSeed, b: RStreamSeed) -> Bool { a.first == b.first && a.second == b.second }

    package func hash(into hasher: inout Hasher) {
        for word in integers { hasher.combine(word) }
    }
}
