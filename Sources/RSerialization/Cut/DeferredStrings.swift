/// Strings that R has not made from their numbers yet.
extension VectorSource {
    /// Appends the string item that R would make for the element at `index`.
    func appendDeferred(_ index: Int, in bytes: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        if deferred == TypeCode.integer {
            let value =
                kind == .sequence
                ? integer(at: index)
                : unsafe Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: start + 4 * index, as: Int32.self))
            append(value == Int32.min ? nil : String(value), to: &output)
        } else {
            let value =
                kind == .sequence
                ? double(at: index)
                : unsafe Double(
                    bitPattern: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: start + 8 * index, as: UInt64.self)))
            append(RNumbers.isNA(value) ? nil : RNumbers.text(value), to: &output)
        }
    }

    private func append(_ text: String?, to output: inout [UInt8]) {
        if let text { output.append(charItem: text.utf8) } else { output.append(words: UInt32(TypeCode.char), UInt32.max) }
    }
}
