extension RJoiner {
    /// Joins items that are vectors of length one without attributes, all of one type, to the stream of one vector: what `unlist` or
    /// `vapply` would make of the list.
    /// - Parameter names: an item with a character vector as long as the vector.
    /// - Returns: the stream, native little-endian, version 3; nil when the items are not all of that kind, or there are none.
    /// - Throws: what is wrong with `names`.
    public static func simplified(
        _ items: RItems, names: [UInt8]? = nil, nativeEncoding: String = "UTF-8"
    ) throws(RSerializationError) -> [UInt8]? {
        guard let (type, byteCount) = items.commonType() else { return nil }
        var output: [UInt8] = []
        output.reserveCapacity(byteCount + (names?.count ?? 0) + RStreamHeader.longest + 64)
        RStreamHeader(nativeEncoding: nativeEncoding).write(to: &output)
        output.append(word: Flags(type, hasAttributes: names != nil).word)
        output.append(length: items.count)
        unsafe items.bytes.withUnsafeBytes { bytes in
            for index in 0..<items.count {
                let range = items.range(of: index)
                unsafe output.append(bytes, range.lowerBound + 8, range.upperBound)
            }
        }
        if let names {
            try RItem.check(names)
            // The only definition before the names is the symbol that says what they are, so names with definitions of their own
            // cannot be copied.
            guard names.first == TypeCode.string, !Flags(UInt32(names[1]) << 8).hasAttributes else {
                throw RSerializationError(.malformed, "names must be a plain character vector")
            }
            output.append(word: UInt32(TypeCode.pairlist) | Flags.tag)
            output.append(symbol: "names")
            output.append(contentsOf: names)
            output.append(word: UInt32(TypeCode.null))
        }
        return output
    }
}

extension RItems {
    /// The type that all items have when each is one plain element, and the bytes of all elements together.
    fileprivate func commonType() -> (type: UInt8, byteCount: Int)? {
        guard count > 0, bytes.count > 8 else { return nil }
        let type = bytes[0]
        let width = TypeCode.width(of: type)
        guard width > 0 || type == TypeCode.string else { return nil }
        for index in 0..<count {
            let range = range(of: index)
            guard range.count > 8, bytes[range.lowerBound] == type else { return nil }
            // No flags, length one.
            guard word(range.lowerBound) == UInt32(type), word(range.lowerBound + 4) == 1 else { return nil }
            if width > 0 {
                guard range.count == 8 + width else { return nil }
            } else {
                guard range.count >= 16, Flags(word(range.lowerBound + 8)).type == TypeCode.char,
                    !Flags(word(range.lowerBound + 8)).hasAttributes
                else { return nil }
                let size = Int32(bitPattern: word(range.lowerBound + 12))
                guard size >= -1, Int(max(size, 0)) == range.count - 16 else { return nil }
            }
        }
        return (type, bytes.count - 8 * count)
    }

    private func word(_ offset: Int) -> UInt32 {
        UInt32(bytes[offset]) | UInt32(bytes[offset + 1]) << 8 | UInt32(bytes[offset + 2]) << 16 | UInt32(bytes[offset + 3]) << 24
    }
}
