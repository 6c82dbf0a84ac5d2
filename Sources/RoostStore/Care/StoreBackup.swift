import GRDB
import Glibc
import NIOCore
package import RoostModel
import RoostWire

/// A backup: one SQLite database that holds a pool's, and in tables of its own everything else of the pool.
///
///     pool's tables        as they were at one moment
///     carried_payloads     the payload files, in parts
///     carried_files        certificates, tokens, epoch: whoever has the backup has the pool
///
/// Made while a server writes: SQLite's write-ahead log lets readers keep the moment they began at. Payload files that
/// the server may remove meanwhile are held by second names (hard links) until they are copied.
package struct StoreBackup: Sendable {
    /// Of the backup.
    package var bytes = 0
    package var jobs = 0
    package var payloadFiles = 0

    /// "RoSB", in the file's header: a server does not take a backup for its database.
    static let applicationID: UInt32 = 0x526F_5342
    static let partBytes = 16 << 20

    static let tables = """
        CREATE TABLE carried_payloads (name BLOB, part INTEGER, body BLOB, PRIMARY KEY (name, part));
        CREATE TABLE carried_files (path TEXT PRIMARY KEY, body BLOB, sum INTEGER);
        """
    /// Where files are held, in the data directory; the process id follows. What begins so is removed when that process is
    /// gone: nobody else's files may be called so.
    static let holding = ".roost-backup-holds-"
    /// What goes along of the data directory beside database and payloads, where it is there. Whatever else somebody put
    /// there stays out, and so do the locks.
    static let carried = ["ca.pem", "server.pem", "pool-id", "tokens", "epoch"]
}

extension PoolDatabase {
    /// Copies all of a pool that is in its data directory into one file, also while a server works there.
    /// - Throws: `.conflict` when the file exists, `.damaged` when a payload file is, `.io` when something cannot be read
    ///   or written; then there is no file.
    @discardableResult
    package static func backup(directory data: String, to file: String) throws(RoostError) -> StoreBackup {
        let path = "\(data)/\(fileName)"
        guard try DatabaseFile.inspect(path, .current) else {
            throw RoostError(.notFound, "there is no database in \(data)", remedy: "Is this the server's --data directory?")
        }
        var status = stat()
        guard stat(file, &status) != 0 else {
            throw RoostError(.conflict, "\(file) is there already", remedy: "Name a file that is not there, or remove it.")
        }
        let temporary = "\(file).\(getpid()).new"
        defer { for end in ["", "-journal", "-wal", "-shm"] { unlink(temporary + end) } }
        var report: StoreBackup?
        var attempt = 0
        // The server may forget a job between the copy of the database and that of its files: then once more.
        while report == nil {
            attempt += 1
            for end in ["", "-journal", "-wal", "-shm"] { unlink(temporary + end) }
            do throws(RoostError) {
                report = try BackupMaker(data: data, file: file, temporary: temporary).make()
            } catch {
                guard error.code == .damaged, attempt < 5 else { throw error }
            }
        }
        try DatabaseFile.sync(temporary)
        guard rename(temporary, file) == 0 else { throw StoreFailure.system("cannot name the backup", file) }
        try PayloadFiles.syncDirectory(directory(of: file))
        return report ?? StoreBackup()
    }

    static func directory(of file: String) -> String {
        guard let slash = file.lastIndex(of: "/") else { return "." }
        return slash == file.startIndex ? "/" : String(file[..<slash])
    }
}

/// Makes one backup.
struct BackupMaker {
    let data: String
    /// The backup, and what it is called until it is whole.
    let file: String
    let temporary: String
    private let files: PayloadFiles
    private let held: PayloadFiles
    private let holding: String

    init(data: String, file: String, temporary: String) {
        self.data = data
        self.file = file
        self.temporary = temporary
        files = PayloadFiles(data: data)
        holding = "\(data)/\(StoreBackup.holding)\(getpid())"
        held = PayloadFiles(data: holding)
    }

    func make() throws(RoostError) -> StoreBackup {
        defer { DirectoryRemoval.remove(holding) }
        let path = "\(data)/\(PoolDatabase.fileName)"
        do {
            let source = try DatabaseQueue(path: path, configuration: PoolDatabase.configuration(isReadOnly: true))
            try PayloadFiles.makeDirectory(holding)
            try PayloadFiles.makeDirectory(held.directory)
            for (name, _) in try source.read(Self.names) { try hold(name) }
            try DatabaseFile.make(temporary)
            let target = try writing { try DatabaseQueue(path: temporary, configuration: Self.configuration) }
            try writing("cannot copy the database \(path) into the backup") { try source.backup(to: target) }
            try source.close()
            let report = try writing {
                try target.writeWithoutTransaction { db in
                    _ = try db.first("PRAGMA journal_mode = DELETE") { _ in }
                    var report = StoreBackup()
                    try db.inTransaction {
                        try db.execute(sql: StoreBackup.tables)
                        for (name, bytes) in try Self.names(db) {
                            try hold(name)
                            try carry(name, bytes, db)
                            report.payloadFiles += 1
                        }
                        for name in StoreBackup.carried { try carry(name, db) }
                        report.jobs = try db.first("SELECT jobs FROM meta") { Int($0.number(0)) } ?? 0
                        try db.execute(sql: "PRAGMA application_id = \(StoreBackup.applicationID)")
                        return .commit
                    }
                    return report
                }
            }
            try writing { try target.close() }
            var whole = report
            whole.bytes = DatabaseFile.size(of: temporary)
            return whole
        } catch {
            throw StoreFailure.error("cannot back up", path, error)
        }
    }

    /// What fails there fails at the backup, not at the pool.
    private func writing<Value>(_ what: String = "cannot write the backup", _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as DatabaseError {
            var failure = StoreFailure.error(what, file, error)
            if failure.code == .io {
                failure.remedy = "The pool is as it was. Make room for the backup, or name a file in another place."
            }
            throw failure
        }
    }

    static var configuration: Configuration {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = false
        configuration.label = "roost.backup"
        return configuration
    }

    private static func names(_ db: Database) throws -> [(PayloadName, Int)] {
        var names: [(PayloadName, Int)] = []
        try db.each("SELECT name, bytes FROM files") { row in
            if let name = PayloadName(row.buffer(0)) { names.append((name, Int(row.number(1)))) }
            return true
        }
        return names
    }

    /// A second name keeps the file when the server removes the first.
    private func hold(_ name: PayloadName) throws(RoostError) {
        try PayloadFiles.makeDirectory(PoolDatabase.directory(of: held.path(of: name)))
        guard link(files.path(of: name), held.path(of: name)) != 0, errno != EEXIST, errno != ENOENT else { return }
        throw StoreFailure.system("cannot give a second name to", files.path(of: name))
    }

    private func carry(_ name: PayloadName, _ bytes: Int, _ db: Database) throws {
        var content = try held.read(name, bytes: bytes)
        var part: Int64 = 0
        while let slice = content.readSlice(length: min(StoreBackup.partBytes, content.readableBytes)),
            slice.readableBytes > 0
        {
            try db.run(
                "INSERT INTO carried_payloads (name, part, body) VALUES (?, ?, ?)", .bytes(name.bytes), .number(part),
                .bytes(slice))
            part += 1
        }
    }

    private func carry(_ name: String, _ db: Database) throws {
        guard let bytes = try PrivateFiles.read("\(data)/\(name)") else { return }
        let content = ByteBuffer(bytes: bytes)
        try db.run(
            "INSERT INTO carried_files (path, body, sum) VALUES (?, ?, ?)", .text(name), .bytes(content),
            .number(Rows.sum(carried: name, content)))
    }
}
