import Glibc

/// Writes the files of `--results`. Files are opened for each piece: pieces of one task are rare and large,
/// tasks are many, and no descriptor stays open.
package final class ResultsDirectory {
    package init() {}

    /// Writes `bytes` at `offset` of the file; at offset 0 what an earlier attempt left is removed first.
    package func write(_ bytes: [UInt8], at offset: Int, of path: [UInt8]) throws(MapError) {
        let cPath = path.map { CChar(bitPattern: $0) } + [0]
        var descriptor = openFile(cPath, truncates: offset == 0)
        if descriptor < 0 && errno == ENOENT {
            try makeParents(of: path)
            descriptor = openFile(cPath, truncates: offset == 0)
        }
        guard descriptor >= 0 else { throw failure(path, errno) }
        defer { close(descriptor) }
        if offset > 0 && lseek(descriptor, off_t(offset), SEEK_SET) < 0 { throw failure(path, errno) }
        do {
            try FileWriting.writeAll(bytes, to: descriptor)
        } catch {
            throw failure(path, error.code)
        }
    }

    /// Whether a task's files say that it has ended: its `seq` is written last.
    package func isComplete(sequencePath: [UInt8]) -> Bool {
        (sequencePath.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer {
            access($0.baseAddress!, F_OK) == 0
        }
    }

    private func openFile(_ path: [CChar], truncates: Bool) -> Int32 {
        path.withUnsafeBufferPointer {
            open($0.baseAddress!, O_WRONLY | O_CREAT | O_CLOEXEC | (truncates ? O_TRUNC : 0), 0o666)
        }
    }

    private func makeParents(of path: [UInt8]) throws(MapError) {
        for (index, byte) in path.enumerated() where byte == UInt8(ascii: "/") && index > 0 {
            let parent = path[..<index].map { CChar(bitPattern: $0) } + [0]
            let made = parent.withUnsafeBufferPointer { mkdir($0.baseAddress!, 0o777) }
            if made != 0 && errno != EEXIST { throw failure(Array(path[..<index]), errno) }
        }
    }

    private func failure(_ path: [UInt8], _ code: Int32) -> MapError {
        let name = String(decoding: path, as: UTF8.self)
        return MapError(
            .roostFailed, "cannot write the results file \(name): \(SystemError(code: code).message)",
            remedy: FileWriting.remedy(code, flag: "--results"))
    }
}
