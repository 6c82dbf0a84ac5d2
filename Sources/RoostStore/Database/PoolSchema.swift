import GRDB

/// What the database's tables are, and how an older database gets them.
///
/// The database's `user_version` counts the migrations it has had: a Roost that knows fewer refuses it by name.
package struct PoolSchema: Sendable {
    /// SQL; each brings the tables from one version to the next. What was released is never changed.
    package var migrations: [String]

    package var version: Int { migrations.count }

    package static let current = PoolSchema(migrations: [version1])

    /// "RoSt", in the file's header.
    static let applicationID: UInt32 = 0x526F_5374

    func migrate(_ database: DatabaseQueue) throws {
        var migrator = DatabaseMigrator()
        for (position, migration) in migrations.enumerated() {
            migrator.registerMigration("version \(position + 1)") { db in
                try db.execute(sql: migration)
                try db.execute(sql: "PRAGMA user_version = \(position + 1)")
            }
        }
        try migrator.migrate(database)
    }

    /// A row's key holds the number of its job (see ``RowID``); `sum` is its checksum (see ``RowSum``). A payload is three
    /// columns: in `body`, or in the file that `file` names, and how many `bytes`.
    private static let version1 = """
        CREATE TABLE meta (
            id INTEGER PRIMARY KEY, pool INTEGER, last_number INTEGER, jobs INTEGER, nodes INTEGER, sum INTEGER);
        CREATE TABLE jobs (
            number INTEGER PRIMARY KEY, id INTEGER, user TEXT, submitted INTEGER, spec BLOB,
            body BLOB, file BLOB, bytes INTEGER, sum INTEGER);
        CREATE INDEX jobs_by_id ON jobs (id);
        CREATE TABLE standings (
            number INTEGER PRIMARY KEY, flags INTEGER, ended INTEGER, facts INTEGER, chunks INTEGER,
            bytes INTEGER, sum INTEGER);
        CREATE TABLE chunks (
            id INTEGER PRIMARY KEY, first INTEGER, body BLOB, file BLOB, bytes INTEGER, sum INTEGER);
        CREATE TABLE facts (id INTEGER PRIMARY KEY, kind INTEGER, content BLOB, sum INTEGER);
        CREATE TABLE results (id INTEGER PRIMARY KEY, body BLOB, file BLOB, bytes INTEGER, sum INTEGER);
        CREATE TABLE setups (
            id INTEGER PRIMARY KEY, session INTEGER, number INTEGER, user TEXT, body BLOB, file BLOB,
            bytes INTEGER, sum INTEGER);
        CREATE UNIQUE INDEX setups_by_session ON setups (session, number);
        CREATE TABLE nodes (id INTEGER PRIMARY KEY, incarnation INTEGER, name TEXT, sum INTEGER);
        CREATE TABLE files (name BLOB PRIMARY KEY, bytes INTEGER, uses INTEGER, sum INTEGER) WITHOUT ROWID;
        CREATE TABLE doomed (number INTEGER PRIMARY KEY, sum INTEGER);
        """
}
