/// Where the attributes of a vector stand in its stream.
struct AttributeIndex {
    struct Entry {
        var name: String
        /// Where the symbol with the name, the value and the next attribute begin.
        var tag: Int
        var value: Int
        var end: Int
        /// How many definitions begin before the tag, and before the value.
        var tagDefinitions: Int
        var valueDefinitions: Int
    }

    private(set) var entries: [Entry] = []

    /// An attribute by its name.
    subscript(name: String) -> Entry? { entries.first { $0.name == name } }

    init(
        of source: VectorSource, in bytes: UnsafeRawBufferPointer, table: DefinitionTable, limits: RLimits
    ) throws(RSerializationError) {
        guard source.attributes > 0 else { return }
        var walker = ItemWalker(limits: limits)
        var visitor = NoVisitor()
        var reader = try unsafe WordReader(bytes, at: source.attributes)
        while true {
            let start = reader.position
            let flags = Flags(try reader.word())
            if flags.type == TypeCode.null { return }
            let tag = reader.position
            guard flags.type == TypeCode.pairlist, flags.hasTag, !flags.hasAttributes,
                let name = try unsafe table.symbol(at: tag, in: bytes)
            else { throw RSerializationError(.malformed, "attributes must be a list with names", at: start) }
            let value = try unsafe walker.walk(bytes, from: tag, visitor: &visitor)
            let end = try unsafe walker.walk(bytes, from: value, visitor: &visitor)
            entries.append(
                Entry(
                    name: unsafe String(decoding: bytes[name], as: UTF8.self), tag: tag, value: value, end: end,
                    tagDefinitions: table.countBefore(tag), valueDefinitions: table.countBefore(value)))
            guard entries.count <= Self.most else {
                throw RSerializationError(.tooLarge, "a vector with more than \(Self.most) attributes", at: start)
            }
            reader.position = end
        }
    }

    /// No vector that can be cut has more attributes.
    private static let most = 1000

    /// The type of an attribute's value.
    func type(of entry: Entry, in bytes: UnsafeRawBufferPointer) -> UInt8 { unsafe bytes[entry.value] }

    /// The strings of an attribute, when it is a plain character vector of few.
    func strings(_ name: String, in bytes: UnsafeRawBufferPointer) throws(RSerializationError) -> [String]? {
        guard let entry = self[name] else { return nil }
        var reader = try unsafe WordReader(bytes, at: entry.value)
        guard Flags(try reader.word()).type == TypeCode.string else { return nil }
        let count = try reader.length(elementBytes: 8)
        guard count <= 8 else { return nil }
        var strings: [String] = []
        for _ in 0..<count {
            let start = reader.position + 8
            try reader.skipString()
            unsafe strings.append(start > reader.position ? "" : String(decoding: bytes[start..<reader.position], as: UTF8.self))
        }
        return strings
    }

    /// The names as an item; nil when there are none.
    func copyOfNames(
        in bytes: UnsafeRawBufferPointer, table: DefinitionTable, limits: RLimits
    ) throws(RSerializationError) -> [UInt8]? {
        guard let names = self["names"] else { return nil }
        let type = unsafe type(of: names, in: bytes)
        guard type == TypeCode.string || type == TypeCode.altrep else {
            throw RSerializationError(.needsAsList, "names that are no character vector are for R to interpret", at: names.value)
        }
        var walker = ItemWalker(limits: limits)
        var emitter = unsafe ElementEmitter(bytes, table: table)
        emitter.beginItem()
        _ = try emitter.emit(from: names.value, definitions: names.valueDefinitions, walker: &walker)
        return emitter.output
    }
}
