extension RObject {
    /// Reads a stream: header and one item, nothing behind it.
    /// - Throws: what is wrong with the bytes, and where.
    public init(stream: [UInt8], limits: RLimits = RLimits()) throws(RSerializationError) {
        guard let (header, size) = try RStreamHeader.read(stream) else {
            throw RSerializationError(.truncated, "the bytes end in the header", at: stream.count)
        }
        let native = header.byteOrder == .littleEndian ? stream : try RItem.native(stream, headerSize: size, limits: limits)
        try self.init(native: native, from: size, limits: limits)
    }

    /// Reads an item.
    /// - Throws: what is wrong with the bytes, and where.
    public init(item: some Collection<UInt8>, limits: RLimits = RLimits()) throws(RSerializationError) {
        try self.init(native: Array(item), from: 0, limits: limits)
    }

    private init(native: [UInt8], from start: Int, limits: RLimits) throws(RSerializationError) {
        self = try unsafe native.span.bytes.withUnsafeBytes { (bytes) throws(RSerializationError) in
            var reader = try unsafe ValueReader(bytes, at: start, limits: limits)
            let value = try reader.value()
            try RItem.expectEnd(reader.position, of: bytes.count)
            return RObject(value, shared: reader.shared)
        }
    }

    /// Writes an item.
    /// - Throws: `tooDeep`; `badReference` when something shared is missing.
    public func item(limits: RLimits = RLimits()) throws(RSerializationError) -> [UInt8] {
        var writer = ValueWriter(shared: shared, limits: limits)
        try writer.write(value)
        return writer.output
    }

    /// Writes a stream, by default in native little-endian form of version 3.
    /// - Throws: `tooDeep`; `badReference` when something shared is missing.
    public func stream(header: RStreamHeader = RStreamHeader(), limits: RLimits = RLimits()) throws(RSerializationError) -> [UInt8] {
        var stream: [UInt8] = []
        header.write(to: &stream)
        let size = stream.count
        stream += try item(limits: limits)
        return header.byteOrder == .littleEndian ? stream : try RItem.bigEndian(stream, headerSize: size)
    }
}

extension RValue {
    /// Reads a stream, leaving aside what it shares: enough for data. See ``RObject``.
    public init(stream: [UInt8], limits: RLimits = RLimits()) throws(RSerializationError) {
        self = try RObject(stream: stream, limits: limits).value
    }

    /// Reads an item, leaving aside what it shares: enough for data. See ``RObject``.
    public init(item: some Collection<UInt8>, limits: RLimits = RLimits()) throws(RSerializationError) {
        self = try RObject(item: item, limits: limits).value
    }

    /// Writes an item.
    /// - Throws: `badReference` when there is anything shared in it; ``RObject`` can write that.
    public func item() throws(RSerializationError) -> [UInt8] { try RObject(self).item() }

    /// Writes a stream.
    /// - Throws: `badReference` when there is anything shared in it; ``RObject`` can write that.
    public func stream(header: RStreamHeader = RStreamHeader()) throws(RSerializationError) -> [UInt8] {
        try RObject(self).stream(header: header)
    }
}
