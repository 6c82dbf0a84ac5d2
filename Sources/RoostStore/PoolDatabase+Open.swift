import Dispatch
import GRDB
import Glibc
package import RoostModel
package import RoostScheduler
import RoostWire

/// A store that was opened and read.
struct OpenedStore {
    var path: String
    var pool: UInt64
    var options: StoreOptions
    var files: PayloadFiles
    var writer: DatabaseQueue
    var reader: DatabaseQueue
    var log: WriteAheadLog
    var ledger: Ledger
    var damage: [RoostError]
}

extension PoolDatabase {
    /// Opens the store in a data directory, making it when there is none, and reads everything but outcomes' payloads.
    ///
    /// The caller sees to it that only one process has the directory: a server holds its lock.
    /// - Parameters:
    ///   - data: The server's data directory; made (0700) when it is not there.
    ///   - pool: The pool's id; another pool's database is refused.
    /// - Throws: `.damaged` for a file that is no database or cut short, `.conflict` for another pool's or a newer
    ///   version's, `.io` when the disk cannot be used; then nothing has changed. What is damaged in single jobs is said
    ///   in ``StoredJob/damage``, and all of it in ``damage``.
    package static func open(
        directory data: String, pool: UInt64, options: StoreOptions = StoreOptions()
    ) throws(RoostError) -> (store: PoolDatabase, pool: StoredPool) {
        try open(directory: data, pool: pool, options: options, schema: .current)
    }

    /// The same with tables of another version, for tests.
    package static func open(
        directory data: String, pool: UInt64, options: StoreOptions, schema: PoolSchema
    ) throws(RoostError) -> (store: PoolDatabase, pool: StoredPool) {
        try PrivateFiles.ensureDirectory(data)
        let path = "\(data)/\(fileName)"
        let files = PayloadFiles(data: data)
        guard access(data, R_OK | W_OK | X_OK) == 0 else { throw StoreFailure.system("cannot write in the directory", data) }
        if try DatabaseFile.inspect(path, schema) {
            try WriteAheadLogFile.check("\(path)-wal", pageBytes: DatabaseFile.header(path).pageBytes)
            try checkPool(path, pool, schema)
        } else {
            guard access("\(path)\(unfinishedRestore)", F_OK) != 0 else { throw StoreFailure.restoreCutOff(data) }
            guard try files.list().isEmpty else {
                throw RoostError(
                    .damaged, "\(path) is gone, but there are payload files in \(files.directory)",
                    remedy:
                        "Put the database back, or take up a backup with 'roost server restore'. To begin anew, move \(files.directory) away."
                )
            }
            try create(path, pool, schema)
        }
        return try take(path, pool, options, files, schema)
    }

    /// The database's name in a data directory.
    package static let fileName = "pool.sqlite"

    /// Looks without writing anything: whose it is, and from which version.
    private static func checkPool(_ path: String, _ pool: UInt64, _ schema: PoolSchema) throws(RoostError) {
        let missing = ["-wal", "-shm"].filter { access(path + $0, F_OK) != 0 }
        do throws(RoostError) {
            try lookAtPool(path, pool, schema)
        } catch {
            // SQLite makes them even for who only reads, and leaves them; a database that is refused stays as it was.
            for end in missing { unlink(path + end) }
            throw error
        }
    }

    private static func lookAtPool(_ path: String, _ pool: UInt64, _ schema: PoolSchema) throws(RoostError) {
        let found: (version: Int, meta: MetaRow?)
        do {
            let database = try DatabaseQueue(path: path, configuration: configuration(isReadOnly: true))
            found = try database.read { db in
                (try db.first("PRAGMA user_version") { Int($0.number(0)) } ?? 0, try MetaRow.read(db))
            }
            try database.close()
        } catch {
            throw StoreFailure.error("cannot open the database", path, error, reading: true)
        }
        guard found.version <= schema.version else {
            throw DatabaseFile.newer(path, found.version, schema)
        }
        guard let meta = found.meta else {
            throw RoostError(
                .damaged, "the database \(path) does not say which pool it belongs to", remedy: StoreFailure.restoring)
        }
        guard meta.pool == pool else {
            throw RoostError(
                .conflict,
                "the database \(path) belongs to the pool \(StoreFailure.hexadecimal(meta.pool)), not to \(StoreFailure.hexadecimal(pool))",
                remedy: "Move the whole data directory, never the database alone.")
        }
    }

