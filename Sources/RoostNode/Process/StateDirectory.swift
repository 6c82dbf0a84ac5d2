import CRoostLinux
import Glibc

/// The directory that makes a node the same node tomorrow: its id and its spool. One agent at a time holds it.
///
/// ```
///   DIR/lock   flock held by the agent's process; the text is its pid
///   DIR/node   the node's id, 16 hexadecimal digits, drawn once
/// ```
package final class StateDirectory: Sendable {
    package let path: String
    package let nodeID: UInt64
    private let lock: Int32

    /// Why a directory cannot be this node's state.
    package enum Failure: Error, Equatable, CustomStringConvertible {
        case heldByAnother(path: String, pid: Int32?)
        case onNetworkFileSystem(path: String, kind: String)
        case damaged(path: String)
        case system(path: String, errno: Int32)

        package var description: String {
            switch self {
            case .heldByAnother(let path, let pid):
                "state directory \(path) is in use by another agent\(pid.map { " (pid \($0))" } ?? ""); "
                    + "stop it, or give this one a directory of its own with --state DIR"
            case .onNetworkFileSystem(let path, let kind):
                "state directory \(path) is on a network file system (\(kind)), where two machines could take it at "
                    + "once; use --state DIR with a directory on a local disk"
            case .damaged(let path):
                "\(path) does not hold a node id of 16 hexadecimal digits; remove it to become a new node"
            case .system(let path, let error):
                "state directory \(path): \(words(error)); choose another with --state DIR"
            }
        }
    }

    /// Opens the directory, making it (and those above it) when it is not there.
    package init(path: String) throws(Failure) {
        self.path = path
        try Self.makeDirectories(path)
        if let kind = Self.networkFileSystem(type: roost_file_system_type(path)) {
            throw .onNetworkFileSystem(path: path, kind: kind)
        }
        lock = try Self.takeLock(path + "/lock", directory: path)
        do {
            nodeID = try Self.readOrDraw(path + "/node")
        } catch {
            close(lock)
            throw error
        }
    }

    deinit { close(lock) }

    /// The name of the network file system with this magic number; nil for a local one.
    package static func networkFileSystem(type: Int64) -> String? {
        switch type {
        case 0x6969: "NFS"
        case 0x517B, 0xFE53_4D42: "SMB"
        case 0xFF53_4D42: "CIFS"
        case 0x0BD0_0BD0: "Lustre"
        case 0x4750_4653: "GPFS"
        case 0x1983_0326: "BeeGFS"
        case 0x00C3_6400: "Ceph"
        case 0x5346_414F, 0x6B41_4653: "AFS"
        case 0x7461_636F, 0x7375_7245: "Coda"
        case 0x0102_1997: "9P"
        case 0xAAD7_AAEA: "PanFS"
        case 0x2003_0528, 0x6E66_7364: "OrangeFS"
        default: nil
        }
    }

    private static func makeDirectories(_ path: String) throws(Failure) {
        var made = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            made += "/" + part
            // Whose the node is, nobody else reads its spool.
            if mkdir(made, 0o700) != 0, errno != EEXIST { throw .system(path: path, errno: errno) }
        }
    }

    private static func takeLock(_ file: String, directory: String) throws(Failure) -> Int32 {
        let lock = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw .system(path: directory, errno: errno) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let error = errno
            let holder = TextFile.bytes(of: lock).flatMap { Int32(String(decoding: $0, as: UTF8.self).trimmedLine) }
            close(lock)
            if error == EWOULDBLOCK { throw .heldByAnother(path: directory, pid: holder) }
            throw .system(path: directory, errno: error)
        }
        let pid = Array("\(getpid())\n".utf8)
        guard ftruncate(lock, 0) == 0, pwrite(lock, pid, pid.count, 0) == pid.count else {
            let error = errno
            close(lock)
            throw .system(path: directory, errno: error)
        }
        return lock
    }

    /// The id in `file`; drawn, and on disk before it is used, when there is none. The lock is held.
    private static func readOrDraw(_ file: String) throws(Failure) -> UInt64 {
        if let text = TextFile.text(file) {
            let digits = text.trimmedLine
            guard digits.utf8.count == 16, let id = UInt64(digits, radix: 16) else { throw .damaged(path: file) }
            return id
        }
        guard errno == ENOENT else { throw .system(path: file, errno: errno) }
        let id = UInt64.random(in: 1...UInt64.max)
        let hex = String(id, radix: 16)
        let bytes = Array((String(repeating: "0", count: 16 - hex.utf8.count) + hex + "\n").utf8)
        let fresh = file + ".new"
        let output = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw .system(path: file, errno: errno) }
        let written = write(output, bytes, bytes.count) == bytes.count && fsync(output) == 0
        let error = errno
        close(output)
        guard written else { throw .system(path: file, errno: error) }
        guard rename(fresh, file) == 0 else { throw .system(path: file, errno: errno) }
        return id
    }
}
