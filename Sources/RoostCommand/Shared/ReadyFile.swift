import Glibc
import RoostModel

/// A file that appears, whole, when something is ready; scripts and tests wait for it.
enum ReadyFile {
    static func write(_ text: String, to path: String) throws(RoostError) {
        let temporary = "\(path).\(getpid()).new"
        func failure() -> RoostError {
            RoostError(.io, "cannot write the ready file \(path)", cause: String(cString: strerror(errno)))
        }
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw failure() }
        let bytes = Array("\(text)\n".utf8)
        let count = Glibc.write(file, bytes, bytes.count)
        close(file)
        guard count == bytes.count, rename(temporary, path) == 0 else {
            let error = failure()
            unlink(temporary)
            throw error
        }
    }
}
