import GRDB
import RoostModel

/// Deletes the rows of forgotten jobs, a bounded number at a time, so that nobody waits for it.
///
/// The group that forgot a job only wrote its number into `doomed`: from then on the job is not there. A start goes on
/// where the last one stopped.
struct Forgetting {
    let db: Database
    let options: StoreOptions

    /// Whether anything is left to delete, and the files that nobody names any more.
    func step(_ ledger: inout Ledger) throws -> (isLeft: Bool, unused: [PayloadName]) {
        guard let number = ledger.doomed.last else { return (false, []) }
        do {
            var isGone = false
            // The counts that a group's writer needs are not touched here.
            var writer = GroupWriter(db, pool: 0, Ledger())
            try db.transaction {
                isGone = try deleteSome(of: number, &writer)
                try options.reached(.beforeForgetCommit)
            }
            if isGone { ledger.doomed.removeLast() }
            return (!ledger.doomed.isEmpty, writer.unused)
        } catch let error as DatabaseError where error.resultCode == .SQLITE_CORRUPT {
            // What cannot be read cannot be deleted: it stays, until somebody takes up a backup.
            ledger.doomed.removeLast()
            return (!ledger.doomed.isEmpty, [])
        }
    }

    /// Whether nothing of the job is left.
    private func deleteSome(of number: UInt32, _ writer: inout GroupWriter) throws -> Bool {
        for table in ["chunks", "results"] {
            guard try deletePayloads(table, of: number, &writer) else { return false }
        }
        guard try deleteFacts(of: number) else { return false }
        let key = Int64(number)
        let common = try db.first("SELECT file FROM jobs WHERE number = ?", .number(key)) { PayloadName($0.buffer(0)) }
        try writer.release(common ?? nil)
        try db.run("DELETE FROM jobs WHERE number = ?", .number(key))
        try db.run("DELETE FROM standings WHERE number = ?", .number(key))
        try db.run("DELETE FROM doomed WHERE number = ?", .number(key))
        return true
    }

    /// Whether the table has no more rows of the job.
    private func deletePayloads(_ table: String, of number: UInt32, _ writer: inout GroupWriter) throws -> Bool {
        let keys = RowID.all(of: number)
        var (rows, bytes) = (0, Int64(0))
        var last: Int64?
        var isCut = false
        var names: [PayloadName] = []
        try db.each(
            "SELECT id, file, bytes FROM \(table) WHERE id BETWEEN ? AND ? ORDER BY id", .number(keys.lowerBound),
            .number(keys.upperBound)
        ) { row in
            if rows >= options.forgetRows || bytes > options.forgetBytes {
                isCut = true
                return false
            }
            rows += 1
            bytes += row.number(2)
            last = row.number(0)
            if let name = PayloadName(row.buffer(1)) { names.append(name) }
            return true
        }
        for name in names { try writer.release(name) }
        if let last {
            try db.run(
                "DELETE FROM \(table) WHERE id BETWEEN ? AND ?", .number(keys.lowerBound), .number(last))
        }
        return !isCut
    }

    private func deleteFacts(of number: UInt32) throws -> Bool {
        let keys = RowID.all(of: number)
        let last = try db.first(
            "SELECT id FROM facts WHERE id BETWEEN ? AND ? ORDER BY id LIMIT 1 OFFSET ?", .number(keys.lowerBound),
            .number(keys.upperBound), .number(Int64(options.forgetRows))
        ) { $0.number(0) }
        try db.run(
            "DELETE FROM facts WHERE id BETWEEN ? AND ?", .number(keys.lowerBound), .number(last ?? keys.upperBound))
        return last == nil
    }
}
