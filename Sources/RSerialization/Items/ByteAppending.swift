/// Appending words and raw memory to an array of bytes.
extension [UInt8] {
    @inline(__always) mutating func append(word: UInt32) {
        unsafe Swift.withUnsafeBytes(of: word.littleEndian) { bytes in unsafe append(bytes, 0, 4) }
    }

    @inline(__always) mutating func append(words first: UInt32, _ second: UInt32) {
        append(word64: UInt64(first) | UInt64(second) << 32)
    }

    @inline(__always) mutating func append(word64: UInt64) {
        unsafe Swift.withUnsafeBytes(of: word64.littleEndian) { bytes in unsafe append(bytes, 0, 8) }
    }

    /// Appends the bytes `start..<end` of `source`.
    @inline(__always) mutating func append(_ source: UnsafeRawBufferPointer, _ start: Int, _ end: Int) {
        let count = end - start
        guard count > 0, let base = source.baseAddress else { return }
        append(addingCapacity: count) { span in
            unsafe span.withUnsafeMutableBufferPointer { buffer, initialized in
                guard let place = buffer.baseAddress else { return }
                unsafe UnsafeMutableRawPointer(place + initialized).copyMemory(from: base + start, byteCount: count)
                initialized += count
            }
        }
    }

    /// Appends a reference to the definition with this number, counted from 0.
    @inline(__always) mutating func append(reference number: Int) {
        let index = number + 1
        if index <= Flags.mostPackedIndex {
            append(word: UInt32(truncatingIfNeeded: index) << 8 | UInt32(TypeCode.reference))
        } else {
            append(words: UInt32(TypeCode.reference), UInt32(truncatingIfNeeded: index))
        }
    }

    /// Appends a vector's length in its short or long form.
    mutating func append(length: Int) {
        if length <= Int(Int32.max) {
            append(word: UInt32(length))
        } else {
            append(word: UInt32.max)
            append(words: UInt32(truncatingIfNeeded: length >> 32), UInt32(truncatingIfNeeded: length))
        }
    }

    /// Appends a string item. Its encoding bits are ASCII or UTF-8.
    mutating func append(charItem text: some Collection<UInt8>) {
        let isASCII = text.allSatisfy { $0 < 0x80 }
        append(word: UInt32(TypeCode.char) | UInt32(isASCII ? REncoding.asciiLevel : REncoding.utf8Level) << 12)
        append(word: UInt32(text.count))
        append(contentsOf: text)
    }

    /// Appends the definition of a symbol.
    mutating func append(symbol name: StaticString) {
        append(word: UInt32(TypeCode.symbol))
        unsafe append(charItem: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
    }
}

/// The encoding bits that a string carries in its levels.
enum REncoding {
    static let bytesLevel: UInt16 = 1 << 1
    static let latin1Level: UInt16 = 1 << 2
    static let utf8Level: UInt16 = 1 << 3
    static let asciiLevel: UInt16 = 1 << 6
}
