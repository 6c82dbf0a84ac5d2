/// Single items: between streams and items, and small R objects made without R.
///
/// See ``RItems`` for what an item is.
public enum RItem {
    /// R's `NULL`.
    public static let null: [UInt8] = [TypeCode.null, 0, 0, 0]

    // MARK: Streams

    /// The item in a whole stream: the header taken off, XDR turned into the native form.
    /// - Throws: what is wrong with the stream, `trailingBytes` if anything follows the object.
    public static func fromStream(_ stream: [UInt8], limits: RLimits = RLimits()) throws(RSerializationError) -> [UInt8] {
        guard let (header, size) = try RStreamHeader.read(stream) else {
            throw RSerializationError(.truncated, "the bytes end in the header", at: stream.count)
        }
        return try fromStream(stream, header: header, headerSize: size, limits: limits)
    }

    static func fromStream(
        _ stream: [UInt8], header: RStreamHeader, headerSize: Int, limits: RLimits
    ) throws(RSerializationError) -> [UInt8] {
        if header.byteOrder == .littleEndian {
            try check(stream, from: headerSize, limits: limits)
            return Array(stream[headerSize...])
        }
        return Array(try native(stream, headerSize: headerSize, limits: limits)[headerSize...])
    }

    /// A big-endian stream with every word behind the header turned around.
    static func native(_ stream: [UInt8], headerSize: Int, limits: RLimits) throws(RSerializationError) -> [UInt8] {
        try turned(stream, headerSize, limits, ToNativeVisitor())
    }

    /// A native stream with every word behind the header turned around.
    static func bigEndian(_ stream: [UInt8], headerSize: Int) throws(RSerializationError) -> [UInt8] {
        try turned(stream, headerSize, RLimits(), ToBigEndianVisitor())
    }

    private static func turned(
        _ stream: [UInt8], _ headerSize: Int, _ limits: RLimits, _ visitor: some ItemVisitor
    ) throws(RSerializationError) -> [UInt8] {
        var turned = stream
        var span = turned.mutableSpan
        var bytes = unsafe span.mutableBytes
        try unsafe bytes.withUnsafeMutableBytes { (memory) throws(RSerializationError) in
            var walker = ItemWalker(limits: limits)
            var visitor = visitor
            let end = try unsafe walker.walk(UnsafeRawBufferPointer(memory), from: headerSize, visitor: &visitor)
            try expectEnd(end, of: memory.count)
        }
        return turned
    }

    /// A whole stream with `item` as its object.
    /// - Parameter nativeEncoding: the encoding of strings in it that are not marked.
    public static func toStream(_ item: some Collection<UInt8>, nativeEncoding: String = "UTF-8") -> [UInt8] {
        var stream: [UInt8] = []
        stream.reserveCapacity(item.count + RStreamHeader.longest)
        RStreamHeader(nativeEncoding: nativeEncoding).write(to: &stream)
        stream.append(contentsOf: item)
        return stream
    }

    /// Sees that the bytes from `start` on are one whole item.
    /// - Throws: what is wrong with them.
    public static func check(_ bytes: [UInt8], from start: Int = 0, limits: RLimits = RLimits()) throws(RSerializationError) {
        try unsafe bytes.span.bytes.withUnsafeBytes { (memory) throws(RSerializationError) in
            guard start >= 0, start <= memory.count else { throw RSerializationError(.truncated, "no bytes at all", at: start) }
            var walker = ItemWalker(limits: limits)
            var visitor = NoVisitor()
            let end = try unsafe walker.walk(memory, from: start, visitor: &visitor)
            try expectEnd(end, of: memory.count)
        }
    }

    static func expectEnd(_ end: Int, of count: Int) throws(RSerializationError) {
        guard end == count else {
            throw RSerializationError(.trailingBytes, "\(count - end) bytes follow the end of the object", at: end)
        }
    }

    // MARK: Makers

    /// An integer vector; nil is NA.
    public static func integers(_ values: some Collection<Int32?>) -> [UInt8] {
        vector(TypeCode.integer, count: values.count, width: 4) { item in
            for value in values { item.append(word: UInt32(bitPattern: value ?? Int32.min)) }
        }
    }

    /// A logical vector; nil is NA.
    public static func logicals(_ values: some Collection<Bool?>) -> [UInt8] {
        vector(TypeCode.logical, count: values.count, width: 4) { item in
            for value in values { item.append(word: value.map { $0 ? 1 : 0 } ?? UInt32(bitPattern: Int32.min)) }
        }
    }

    /// A double vector; nil is NA, bit for bit.
    public static func doubles(_ values: some Collection<Double?>) -> [UInt8] {
        vector(TypeCode.double, count: values.count, width: 8) { item in
            for value in values { item.append(word64: value?.bitPattern ?? RNumbers.naBits) }
        }
    }

    /// A character vector; nil is NA.
    public static func strings(_ values: some Collection<String?>) -> [UInt8] {
        vector(TypeCode.string, count: values.count, width: 16) { item in
            for value in values {
                if let value {
                    item.append(charItem: value.utf8)
                } else {
                    item.append(words: UInt32(TypeCode.char), UInt32.max)
                }
            }
        }
    }

    /// A raw vector.
    public static func raw(_ bytes: some Collection<UInt8>) -> [UInt8] {
        vector(TypeCode.raw, count: bytes.count, width: 1) { item in item.append(contentsOf: bytes) }
    }

    private static func vector(_ type: UInt8, count: Int, width: Int, _ content: (inout [UInt8]) -> Void) -> [UInt8] {
        var item: [UInt8] = []
        item.reserveCapacity(16 + count * width)
        item.append(word: UInt32(type))
        item.append(length: count)
        content(&item)
        return item
    }
}

/// R's special numbers.
public enum RNumbers {
    /// `NA_integer_`, and `NA` of logical vectors.
    public static let naInteger = Int32.min
    /// The bits of `NA_real_`: a NaN whose lower word is 1954.
    public static let naBits: UInt64 = 0x7FF0_0000_0000_07A2

    /// `NA_real_`. Not every operation keeps its bits.
    public static var naDouble: Double { Double(bitPattern: naBits) }

    /// Whether R takes a number for NA: any NaN whose lower word is 1954.
    public static func isNA(_ value: Double) -> Bool {
        value.isNaN && UInt32(truncatingIfNeeded: value.bitPattern) == 1954
    }
}
