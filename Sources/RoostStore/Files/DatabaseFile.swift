import Glibc
import RoostModel

/// A database file from outside, before SQLite gets to see it.
enum DatabaseFile {
    /// Whether there is a database at `path` that may be opened; false when there is nothing.
    ///
    /// SQLite takes an empty file for a new database, and fills it: so the header is read here first.
    static func inspect(_ path: String, _ schema: PoolSchema) throws(RoostError) -> Bool {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            guard errno == ENOENT else { throw StoreFailure.system("cannot open the database", path) }
            guard size(of: "\(path)-wal") == 0 else {
                throw RoostError(
                    .damaged, "\(path) is gone, but its write-ahead log \(path)-wal is there",
                    remedy: "Put the database back; both belong together.")
            }
            return false
        }
        defer { close(file) }
        var header = [UInt8](repeating: 0, count: 100)
        let count = pread(file, &header, header.count, 0)
        guard count >= 0 else { throw StoreFailure.system("cannot read the database", path) }
        guard count == header.count, header.starts(with: Array("SQLite format 3\0".utf8)) else {
            throw RoostError(
                .damaged, "\(path) is not a SQLite database, or cut short (it has \(size(of: path)) bytes)",
                remedy: StoreFailure.restoring)
        }
        func number(_ offset: Int) -> UInt32 {
            header[offset..<(offset + 4)].reduce(0) { $0 << 8 | UInt32($1) }
        }
        guard number(68) == PoolSchema.applicationID else {
            throw RoostError(
                .damaged, "\(path) is a SQLite database, but not a pool's", remedy: StoreFailure.restoring)
        }
        guard number(60) <= UInt32(schema.version) else { throw newer(path, Int(number(60)), schema) }
        let pageBytes = Int(header[16]) << 8 | Int(header[17])
        let expected = Int(number(28)) * (pageBytes == 1 ? 65_536 : pageBytes)
        // With a log beside it the file may be behind what its header says.
        if number(24) == number(92), size(of: "\(path)-wal") == 0, size(of: path) < expected {
            throw RoostError(
                .damaged, "the database \(path) is cut short: \(size(of: path)) bytes instead of \(expected)",
                remedy: StoreFailure.restoring)
        }
        return true
    }

    static func newer(_ path: String, _ version: Int, _ schema: PoolSchema) -> RoostError {
        RoostError(
            .conflict,
            "the database \(path) was written by a newer Roost: its version is \(version), this one knows \(schema.version)",
            remedy: "Install that Roost again, or take up a backup from before.")
    }

    /// In bytes; 0 when there is none.
    static func size(of path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }

    /// An empty file that only its owner may read; SQLite gives the same rights to the files beside it.
    static func make(_ path: String) throws(RoostError) {
        let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw StoreFailure.system("cannot make the file", path) }
        close(file)
    }

    static func sync(_ path: String) throws(RoostError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw StoreFailure.system("cannot open the file", path) }
        defer { close(file) }
        guard fsync(file) == 0 else { throw StoreFailure.system("cannot write to the disk the file", path) }
    }
}
