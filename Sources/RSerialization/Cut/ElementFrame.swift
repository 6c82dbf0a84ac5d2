/// What each element of an atomic vector has around it as an item: flags and length before, the attributes of its class behind.
///
///     Date:   [ REAL|obj|attr, 1 ]  number  [ class = "Date" ]
struct ElementFrame: Sendable {
    private var flags: UInt32 = 0
    private var suffix: [UInt8] = []

    /// Bytes of both parts.
    var byteCount: Int { 8 + suffix.count }

    /// Finds out what class the elements have. Elements of lists are as they are and have no frame.
    /// - Throws: `needsAsList` when only R can tell.
    init(
        of source: VectorSource, _ attributes: AttributeIndex, in bytes: UnsafeRawBufferPointer, table: DefinitionTable, limits: RLimits
    ) throws(RSerializationError) {
        flags = UInt32(source.type)
        let kept = try unsafe Self.keptAttributes(source, attributes, in: bytes)
        guard !kept.isEmpty else { return }
        flags |= Flags.attributes | Flags.object
        var walker = ItemWalker(limits: limits)
        var emitter = unsafe ElementEmitter(bytes, table: table)
        emitter.beginItem()
        for entry in kept {
            emitter.output.append(word: UInt32(TypeCode.pairlist) | Flags.tag)
            _ = try emitter.emit(from: entry.tag, definitions: entry.tagDefinitions, walker: &walker)
            _ = try emitter.emit(from: entry.value, definitions: entry.valueDefinitions, walker: &walker)
        }
        emitter.output.append(word: UInt32(TypeCode.null))
        suffix = emitter.output
    }

    /// The attributes that each element has, in the order in which R sets them.
    private static func keptAttributes(
        _ source: VectorSource, _ attributes: AttributeIndex, in bytes: UnsafeRawBufferPointer
    ) throws(RSerializationError) -> [AttributeIndex.Entry] {
        func refuse(_ what: String) -> RSerializationError {
            RSerializationError(.needsAsList, "\(what) must become a list in R first, by as.list()")
        }
        // R looks for names of a one-dimensional array elsewhere.
        if let names = attributes["dimnames"], try unsafe isOne(names, in: bytes) { throw refuse("an array of one dimension") }
        guard source.levels & Flags.s4Level == 0 else { throw refuse("an S4 object") }
        guard attributes["class"] != nil else {
            if source.isObject { throw refuse("an object without class") }
            return []
        }
        guard let names = try unsafe attributes.strings("class", in: bytes) else { throw refuse("an object of many classes") }
        func kept(_ wanted: String...) -> [AttributeIndex.Entry] { wanted.compactMap { attributes[$0] } }
        let isNumber = source.type == TypeCode.double || source.type == TypeCode.integer
        switch names {
        case ["factor"] where source.type == TypeCode.integer, ["ordered", "factor"] where source.type == TypeCode.integer:
            return kept("contrasts", "levels", "class")
        case ["Date"] where isNumber: return kept("class")
        case ["POSIXct", "POSIXt"] where isNumber: return kept("class", "tzone")
        case ["difftime"] where isNumber: return kept("class", "units")
        case ["data.frame"] where source.type == TypeCode.list: return []
        default: throw refuse("an object of class \(names.map { "\"\($0)\"" }.joined(separator: ", "))")
        }
    }

    /// Whether a list of the names along each dimension, which may be in a compact form, is of one dimension.
    private static func isOne(_ names: AttributeIndex.Entry, in bytes: UnsafeRawBufferPointer) throws(RSerializationError) -> Bool {
        var reader = try unsafe WordReader(bytes, at: names.value)
        guard Flags(try reader.word()).type == TypeCode.list else { return true }
        return try reader.length(elementBytes: 4) == 1
    }

    // MARK: Writing

    @inline(__always) func begin(_ output: inout [UInt8]) { output.append(words: flags, 1) }

    @inline(__always) func end(_ output: inout [UInt8]) {
        if !suffix.isEmpty { output.append(contentsOf: suffix) }
    }

    /// Appends `count` elements of `width` bytes; `store` puts the value of one in its place.
    @inline(__always) func fill(
        _ output: inout [UInt8], count: Int, width: Int, _ store: (Int, UnsafeMutableRawPointer) -> Void
    ) {
        let size = byteCount + width
        let head = UInt64(flags) | 1 << 32
        unsafe suffix.withUnsafeBytes { tail in
            output.append(addingCapacity: count * size) { span in
                unsafe span.withUnsafeMutableBufferPointer { buffer, initialized in
                    guard let start = buffer.baseAddress else { return }
                    var place = unsafe UnsafeMutableRawPointer(start + initialized)
                    for index in 0..<count {
                        unsafe place.storeBytes(of: head.littleEndian, as: UInt64.self)
                        unsafe store(index, place + 8)
                        if let from = tail.baseAddress { unsafe (place + 8 + width).copyMemory(from: from, byteCount: tail.count) }
                        unsafe place += size
                    }
                    initialized += count * size
                }
            }
        }
    }
}
