import GRDB
import GRDBSQLite
import Synchronization

/// When SQLite's write-ahead log is copied into the database: when it is long, and after everybody who waits for the
/// commit was told.
///
/// SQLite by itself would do it inside a commit, and say nothing when it fails.
final class WriteAheadLog: Sendable {
    private let pages = Atomic<Int>(0)
    /// How long the log may be; more than the limit while a reader keeps it from beginning again.
    private let limit = Atomic<Int>(0)

    /// Lets SQLite tell how long its log is. The log object must outlive the connection.
    func watch(_ db: Database) throws {
        try db.execute(sql: "PRAGMA wal_autocheckpoint = 0")
        sqlite3_wal_hook(
            db.sqliteConnection,
            { log, _, _, pages in
                guard let log else { return SQLITE_OK }
                Unmanaged<WriteAheadLog>.fromOpaque(log).takeUnretainedValue().pages
                    .store(Int(pages), ordering: .relaxed)
                return SQLITE_OK
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    func checkpointIfLong(_ db: Database, _ options: StoreOptions) throws {
        let length = pages.load(ordering: .relaxed)
        guard length >= max(options.checkpointPages, limit.load(ordering: .relaxed)) else { return }
        try options.reached(.beforeCheckpoint)
        var isWhole = false
        do {
            let (all, copied) = try db.checkpoint(.passive)
            isWhole = all == copied
        } catch let error as DatabaseError where error.resultCode == .SQLITE_BUSY {}
        try options.reached(.afterCheckpoint)
        pages.store(0, ordering: .relaxed)
        limit.store(isWhole ? 0 : length + options.checkpointPages, ordering: .relaxed)
    }
}
