import Glibc
package import RoostModel
package import RoostWire

/// The server's directory: certificates, tokens, the epoch. One server at a time.
///
///     <data>/            0700
///       ca.pem … leaf …  the pool's authority
///       tokens           hashes of secrets
///       epoch            counts starts
///       lock             held while a server runs; says which
package final class DataDirectory: Sendable {
    package let path: String
    package let authority: CertificateAuthority
    package let tokens: TokenStore
    package let epoch: Epoch
    private let lock: Int32

    /// Opens (and first makes) the directory for a server. Nothing of a pool that is there changes before
    /// ``beginEpoch()``.
    /// - Throws: `.io` when it cannot be used, `.conflict` when a live server has it.
    package init(serving path: String, at now: WallTime) throws(RoostError) {
        self.path = path
        try PrivateFiles.ensureDirectory(path)
        lock = try Self.takeLock("\(path)/lock", directory: path)
        authority = try CertificateAuthority.open(directory: path, at: now)
        tokens = try TokenStore(directory: path)
        let file = "\(path)/epoch"
        let last = try PrivateFiles.read(file).flatMap { Epoch(String(decoding: $0, as: UTF8.self)) } ?? 0
        epoch = last + 1
    }

    /// Makes it known that this epoch has begun: once all that the server needs was found to be in order, and before
    /// anybody hears of it.
    package func beginEpoch() throws(RoostError) {
        try PrivateFiles.write(Array("\(epoch)".utf8), to: "\(path)/epoch")
    }

    deinit { close(lock) }

    private static func takeLock(_ file: String, directory: String) throws(RoostError) -> Int32 {
        let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw RoostError(.io, "cannot open \(file)", cause: String(cString: strerror(errno)))
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            var buffer = [UInt8](repeating: 0, count: 32)
            let count = read(descriptor, &buffer, buffer.count)
            close(descriptor)
            let holder = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
            throw RoostError(
                .conflict, "a server (process \(holder)) is using \(directory) already",
                remedy: "Stop it, or choose another directory with --data.")
        }
        ftruncate(descriptor, 0)
        let text = Array("\(getpid())".utf8)
        pwrite(descriptor, text, text.count, 0)
        return descriptor
    }
}
