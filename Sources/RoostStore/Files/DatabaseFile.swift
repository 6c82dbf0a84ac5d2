import Glibc
import RoostModel

/// A database file from outside, before SQLite gets to see it.
enum DatabaseFile {
    /// What the first hundred bytes say.
    struct Header {
        var applicationID: UInt32
        /// The schema's.
        var version: Int
        var pageBytes: Int
        /// What the file should have; nil when that is not known.
        var bytes: Int?
    }

    /// Whether there is a database at `path` that may be opened; false when there is nothing.
    ///
    /// SQLite takes an empty file for a new database, and fills it: so the header is read here first.
    static func inspect(_ path: String, _ schema: PoolSchema) throws(RoostError) -> Bool {
        guard access(path, F_OK) == 0 else {
            guard errno == ENOENT else { throw StoreFailure.system("cannot look at the database", path) }
            guard size(of: "\(path)-wal") == 0 else {
                throw RoostError(
                    .damaged, "\(path) is gone, but its write-ahead log \(path)-wal is there",
                    remedy: "Put the database back; both belong together.")
            }
            return false
        }
        let header = try header(path)
        if header.applicationID == StoreBackup.applicationID {
            throw RoostError(
                .conflict, "\(path) is a backup", remedy: "'roost server restore' makes a data directory from it.")
        }
        guard header.applicationID == PoolSchema.applicationID else {
            throw RoostError(.damaged, "\(path) is a SQLite database, but not a pool's", remedy: StoreFailure.restoring)
        }
        guard header.version <= schema.version else { throw newer(path, header.version, schema) }
        // With a log beside it the file may be behind what its header says.
        if let bytes = header.bytes, size(of: "\(path)-wal") == 0, size(of: path) < bytes {
            throw RoostError(
                .damaged, "the database \(path) is cut short: \(size(of: path)) bytes instead of \(bytes)",
                remedy: StoreFailure.restoring)
        }
        return true
    }

    /// - Throws: `.damaged` when the file at `path` is no SQLite database.
    static func header(_ path: String) throws(RoostError) -> Header {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw StoreFailure.system("cannot open the database", path) }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 100)
        let count = pread(file, &bytes, bytes.count, 0)
        guard count >= 0 else { throw StoreFailure.system("cannot read the database", path) }
        guard count == bytes.count, bytes.starts(with: Array("SQLite format 3\0".utf8)) else {
            throw RoostError(
                .damaged, "\(path) is not a SQLite database, or cut short (it has \(size(of: path)) bytes)",
                remedy: StoreFailure.restoring)
        }
        func number(_ offset: Int) -> Int { bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | Int($1) } }
        let pageBytes = Int(bytes[16]) << 8 | Int(bytes[17])
        guard pageBytes == 1 || pageBytes >= 512 && pageBytes & (pageBytes - 1) == 0 else {
            throw RoostError(.damaged, "the header of the database \(path) is damaged", remedy: StoreFailure.restoring)
        }
        let page = pageBytes == 1 ? 65_536 : pageBytes
        return Header(
            applicationID: UInt32(number(68)), version: number(60), pageBytes: page,
            bytes: number(24) == number(92) ? number(28) * page : nil)
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
