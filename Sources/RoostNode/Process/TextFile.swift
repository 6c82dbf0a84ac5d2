import Glibc

/// Small files of /proc, /sys and our own state directory, read and written whole.
enum TextFile {
    /// The bytes of a file, at most `limit`; nil when it cannot be read.
    static func bytes(_ path: String, limit: Int = 1 << 20) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        return bytes(of: file, limit: limit)
    }

    /// What an open file still has to give. Files of /proc do not know their size, so it reads to the end.
    static func bytes(of file: Int32, limit: Int = 1 << 20) -> [UInt8]? {
        var all: [UInt8] = []
        while all.count < limit {
            let wanted = min(max(4096, all.count), limit - all.count)
            var failed = false
            let piece = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
                let got = read(file, buffer.baseAddress, wanted)
                failed = got < 0
                count = max(0, got)
            }
            if failed { return nil }
            if piece.isEmpty { break }
            all.append(contentsOf: piece)
        }
        return all
    }

    static func text(_ path: String) -> String? { bytes(path).map { String(decoding: $0, as: UTF8.self) } }

    /// Writes `text` in one call, as the files of /sys want it. Answers 0 or the errno.
    static func write(_ text: String, to path: String) -> Int32 {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return errno }
        defer { close(file) }
        let bytes = Array(text.utf8)
        return Glibc.write(file, bytes, bytes.count) == bytes.count ? 0 : errno
    }
}

extension StringProtocol {
    /// The pieces between `separator`s, none empty.
    func fields(_ separator: Character = " ") -> [SubSequence] { split(separator: separator) }

    /// The number after `key` in a file of `key number` or `key: number …` lines.
    func number(after key: String) -> UInt64? {
        for line in split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == ":" })
            if words.count >= 2, words[0] == key { return UInt64(words[1]) }
        }
        return nil
    }
}
