package import RSerialization

/// The elements of a control's stream, each an item.
///
/// A hundred bytes can say a compact sequence of a billion elements, and an environment that many elements refer to is written
/// into each of them: what becomes of the stream is bounded before the secret is compared.
package struct ControlItems {
    package let names: [String?]
    package let items: RItems
    package let nativeEncoding: String

    /// - Throws: what is wrong with the bytes; `tooLarge` for more than a control can be.
    package init(_ stream: [UInt8]) throws(RSerializationError) {
        // The cutter expands the compact forms that R writes for 1:10 and as.character(x).
        var cutter = try RCutter(stream)
        guard cutter.count <= BridgeLimits.controlElements else {
            throw RSerializationError(
                .tooLarge, "a control of \(cutter.count) elements; at most \(BridgeLimits.controlElements) are allowed")
        }
        let most = 2 * stream.count + BridgeLimits.controlGrowthBytes
        var items = RItems()
        while try cutter.next(1, into: &items) > 0 {
            guard items.bytes.count <= most else {
                throw RSerializationError(.tooLarge, "a control of \(stream.count) bytes grows to more than \(most)")
            }
        }
        var names = [String?](repeating: nil, count: items.count)
        if let item = cutter.names, case .strings(let found) = ControlValue(item[...]), found.count == items.count { names = found }
        self.names = names
        self.items = items
        nativeEncoding = cutter.nativeEncoding
    }

    package subscript(_ name: String) -> ArraySlice<UInt8>? { names.firstIndex(of: name).map { items[$0] } }
}
