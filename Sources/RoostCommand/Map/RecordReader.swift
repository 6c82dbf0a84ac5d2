import Glibc

/// Reads records from a file descriptor, one at a time, as they arrive; never more ahead than one read gives.
///
/// Blocks, so it belongs on a thread of its own. Bytes come through unchanged, valid UTF-8 or not.
final class RecordReader {
    private let descriptor: Int32
    private let name: String
    private let delimiter: [UInt8]
    private let recordBytes: Int
    private var buffer: [UInt8] = []
    /// Where the next record begins in `buffer`, and how far it has been searched.
    private var start = 0
    private var searched = 0
    private var isAtEnd = false

    /// - Parameter name: what the user called it, for messages.
    init(descriptor: Int32, name: String, delimiter: [UInt8], recordBytes: Int = MapLimits.recordBytes) {
        self.descriptor = descriptor
        self.name = name
        self.delimiter = delimiter
        self.recordBytes = recordBytes
    }

    /// Opens a file by its bytes (names need not be UTF-8); `-` is standard input.
    convenience init(path: [UInt8], delimiter: [UInt8]) throws(MapError) {
        if path == [UInt8(ascii: "-")] {
            self.init(descriptor: STDIN_FILENO, name: "standard input", delimiter: delimiter)
            return
        }
        let name = String(decoding: path, as: UTF8.self)
        let descriptor = (path.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer {
            open($0.baseAddress!, O_RDONLY | O_CLOEXEC)
        }
        guard descriptor >= 0 else { throw Self.unreadable(name, errno) }
        self.init(descriptor: descriptor, name: name, delimiter: delimiter)
    }

    deinit { if descriptor != STDIN_FILENO { close(descriptor) } }

    /// The next record, without its delimiter; nil at the end. A last record without delimiter counts when it
    /// is not empty.
    func next() throws(MapError) -> [UInt8]? {
        while true {
            if let end = delimiterPosition() {
                let record = Array(buffer[start..<end])
                start = end + delimiter.count
                searched = start
                return record
            }
            if isAtEnd {
                guard start < buffer.count else { return nil }
                let record = Array(buffer[start...])
                start = buffer.count
                return record
            }
            if buffer.count - start > recordBytes {
                throw MapError(
                    .roostFailed, "\(name): an input is longer than \(recordBytes >> 20) MiB",
                    remedy: "check the delimiter (-d, -0)")
            }
            try fill()
        }
    }

    /// Where the next delimiter stands; remembers how far it looked.
    private func delimiterPosition() -> Int? {
        guard let first = delimiter.first else { return nil }
        var from = max(searched, start)
        while from < buffer.count {
            let found = buffer.withUnsafeBytes { bytes -> Int? in
                guard let hit = memchr(bytes.baseAddress! + from, Int32(first), bytes.count - from) else { return nil }
                return bytes.baseAddress!.distance(to: hit)
            }
            guard let found else {
                searched = buffer.count
                return nil
            }
            if delimiter.count == 1 { return found }
            if found + delimiter.count > buffer.count {
                searched = found
                return nil
            }
            if buffer[found..<found + delimiter.count].elementsEqual(delimiter) { return found }
            from = found + 1
        }
        return nil
    }

    private func fill() throws(MapError) {
        if start > 0 {
            buffer.removeSubrange(..<start)
            searched = max(0, searched - start)
            start = 0
        }
        let size = MapLimits.readBytes
        let old = buffer.count
        var count = 0
        buffer.append(contentsOf: repeatElement(0, count: size))
        repeat {
            count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress! + old, size) }
        } while count < 0 && errno == EINTR
        let code = errno
        buffer.removeLast(size - max(0, count))
        if count < 0 { throw Self.unreadable(name, code) }
        if count == 0 { isAtEnd = true }
    }

    private static func unreadable(_ name: String, _ code: Int32) -> MapError {
        let remedy =
            switch code {
            case ENOENT: "check the name; inputs on the command line come after :::, files after ::::"
            case EISDIR: "name the file in it, or give its entries as inputs: ::: \(name)/*"
            case EACCES: "make it readable"
            default: ""
            }
        return MapError(
            .roostFailed, "cannot read the inputs in \(name): \(String(cString: strerror(code)))", remedy: remedy)
    }
}