    /// Makes an empty database under another name, and gives it its own when it is whole and on the disk.
    private static func create(_ path: String, _ pool: UInt64, _ schema: PoolSchema) throws(RoostError) {
        let temporary = "\(path).new"
        for end in ["", "-wal", "-shm", "-journal"] { unlink(temporary + end) }
        try DatabaseFile.make(temporary)
        do {
            let database = try DatabaseQueue(path: temporary, configuration: configuration(isReadOnly: false))
            try database.writeWithoutTransaction { db in
                try db.execute(sql: "PRAGMA application_id = \(PoolSchema.applicationID)")
                _ = try db.first("PRAGMA journal_mode = WAL") { _ in }
            }
            try schema.migrate(database)
            try database.write { db in try MetaRow(pool: pool, lastNumber: 0, jobs: 0, nodes: 0).write(db) }
            try database.writeWithoutTransaction { db in _ = try db.checkpoint(.truncate) }
            try database.close()
        } catch {
            unlink(temporary)
            throw StoreFailure.error("cannot make the database", path, error)
        }
        try DatabaseFile.sync(temporary)
        guard rename(temporary, path) == 0 else { throw StoreFailure.system("cannot name the database", path) }
        try PayloadFiles.syncDirectory(String(path.dropLast(fileName.count + 1)))
    }

    /// Opens for writing, recovers, migrates, reads.
    private static func take(
        _ path: String, _ pool: UInt64, _ options: StoreOptions, _ files: PayloadFiles, _ schema: PoolSchema
    ) throws(RoostError) -> (PoolDatabase, StoredPool) {
        try PayloadFiles.makeDirectory(files.directory)
        try DirectoryRemoval.sweepHeld(String(path.dropLast(fileName.count + 1)))
        let log = WriteAheadLog()
        do {
            let writer = try DatabaseQueue(path: path, configuration: configuration(isReadOnly: false))
            try writer.writeWithoutTransaction { db in
                try db.execute(sql: "PRAGMA synchronous = FULL")
                try recover(db)
                try log.watch(db)
            }
            try schema.migrate(writer)
            let loaded = try writer.read { db in
                try PoolLoader(db: db, path: path, files: files, argumentBytes: options.argumentBytes).load()
            }
            let reader = try DatabaseQueue(path: path, configuration: configuration(isReadOnly: true))
            // Nothing is removed while it is uncertain what is needed.
            let swept = try loaded.names.map { names in
                try writer.write { db in try FileSweep(db: db, path: path, files: files).run(leaving: names) }
            }
            let store = PoolDatabase(
                OpenedStore(
                    path: path, pool: pool, options: options, files: files, writer: writer, reader: reader, log: log,
                    ledger: loaded.ledger, damage: loaded.damage + (swept ?? [])))
            return (store, loaded.pool)
        } catch {
            throw StoreFailure.error("cannot open the database", path, error)
        }
    }

    /// Copies what the last server left in the write-ahead log into the database, and syncs it.
    ///
    /// Were the log only gone on with: its last frames may stand in the kernel's memory alone, after a sync that failed,
    /// and new ones behind them would be lost with them.
    private static func recover(_ db: Database) throws {
        do {
            try db.checkpoint(.truncate)
        } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {
            // Somebody reads: a backup, a check. The log is copied, only not cut.
            try db.checkpoint(.passive)
        }
    }

    static func configuration(isReadOnly: Bool) -> Configuration {
        var configuration = Configuration()
        configuration.readonly = isReadOnly
        configuration.foreignKeysEnabled = false
        configuration.busyMode = .timeout(5)
        configuration.qos = .userInitiated
        configuration.label = isReadOnly ? "roost.store.reader" : "roost.store"
        configuration.prepareDatabase { db in
            // KiB; the sizes of pages are set when a database is made and stay.
            try db.execute(sql: "PRAGMA cache_size = -16384")
            if !isReadOnly { try db.execute(sql: "PRAGMA page_size = 8192") }
        }
        return configuration
    }
}
