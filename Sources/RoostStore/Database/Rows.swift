import GRDB
import NIOCore
import RoostModel

/// One function for each kind of row, and its checksum: writing and reading agree because both use them.
enum Rows {
    static func sum(job number: Int64, id: Int64, user: String, submitted: Int64, spec: ByteBuffer, _ common: StoredBody) -> Int64 {
        var sum = RowSum(.jobs)
        sum.add(number)
        sum.add(id)
        sum.add(user)
        sum.add(submitted)
        sum.add(spec)
        sum.add(common)
        return sum.value
    }

    /// Where what the tasks of the job with this number share is; nil when there is no such row, nil inside when it is not what
    /// was written.
    static func common(_ number: Int64, _ db: Database) throws -> StoredBody?? {
        try db.first("SELECT id, user, submitted, spec, body, file, bytes, sum FROM jobs WHERE number = ?", .number(number)) { row in
            row.body(4).flatMap { common in
                let expected = sum(
                    job: number, id: row.number(0), user: row.text(1), submitted: row.number(2), spec: row.buffer(3), common)
                return row.number(7) == expected ? common : nil
            }
        }
    }

    static func sum(standing number: Int64, _ flags: Int64, _ ended: Int64, _ facts: Int64, _ chunks: Int64, _ bytes: Int64) -> Int64 {
        sum(.standings, number, flags, ended, facts, chunks, bytes)
    }

    static func sum(chunk id: Int64, first: Int64, _ body: StoredBody) -> Int64 {
        var sum = RowSum(.chunks)
        sum.add(id)
        sum.add(first)
        sum.add(body)
        return sum.value
    }

    static func sum(fact id: Int64, kind: Int64, _ content: ByteBuffer) -> Int64 {
        var sum = RowSum(.facts)
        sum.add(id)
        sum.add(kind)
        sum.add(content)
        return sum.value
    }

    static func sum(result id: Int64, _ body: StoredBody) -> Int64 {
        var sum = RowSum(.results)
        sum.add(id)
        sum.add(body)
        return sum.value
    }

    /// Where what the tasks of an entry of an outcome log returned is, likewise.
    static func result(_ id: Int64, _ db: Database) throws -> StoredBody?? {
        try db.first("SELECT body, file, bytes, sum FROM results WHERE id = ?", .number(id)) { row in
            row.body(0).flatMap { row.number(3) == sum(result: id, $0) ? $0 : nil }
        }
    }

    /// Where the arguments of a chunk are, likewise.
    static func arguments(_ id: Int64, _ db: Database) throws -> StoredBody?? {
        try db.first("SELECT first, body, file, bytes, sum FROM chunks WHERE id = ?", .number(id)) { row in
            row.body(1).flatMap { row.number(4) == sum(chunk: id, first: row.number(0), $0) ? $0 : nil }
        }
    }

    static func sum(setup session: Int64, number: Int64, user: String, _ body: StoredBody) -> Int64 {
        var sum = RowSum(.setups)
        sum.add(session)
        sum.add(number)
        sum.add(user)
        sum.add(body)
        return sum.value
    }

    static func sum(node id: Int64, incarnation: Int64, name: String) -> Int64 {
        var sum = RowSum(.nodes)
        sum.add(id)
        sum.add(incarnation)
        sum.add(name)
        return sum.value
    }

    static func sum(file name: ByteBuffer, bytes: Int64, uses: Int64) -> Int64 {
        var sum = RowSum(.files)
        sum.add(name)
        sum.add(bytes)
        sum.add(uses)
        return sum.value
    }

    static func sum(carried path: String, _ content: ByteBuffer) -> Int64 {
        var sum = RowSum(.carried)
        sum.add(path)
        sum.add(content)
        return sum.value
    }

    static func sum(_ table: RowSum.Table, _ numbers: Int64...) -> Int64 {
        var sum = RowSum(table)
        for number in numbers { sum.add(number) }
        return sum.value
    }
}

/// The one row about the database as a whole.
struct MetaRow: Equatable {
    var pool: UInt64
    var lastNumber: UInt32
    /// How many jobs and nodes there are, so that a missing row is missed.
    var jobs: Int
    var nodes: Int

    func write(_ db: Database) throws {
        let pool = Int64(bitPattern: pool)
        try db.run(
            "INSERT OR REPLACE INTO meta (id, pool, last_number, jobs, nodes, sum) VALUES (1, ?, ?, ?, ?, ?)",
            .number(pool), .number(Int64(lastNumber)), .number(Int64(jobs)), .number(Int64(nodes)),
            .number(Rows.sum(.meta, pool, Int64(lastNumber), Int64(jobs), Int64(nodes))))
    }

    /// nil: it is not there, or not what was written.
    static func read(_ db: Database) throws -> MetaRow? {
        try db.first("SELECT pool, last_number, jobs, nodes, sum FROM meta WHERE id = 1") { row in
            let (pool, last, jobs, nodes) = (row.number(0), row.number(1), row.number(2), row.number(3))
            guard row.number(4) == Rows.sum(.meta, pool, last, jobs, nodes), let last = UInt32(exactly: last) else { return nil }
            return MetaRow(pool: UInt64(bitPattern: pool), lastNumber: last, jobs: Int(jobs), nodes: Int(nodes))
        } ?? nil
    }
}
