import NIOCore
import RoostModel

/// Where the bytes of a payload are: in the row itself, or in a file that the row names.
enum StoredBody: Sendable {
    case inline(ByteBuffer)
    case file(PayloadName, bytes: Int)

    /// What the payload takes on the disk, in bytes.
    var bytes: Int {
        switch self {
        case .inline(let bytes): bytes.readableBytes
        case .file(_, let bytes): bytes
        }
    }

    var name: PayloadName? {
        if case .file(let name, _) = self { name } else { nil }
    }

    /// The bytes; nil when they are in a file, and no files are to be read.
    func content(in files: PayloadFiles?) throws(RoostError) -> ByteBuffer? {
        switch self {
        case .inline(let bytes): bytes
        case .file(let name, let bytes): try files?.read(name, bytes: bytes)
        }
    }

    // A body is three columns: body, file, bytes.

    var body: Binding {
        if case .inline(let bytes) = self { .bytes(bytes) } else { .null }
    }
    var file: Binding { name.map { .bytes($0.bytes) } ?? .null }
    var size: Binding { .number(Int64(bytes)) }
}

extension RowSum {
    mutating func add(_ body: StoredBody) {
        switch body {
        case .inline(let bytes):
            add(Int64(0))
            add(bytes)
        case .file(let name, let bytes):
            add(Int64(1))
            add(name.bytes)
            add(Int64(bytes))
        }
    }
}

extension Columns {
    /// The body whose three columns begin at `column`; nil when they make no sense.
    func body(_ column: Int) -> StoredBody? {
        if isNull(column + 1) {
            let bytes = buffer(column)
            return bytes.readableBytes == Int(number(column + 2)) ? .inline(bytes) : nil
        }
        guard isNull(column), let name = PayloadName(buffer(column + 1)), number(column + 2) >= 0 else { return nil }
        return .file(name, bytes: Int(number(column + 2)))
    }
}
