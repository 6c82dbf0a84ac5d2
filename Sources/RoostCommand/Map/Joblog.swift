import Glibc

/// The job log's file. Each line goes out in one write to a file opened for appending, so lines of two runs
/// never mix and a crash leaves at most one incomplete line, which is ended before the next.
package final class Joblog {
    private let descriptor: Int32
    private let path: String

    /// - Parameter appends: keep what is there (`+FILE`, `--resume`) instead of starting anew.
    package init(path: String, appends: Bool) throws(MapError) {
        self.path = path
        let mode = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | (appends ? 0 : O_TRUNC)
        descriptor = open(path, mode, 0o666)
        guard descriptor >= 0 else { throw Self.failure(path, errno) }
        let size = lseek(descriptor, 0, SEEK_END)
        if size <= 0 {
            try append(JoblogLine.header)
        } else {
            var last: UInt8 = 0
            if pread(descriptor, &last, 1, size - 1) == 1, last != UInt8(ascii: "\n") {
                try append([UInt8(ascii: "\n")])
            }
        }
    }

    deinit { close(descriptor) }

    package func append(_ line: [UInt8]) throws(MapError) {
        do {
            try FileWriting.writeAll(line, to: descriptor)
        } catch {
            throw Self.failure(path, error.code)
        }
    }

    /// The log of an earlier run; empty when there is none yet.
    package static func read(path: String) throws(MapError) -> [UInt8] {
        do {
            return try FileWriting.readAll(path)
        } catch {
            if error.code == ENOENT { return [] }
            throw MapError(
                .roostFailed, "cannot read the job log \(path): \(error.message)",
                remedy: "name a readable file with --joblog")
        }
    }

    private static func failure(_ path: String, _ code: Int32) -> MapError {
        MapError(
            .roostFailed, "cannot write the job log \(path): \(SystemError(code: code).message)",
            remedy: FileWriting.remedy(code, flag: "--joblog"))
    }
}
