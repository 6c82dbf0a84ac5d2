import CRoostLinux
import Glibc
import RoostModel

/// Sessions' setup entries on this node: once for all its workers.
///
/// Small ones are sent to a worker as they are; large ones are a file in memory that every worker reads: pages of the
/// system's cache that belong to no directory, and are gone with the agent however it ends.
final class SetupStore {
    private var sessions: [SessionID: [Entry]] = [:]

    private enum Entry {
        case bytes([UInt8])
        case file(MemoryFile)
    }

    private static let fileBytes = 256 << 10

    /// - Throws: `.io` when the system gives no memory for a large one.
    func add(_ entry: SetupEntry) throws(RoostError) {
        guard sessions[entry.session]?.count ?? 0 == Int(entry.number) - 1 else { return }
        let kept = entry.payload.count < Self.fileBytes ? Entry.bytes(entry.payload) : .file(try MemoryFile(entry.payload))
        sessions[entry.session, default: []].append(kept)
    }

    /// What gives a worker entry `number`.
    /// - Throws: `.io` when the entry came, and there was no memory for it.
    func frame(_ number: UInt32, of session: SessionID) throws(RoostError) -> WorkerFrame {
        guard let entries = sessions[session], number >= 1, Int(number) <= entries.count else {
            throw RoostError(.io, "entry \(number) of the session's setup could not be kept on this node: it had no memory for it")
        }
        switch entries[Int(number) - 1] {
        case .bytes(let bytes): return RBatch.control(RBatch.ToWorker.setup, Int32(number), second: bytes)
        case .file(let file): return RBatch.control(RBatch.ToWorker.setupFile, Int32(number), path: file.path)
        }
    }

    func forget(_ session: SessionID) { sessions[session] = nil }
}

/// A file that is only memory; other processes of this user open it by its path while it lives.
final class MemoryFile: Sendable {
    let descriptor: Int32

    /// - Throws: `.io`.
    init(_ bytes: [UInt8]) throws(RoostError) {
        descriptor = roost_memory_file("roost")
        guard descriptor >= 0 else { throw Self.error() }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress?.advanced(by: written), $0.count - written) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                let error = Self.error()
                close(descriptor)
                throw error
            }
            written += count
        }
    }

    deinit { close(descriptor) }

    var path: String { "/proc/\(getpid())/fd/\(descriptor)" }

    private static func error() -> RoostError {
        RoostError(.io, "no memory for a worker's data", cause: String(cString: strerror(errno)))
    }
}
