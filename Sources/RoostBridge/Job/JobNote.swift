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
        guard !bytes.isEmpty, let control = try? Control(stream: bytes) else { return }
        if control.has("names") { names = Self.element("names", of: bytes) }
        encoding = control.text("encoding") ?? "UTF-8"
        isSingle = control.flag("single") ?? false
    }

    /// As R wrote it: a long vector may be in one of R's compact forms, as `as.character(1:10000)` is.
    private static func element(_ name: String, of stream: [UInt8]) -> [UInt8]? {
        guard var cutter = try? RCutter(stream), let items = try? cutter.cut(),
            let item = cutter.names, case .strings(let names) = ControlValue(item[...]),
            let index = names.firstIndex(of: name), index < items.count
        else { return nil }
        return Array(items[index])
    }

    package var bytes: [UInt8] {
        var control = ControlWriter()
        if let names { control.set("names", item: names) }
        control.set("encoding", encoding)
        control.set("single", isSingle)
        return control.stream()
    }
}
