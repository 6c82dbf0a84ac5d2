import GRDB
package import RoostModel

/// What a store takes on its disk.
package struct StoreSpace: Sendable, Equatable {
    /// The database and its write-ahead log.
    package var databaseBytes = 0
    /// Of these, free for what comes: the file does not shrink.
    package var freeBytes = 0
    package var payloadFiles = 0
    package var payloadFileBytes = 0
    /// Jobs that were forgotten and of which rows are left; these go in steps.
    package var forgottenJobs = 0
    /// Of each job: what its tasks share, arguments and outcomes, wherever they are. Files that jobs share count for each.
    package var jobBytes: [JobID: Int] = [:]
}

extension PoolDatabase {
    /// - Throws: `.io` or `.damaged` when the database cannot be read.
    package func space() throws(RoostError) -> StoreSpace {
        do {
            return try read { db in
                var space = StoreSpace()
                let pageBytes = try db.first("PRAGMA page_size") { Int($0.number(0)) } ?? 0
                let free = try db.first("PRAGMA freelist_count") { Int($0.number(0)) } ?? 0
                space.freeBytes = free * pageBytes
                space.databaseBytes = DatabaseFile.size(of: path) + DatabaseFile.size(of: "\(path)-wal")
                try db.each("SELECT bytes FROM files") { row in
                    space.payloadFiles += 1
                    space.payloadFileBytes += Int(row.number(0))
                    return true
                }
                space.forgottenJobs = try db.first("SELECT COUNT(*) FROM doomed") { Int($0.number(0)) } ?? 0
                try db.each(
                    """
                    SELECT id, bytes FROM (SELECT id, number FROM jobs INDEXED BY jobs_by_id) JOIN standings USING (number)
                    WHERE number NOT IN (SELECT number FROM doomed)
                    """
                ) { row in
                    space.jobBytes[JobID(rawValue: UInt64(bitPattern: row.number(0)))] = Int(row.number(1))
                    return true
                }
                return space
            }
        } catch {
            throw StoreFailure.error("cannot read", path, error)
        }
    }
}
