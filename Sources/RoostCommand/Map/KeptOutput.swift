import CRoostLinux
import Glibc
import RoostModel

/// Output that is too large to be held in memory until its task's turn: a file for each stream, without a name, so that
/// nothing of it is left however we end.
struct KeptOutput {
    struct Key: Hashable {
        var task: Int
        var stream: OutputChunk.Stream
    }

    /// Open files: written to their end, then read from their beginning.
    private var files: [Key: File] = [:]

    private struct File {
        var descriptor: Int32
        var isRead = false
    }

    mutating func append(_ bytes: [UInt8], to key: Key) throws(MapError) {
        let descriptor: Int32
        if let file = files[key] {
            descriptor = file.descriptor
        } else {
            descriptor = try Self.open()
            files[key] = File(descriptor: descriptor)
        }
        do { try FileWriting.writeAll(bytes, to: descriptor) } catch { throw Self.failure(error.code) }
    }

    /// The next bytes, from the beginning on; none when that was all, and then nothing is kept any longer.
    mutating func next(of key: Key) throws(MapError) -> [UInt8] {
        guard var file = files[key] else { return [] }
        if !file.isRead {
            lseek(file.descriptor, 0, SEEK_SET)
            file.isRead = true
            files[key] = file
        }
        while true {
            var error: Int32 = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: MapLimits.keptReadBytes) { buffer, count in
                let got = read(file.descriptor, buffer.baseAddress, buffer.count)
                if got < 0 { error = errno }
                count = max(0, got)
            }
            if error == EINTR { continue }
            if error != 0 { throw Self.failure(error) }
            if bytes.isEmpty { drop(key) }
            return bytes
        }
    }

    mutating func drop(_ key: Key) {
        if let file = files.removeValue(forKey: key) { close(file.descriptor) }
    }

    private static var directory: String {
        guard let named = getenv("TMPDIR"), named.pointee != 0 else { return "/tmp" }
        return String(cString: named)
    }

    private static func open() throws(MapError) -> Int32 {
        let descriptor = roost_unnamed_file(directory)
        guard descriptor >= 0 else { throw failure(errno) }
        return descriptor
    }

    private static func failure(_ code: Int32) -> MapError {
        MapError(
            .roostFailed, "cannot keep a task's output in \(directory): \(SystemError(code: code).message)",
            remedy: FileWriting.remedy(code, flag: "TMPDIR"))
    }
}
