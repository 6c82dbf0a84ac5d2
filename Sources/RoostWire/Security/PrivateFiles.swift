import Glibc
package import RoostModel

/// Files that only their owner may read, replaced whole or not at all.
///
/// A write goes to a temporary file beside the target, reaches the disk, and takes the target's name; then the
/// directory reaches the disk. Whoever reads, before or after a crash, finds the old file or the new one.
package enum PrivateFiles {
    /// The largest file read here; ours are a few kilobytes.
    private static let mostBytes = 16 << 20

    /// Makes `path` a directory that only its owner can enter, or checks that it is one.
    package static func ensureDirectory(_ path: String) throws(RoostError) {
        var partial = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            partial += "/\(part)"
            if unsafe mkdir(partial, 0o700) != 0 && errno != EEXIST && errno != EISDIR {
                throw failure("cannot make the directory \(partial)")
            }
        }
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw failure("cannot look at the directory \(path)") }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw RoostError(.io, "\(path) is not a directory") }
        guard status.st_mode & 0o077 == 0 else {
            throw RoostError(
                .io, "the data directory \(path) is open to other users of this machine",
                remedy: "chmod 700 \(path), then make new tokens if somebody may have read the old ones")
        }
    }

    /// The bytes of the file at `path`; nil when there is none. A file that others may read is refused.
    package static func read(_ path: String) throws(RoostError) -> [UInt8]? {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("cannot open \(path)")
        }
        defer { close(file) }
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else { throw failure("cannot look at \(path)") }
        guard status.st_mode & S_IFMT == S_IFREG else { throw RoostError(.io, "\(path) is not a plain file") }
        guard status.st_mode & 0o077 == 0 else {
            throw RoostError(
                .io, "\(path) holds secrets and is open to other users of this machine",
                remedy: "chmod 600 \(path), then make new tokens if somebody may have read the old ones")
        }
        guard status.st_size <= mostBytes else {
            throw RoostError(.io, "\(path) is too large: \(status.st_size) bytes")
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var filled = 0
        while filled < bytes.count {
            let count = unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe Glibc.read(file, buffer.baseAddress.map { unsafe $0 + filled }, buffer.count - filled)
            }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure("cannot read \(path)") }
            if count == 0 { break }
            filled += count
        }
        bytes.removeSubrange(filled...)
        return bytes
    }

    /// Replaces the file at `path`, readable by its owner only.
    package static func write(_ bytes: [UInt8], to path: String) throws(RoostError) {
        let temporary = "\(path).\(getpid()).\(UInt32.random(in: 0 ... .max)).new"
        let file = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("cannot create \(temporary)") }
        do throws(RoostError) {
            defer { close(file) }
            try writeAll(bytes, to: file, path: temporary)
            guard fsync(file) == 0 else { throw failure("cannot write \(temporary) to the disk") }
        } catch {
            unsafe unlink(temporary)
            throw error
        }
        guard unsafe rename(temporary, path) == 0 else {
            let error = failure("cannot replace \(path)")
            unsafe unlink(temporary)
            throw error
        }
        try syncDirectory(of: path)
    }

    /// Runs `body` while no other process does the same under this lock file.
    package static func withLock<Result>(
        _ path: String, _ body: () throws(RoostError) -> Result
    ) throws(RoostError) -> Result {
        let file = unsafe open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("cannot open the lock \(path)") }
        defer { close(file) }
        while flock(file, LOCK_EX) != 0 {
            guard errno == EINTR else { throw failure("cannot lock \(path)") }
        }
        return try body()
    }

    /// What tells one version of a file from the next without reading it.
    struct Stamp: Hashable, Sendable {
        var inode: UInt64
        var bytes: Int64
        var seconds: Int
        var nanoseconds: Int
    }

    /// The stamp of the file at `path`; nil when there is none.
    static func stamp(of path: String) -> Stamp? {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        return Stamp(
            inode: UInt64(status.st_ino), bytes: Int64(status.st_size), seconds: status.st_mtim.tv_sec,
            nanoseconds: status.st_mtim.tv_nsec)
    }

    private static func writeAll(_ bytes: [UInt8], to file: CInt, path: String) throws(RoostError) {
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.write(file, buffer.baseAddress.map { unsafe $0 + written }, buffer.count - written)
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw failure("cannot write \(path)") }
            written += count
        }
    }

    private static func syncDirectory(of path: String) throws(RoostError) {
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let directory = unsafe open(parent.isEmpty ? "/" : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw failure("cannot open the directory \(parent)") }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw failure("cannot write the directory \(parent) to the disk") }
    }

    private static func failure(_ what: String) -> RoostError {
        RoostError(.io, what, cause: systemErrorText(errno))
    }
}

/// The system's words for an error number.
func systemErrorText(_ number: CInt) -> String {
    unsafe strerror(number).map { unsafe String(cString: $0) } ?? "error \(number)"
}
