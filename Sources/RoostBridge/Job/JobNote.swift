import RSerialization

/// What a durable job carries for the sessions that attach to it: X's names, and what R wants its values to be.
///
/// A control: a named list in R's serialization.
struct JobNote {
    /// An item; nil: X has none.
    var names: [UInt8]?
    /// The encoding of strings of no stated one.
    var encoding = "UTF-8"
    /// Whether R wants one value instead of a list.
    var isSingle = false

    init(names: [UInt8]?, encoding: String, isSingle: Bool) {
        (self.names, self.encoding, self.isSingle) = (names, encoding, isSingle)
    }

    /// A job without a note, or with one of a later version, is read all the same.
    init(_ bytes: [UInt8]) {
        guard !bytes.isEmpty, let control = try? Control(stream: bytes) else { return }
        if case .strings(let names) = control["names"] { self.names = RItem.strings(names) }
        encoding = control.text("encoding") ?? "UTF-8"
        isSingle = control.flag("single") ?? false
    }

    var bytes: [UInt8] {
        var control = ControlWriter()
        if let names { control.set("names", item: names) }
        control.set("encoding", encoding)
        control.set("single", isSingle)
        return control.stream()
    }
}
