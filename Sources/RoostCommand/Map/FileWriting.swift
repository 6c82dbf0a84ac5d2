import Glibc

/// A failed system call.
struct SystemError: Error, Hashable {
    var code: Int32
    var message: String { String(cString: strerror(code)) }
}

/// Whole reads and writes of files, with the error that stopped them.
enum FileWriting {
    static func writeAll(_ bytes: [UInt8], to descriptor: Int32) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress! + done, bytes.count - done) }
            if count >= 0 {
                done += count
            } else if errno == EAGAIN {
                // Standard output may be a terminal that somebody made non-blocking: wait until it takes more.
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&waiting, 1, -1)
            } else if errno != EINTR {
                throw SystemError(code: errno)
            }
        }
    }

    static func readAll(_ path: String) throws(SystemError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError(code: errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        let size = 1 << 16
        while true {
            let old = bytes.count
            bytes.append(contentsOf: repeatElement(0, count: size))
            let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress! + old, size) }
            bytes.removeLast(size - max(0, count))
            if count == 0 { return bytes }
            if count < 0 && errno != EINTR { throw SystemError(code: errno) }
        }
    }

    /// What a person can do about a write that failed.
    static func remedy(_ code: Int32, flag: String) -> String {
        switch code {
        case ENOSPC, EDQUOT:
            "make room there, or name another place with \(flag); what has ended is not lost: add --resume"
        case EACCES, EPERM, EROFS: "name a place that you may write to with \(flag)"
        case ENOENT, ENOTDIR: "make the directory first, or name another place with \(flag)"
        case EMFILE, ENFILE: "raise the limit of open files (ulimit -n)"
        default: "name another place with \(flag)"
        }
    }
}
