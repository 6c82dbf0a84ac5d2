import Glibc
import RoostModel

/// SQLite's write-ahead log, read by itself: SQLite takes the first frame that does not verify for the end of the log,
/// and forgets what follows. After a crash that is right; when a bit flipped, acknowledged groups would be gone in silence.
///
///     header   magic, version, page size, sequence, salt ×2, checksum ×2           32 bytes
///     frame    page, size after commit (0: not the last of its transaction), salt ×2, checksum ×2, the page
///
/// Each checksum goes on from the one before. So behind a damaged frame the next ones still verify, from the checksum
/// that is written in it. And since a transaction is synced before the next one begins, a frame of a later transaction
/// proves that all of the earlier one was on the disk: it was not a crash that cut it.
///
/// The last transaction has nobody to prove it: there a flipped bit looks like a crash.
struct WriteAheadLogFile {
    private let file: CInt
    private let path: String
    private let frameBytes: Int
    private let isBigEndian: Bool

    /// - Throws: `.damaged` when acknowledged transactions cannot be read; `.io` when the file cannot.
    static func check(_ path: String, pageBytes: Int) throws(RoostError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return }
            throw StoreFailure.system("cannot open", path)
        }
        defer { close(file) }
        var magic: [UInt8] = [0, 0, 0, 0]
        // An odd magic number says that checksums are over big-endian words; only the last bit of it matters.
        guard pread(file, &magic, 4, 0) == 4 else { return }
        try WriteAheadLogFile(
            file: file, path: path, frameBytes: 24 + pageBytes, isBigEndian: magic[3] & 1 == 1
        ).check()
    }

    private struct Frame {
        var salts: UInt64
        var endsTransaction: Bool
        /// As it is written there.
        var checksum: Checksum
        /// What is summed: the first eight bytes of its header, and the page.
        var content: [UInt8]
    }

    private struct Checksum: Equatable {
        var first: UInt32
        var second: UInt32

        mutating func add(_ bytes: UnsafeRawBufferPointer, isBigEndian: Bool) {
            var (first, second) = (first, second)
            for offset in stride(from: 0, to: bytes.count - 7, by: 8) {
                var one = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
                var two = bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
                if isBigEndian { (one, two) = (one.byteSwapped, two.byteSwapped) }
                first = first &+ one &+ second
                second = second &+ two &+ first
            }
            (self.first, self.second) = (first, second)
        }
    }

    private func check() throws(RoostError) {
        guard let header = try read(at: 0, count: 32) else { return }
        var expected = Checksum(first: 0, second: 0)
        header[..<24].withUnsafeBytes { expected.add($0, isBigEndian: isBigEndian) }
        let isHeaderGood = expected == Self.checksum(header, at: 24)
        let salts = isHeaderGood ? Self.salts(header, at: 16) : nil
        var position = 0
        while isHeaderGood, let frame = try self.frame(position), frame.salts == salts,
            follows(frame, expected)
        {
            expected = frame.checksum
            position += 1
        }
        guard let lost = try laterTransaction(from: position, salts) else { return }
        throw RoostError(
            .damaged,
            "the write-ahead log \(path) is damaged at its frame \(position), and there are transactions behind it (frame \(lost))",
            remedy: "'roost server restore' takes up a backup. To go on without what was written last, move \(path) away.")
    }

    /// A frame from `position` on that proves that a transaction before it was whole.
    private func laterTransaction(from position: Int, _ salts: UInt64?) throws(RoostError) -> Int? {
        var position = position
        var before: Frame?
        var isEndSeen = false
        while let frame = try self.frame(position) {
            if let before, isEndSeen, frame.salts == salts ?? before.salts, frame.salts == before.salts,
                follows(frame, before.checksum)
            {
                return position
            }
            // Frames of an older log, which the new one has not overwritten yet, tell nothing.
            if salts != nil, frame.salts != salts, before.map({ $0.salts != salts }) ?? false { return nil }
            isEndSeen = isEndSeen || frame.endsTransaction
            before = frame
            position += 1
        }
        return nil
    }

    private func follows(_ frame: Frame, _ before: Checksum) -> Bool {
        var sum = before
        frame.content.withUnsafeBytes { sum.add($0, isBigEndian: isBigEndian) }
        return sum == frame.checksum
    }

    private func frame(_ position: Int) throws(RoostError) -> Frame? {
        guard let bytes = try read(at: 32 + position * frameBytes, count: frameBytes) else { return nil }
        return Frame(
            salts: Self.salts(bytes, at: 8), endsTransaction: bytes[4..<8].contains { $0 != 0 },
            checksum: Self.checksum(bytes, at: 16), content: Array(bytes[..<8]) + bytes[24...])
    }

    /// nil at the end of the file.
    private func read(at offset: Int, count: Int) throws(RoostError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = pread(file, &bytes, count, offset)
        guard got >= 0 else { throw StoreFailure.system("cannot read", path) }
        return got == count ? bytes : nil
    }

    private static func word(_ bytes: [UInt8], at offset: Int) -> UInt32 {
        bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | UInt32($1) }
    }

    private static func salts(_ bytes: [UInt8], at offset: Int) -> UInt64 {
        UInt64(word(bytes, at: offset)) << 32 | UInt64(word(bytes, at: offset + 4))
    }

    private static func checksum(_ bytes: [UInt8], at offset: Int) -> Checksum {
        Checksum(first: word(bytes, at: offset), second: word(bytes, at: offset + 4))
    }
}
