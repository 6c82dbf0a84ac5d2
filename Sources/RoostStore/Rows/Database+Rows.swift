import GRDB
import GRDBSQLite
import NIOCore

/// A value to bind to a statement.
enum Binding {
    case number(Int64)
    case text(String)
    case bytes(ByteBuffer)
    case null
}

/// Rows in and out through SQLite's own calls, on connections and cached statements that GRDB keeps.
///
/// GRDB's rows convert with a trap when a column has another type than expected, and a flipped bit can give it one:
/// SQLite's own columns never do, and blobs are read in place.
extension Database {
    /// Runs a statement that gives no rows.
    func run(_ sql: String, _ bindings: Binding...) throws {
        let statement = try cachedStatement(sql: sql).sqliteStatement
        defer { rest(statement) }
        try bind(bindings, to: statement)
        let code = sqlite3_step(statement)
        guard code == SQLITE_DONE || code == SQLITE_ROW else { throw failure(code, sql) }
    }

    /// Calls `body` for each row until it says false.
    func each(_ sql: String, _ bindings: Binding..., body: (Columns) throws -> Bool) throws {
        let statement = try cachedStatement(sql: sql).sqliteStatement
        defer { rest(statement) }
        try bind(bindings, to: statement)
        while true {
            switch sqlite3_step(statement) {
            case SQLITE_ROW: if try !body(Columns(statement)) { return }
            case SQLITE_DONE: return
            case let code: throw failure(code, sql)
            }
        }
    }

    /// What `body` makes of the first row; nil when there is none.
    func first<Value>(_ sql: String, _ bindings: Binding..., body: (Columns) throws -> Value) throws -> Value? {
        let statement = try cachedStatement(sql: sql).sqliteStatement
        defer { rest(statement) }
        try bind(bindings, to: statement)
        switch sqlite3_step(statement) {
        case SQLITE_ROW: return try body(Columns(statement))
        case SQLITE_DONE: return nil
        case let code: throw failure(code, sql)
        }
    }

    /// Runs `body` in a transaction that is committed, or rolled back when anything throws.
    func transaction(_ body: () throws -> Void) throws {
        try run("BEGIN IMMEDIATE")
        do {
            try body()
            try run("COMMIT")
        } catch {
            // What a failed commit has rolled back by itself cannot be once more.
            try? run("ROLLBACK")
            throw error
        }
    }

    /// A statement that stands still holds no lock and no blob.
    private func rest(_ statement: OpaquePointer) {
        sqlite3_reset(statement)
        sqlite3_clear_bindings(statement)
    }

    private func bind(_ bindings: [Binding], to statement: OpaquePointer) throws {
        // SQLite copies what it is given here: the bytes need not stay where they are.
        let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        for (position, binding) in bindings.enumerated() {
            let index = CInt(position + 1)
            let code =
                switch binding {
                case .number(let number): sqlite3_bind_int64(statement, index, number)
                case .text(let text): sqlite3_bind_text(statement, index, text, -1, copied)
                case .bytes(let bytes):
                    bytes.withUnsafeReadableBytes {
                        // An empty buffer may have no address, and no address means NULL.
                        $0.isEmpty
                            ? sqlite3_bind_zeroblob(statement, index, 0)
                            : sqlite3_bind_blob64(statement, index, $0.baseAddress, UInt64($0.count), copied)
                    }
                case .null: sqlite3_bind_null(statement, index)
                }
            guard code == SQLITE_OK else { throw failure(code, "bind \(index)") }
        }
    }

    private func failure(_ code: CInt, _ sql: String) -> DatabaseError {
        let extended = sqlite3_extended_errcode(sqliteConnection)
        return DatabaseError(
            resultCode: ResultCode(rawValue: extended & 255 == code & 255 ? extended : code),
            message: sqlite3_errmsg(sqliteConnection).map { String(cString: $0) }, sql: sql)
    }
}

/// The columns of the row a statement stands on. Whatever is there, each getter gives a value of its type.
struct Columns {
    private let statement: OpaquePointer

    fileprivate init(_ statement: OpaquePointer) { self.statement = statement }

    func number(_ column: Int) -> Int64 { sqlite3_column_int64(statement, CInt(column)) }

    func text(_ column: Int) -> String {
        bytes(column) { String(decoding: $0, as: UTF8.self) }
    }

    func isNull(_ column: Int) -> Bool { sqlite3_column_type(statement, CInt(column)) == SQLITE_NULL }

    /// The bytes where they are; they are gone when `body` returns.
    func bytes<Value>(_ column: Int, _ body: (UnsafeRawBufferPointer) throws -> Value) rethrows -> Value {
        let start = sqlite3_column_blob(statement, CInt(column))
        let count = Int(sqlite3_column_bytes(statement, CInt(column)))
        return try body(UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count))
    }

    func buffer(_ column: Int) -> ByteBuffer { bytes(column) { ByteBuffer(bytes: $0) } }
}
