import RSerialization

/// What a durable job carries for the sessions that attach to it: X's names, and what R wants its values to be.
///
/// A control: a named list in R's serialization.
package struct JobNote {
    /// An item; nil: X has none.
    package var names: [UInt8]?
    /// The encoding of strings of no stated one.
    package var encoding = "UTF-8"
    /// Whether R wants one value instead of a list.
    package var isSingle = false

    package init(names: [UInt8]?, encoding: String, isSingle: Bool) {
        (self.names, self.encoding, self.isSingle) = (names, encoding, isSingle)
    }

    /// A job without a note, or with one of a later version, is read all the same.
    package init(_ bytes: [UInt8]) {
        guard !bytes.isEmpty, let cut = try? ControlItems(bytes) else { return }
        // As R wrote them: a long vector may be in one of R's compact forms, as `as.character(1:10000)` is.
        if let item = cut["names"], item != RItem.null[...] { names = Array(item) }
        if let item = cut["encoding"], case .strings(let texts) = ControlValue(item), texts.count == 1, let text = texts[0] {
            encoding = text
        }
        if let item = cut["single"], case .logicals(let flags) = ControlValue(item) { isSingle = flags == [true] }
    }

    package var bytes: [UInt8] {
        var control = ControlWriter()
        if let names { control.set("names", item: names) }
        control.set("encoding", encoding)
        control.set("single", isSingle)
        return control.stream()
    }
}
