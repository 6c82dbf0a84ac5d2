import Glibc
import NIOCore
import RoostModel

/// The payloads that are too large for rows: a file each, named by what is in it.
///
///     <data>/payloads/3f/3f9a…   64 digits, the SHA-256 of the content; 0600
///
/// A file is written under another name, reaches the disk, and takes its own name; then its directory reaches the disk,
/// all before the row that names it. So a row's file is always there, whole. A crash may leave files without rows: the
/// next start removes them.
struct PayloadFiles: Sendable {
    let directory: String

    init(data: String) { directory = "\(data)/payloads" }

    /// Writes what is not there yet.
    func store(_ payloads: [PayloadName: ByteBuffer], _ options: StoreOptions) throws(RoostError) {
        guard !payloads.isEmpty else { return }
        var changed: Set<String> = []
        for (name, content) in payloads {
            let parent = folder(of: name)
            if try Self.makeDirectory(parent) { changed.insert(directory) }
            changed.insert(parent)
            let final = path(of: name)
            let temporary = "\(final)\(Self.unfinished)"
            try options.reached(.beforePayloadWrite)
            do throws(RoostError) {
                try Self.write(content, to: temporary, options)
                try options.reached(.beforePayloadRename)
                guard rename(temporary, final) == 0 else { throw StoreFailure.system("cannot name the file", final) }
            } catch {
                unlink(temporary)
                throw error
            }
        }
        try options.reached(.beforeDirectorySync)
        for path in changed { try Self.syncDirectory(path) }
    }

    /// - Throws: `.damaged` when the file is gone, or is not what was written; `.io` when it cannot be read.
    func read(_ name: PayloadName, bytes: Int) throws(RoostError) -> ByteBuffer {
        let path = path(of: name)
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { throw RoostError(.damaged, "the payload file \(path) is gone") }
            throw StoreFailure.system("cannot open the payload file", path)
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw StoreFailure.system("cannot look at the payload file", path) }
        guard Int(status.st_size) == bytes else {
            throw RoostError(.damaged, "the payload file \(path) has \(status.st_size) bytes instead of \(bytes)")
        }
        var content = ByteBuffer()
        var filled = 0
        while filled < bytes {
            var count = 0
            content.writeWithUnsafeMutableBytes(minimumWritableBytes: bytes - filled) {
                count = Glibc.read(file, $0.baseAddress, bytes - filled)
                return max(0, count)
            }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw StoreFailure.system("cannot read the payload file", path) }
            guard count > 0 else { throw RoostError(.damaged, "the payload file \(path) was cut short while it was read") }
            filled += count
        }
        guard PayloadName(of: content) == name else {
            throw RoostError(.damaged, "the payload file \(path) is not what was written")
        }
        return content
    }

    /// The bytes of a payload, wherever they are.
    func content(of body: StoredBody) throws(RoostError) -> ByteBuffer {
        switch body {
        case .inline(let bytes): bytes
        case .file(let name, let bytes): try read(name, bytes: bytes)
        }
    }

    func contains(_ name: PayloadName) -> Bool { access(path(of: name), F_OK) == 0 }

    /// Removes a file whose last row is gone. One that stays behind is removed at the next start.
    func remove(_ name: PayloadName) { unlink(path(of: name)) }

    func path(of name: PayloadName) -> String {
        let text = "\(name)"
        return "\(directory)/\(text.prefix(2))/\(text)"
    }

    private func folder(of name: PayloadName) -> String { "\(directory)/\("\(name)".prefix(2))" }

    /// What a file is called until it is whole.
    static let unfinished = ".new"

    private static func write(_ content: ByteBuffer, to path: String, _ options: StoreOptions) throws(RoostError) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw StoreFailure.system("cannot make the file", path) }
        defer { close(file) }
        var written = 0
        while written < content.readableBytes {
            let count = content.withUnsafeReadableBytes { bytes in
                Glibc.write(file, bytes.baseAddress.map { $0 + written }, bytes.count - written)
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw StoreFailure.system("cannot write the file", path) }
            written += count
        }
        try options.reached(.beforePayloadSync)
        guard fsync(file) == 0 else { throw StoreFailure.system("cannot write to the disk the file", path) }
    }

    /// Whether it was not there before.
    @discardableResult
    static func makeDirectory(_ path: String) throws(RoostError) -> Bool {
        if mkdir(path, 0o700) == 0 { return true }
        guard errno == EEXIST else { throw StoreFailure.system("cannot make the directory", path) }
        return false
    }

    static func syncDirectory(_ path: String) throws(RoostError) {
        let file = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard file >= 0 else { throw StoreFailure.system("cannot open the directory", path) }
        defer { close(file) }
        guard fsync(file) == 0 else { throw StoreFailure.system("cannot write to the disk the directory", path) }
    }
}
