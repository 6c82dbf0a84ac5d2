import GRDB
import Glibc
package import RoostModel
import RoostScheduler
import RoostWire

/// What `roost server check` found.
package struct StoreCheck: Sendable {
    /// Empty: all is well.
    package var findings: [RoostError] = []
    package var jobs = 0
    /// Rows and files whose checksums were compared.
    package var rows = 0
    package var files = 0
    /// Of all payloads.
    package var bytes = 0
}

extension PoolDatabase {
    /// Reads everything and compares every checksum; changes nothing, and disturbs no server that is at work there.
    /// - Throws: `.damaged`, `.conflict` or `.io` when the database cannot be opened at all.
    package static func check(directory data: String) throws(RoostError) -> StoreCheck {
        let path = "\(data)/\(fileName)"
        guard try DatabaseFile.inspect(path, .current) else {
            throw RoostError(.notFound, "there is no database in \(data)", remedy: "Is this the server's --data directory?")
        }
        do {
            let database = try DatabaseQueue(path: path, configuration: configuration(isReadOnly: true))
            var checker = StoreChecker(data: data, database: database)
            try checker.run()
            try database.close()
            return checker.report
        } catch {
            throw StoreFailure.error("cannot read the database", path, error)
        }
    }
}

/// Goes through a store that a server may be using.
struct StoreChecker {
    let files: PayloadFiles
    let path: String
    let database: DatabaseQueue
    /// Whether a server is at work: a young file may belong to a group that is being written.
    let isLive: Bool
    var report = StoreCheck()

    init(data: String, database: DatabaseQueue) {
        files = PayloadFiles(data: data)
        path = "\(data)/\(PoolDatabase.fileName)"
        self.database = database
        isLive = Self.isLocked("\(data)/lock")
    }

    mutating func run() throws {
        try checkLog()
        let found = try files.list()
        var report = report
        let names = try database.read { db in
            try checkStructure(db, &report)
            let loaded = try PoolLoader(db: db, path: path, files: files).load()
            // A job that the server forgets meanwhile takes its files with it.
            let gone = loaded.pool.jobs.filter { $0.damage != nil && !isStillThere($0.number) }.map(\.damage)
            report.findings += loaded.damage.filter { !gone.contains($0) }
            report.jobs = loaded.pool.jobs.count
            report.rows += loaded.pool.setups.count + loaded.pool.nodes.count
            for job in loaded.pool.jobs {
                report.rows += 2 + job.chunks.count + job.facts.count
                report.bytes += job.chunks.reduce(job.spec.common.count) { $0 + $1.bytes.count }
                if job.damage == nil { try checkResults(of: job, db, &report) }
            }
            try checkOwners(db, &report)
            return try checkUses(db, &report)
        }
        self.report = report
        try checkFiles(names, found)
    }

    private mutating func checkLog() throws(RoostError) {
        let pageBytes = try DatabaseFile.header(path).pageBytes
        // A server at work may begin its log anew while it is read here: damage stays, that does not.
        for attempt in 1...3 {
            do throws(RoostError) {
                return try WriteAheadLogFile.check("\(path)-wal", pageBytes: pageBytes)
            } catch {
                guard error.code == .damaged else { throw error }
                if attempt == 3 || !isLive { report.findings.append(error) }
                if !isLive { return }
            }
        }
    }

    /// SQLite's own look at its pages.
    private func checkStructure(_ db: Database, _ report: inout StoreCheck) throws {
        do {
            try db.each("PRAGMA integrity_check(20)") { row in
                let text = row.text(0)
                if text != "ok" {
                    report.findings.append(
                        RoostError(
                            .damaged, "the database's pages are damaged", remedy: StoreFailure.restoring, cause: text))
                }
                return true
            }
        } catch {
            report.findings.append(StoreFailure.error("cannot go through the pages of", path, error, reading: true))
        }
    }

    /// Each entry of a job's outcome log has its payloads.
    private func checkResults(of job: StoredJob, _ db: Database, _ report: inout StoreCheck) throws {
        for fact in job.facts {
            guard case .outcomes(let sequence, let batch) = fact else { continue }
            let id = try RowID.at(sequence, of: job.number)
            let body = try? db.first("SELECT body, file, bytes, sum FROM results WHERE id = ?", .number(id)) { row in
                row.body(0).flatMap { row.number(3) == Rows.sum(result: id, $0) ? $0 : nil }
            }
            guard let body = body ?? nil, let content = try? files.content(of: body),
                let payloads = try? StoredForm.payloads(content), payloads.count == batch.count
            else {
                if let name = (body ?? nil)?.name, !isStillNamed(name) { continue }
                report.findings.append(
                    StoreFailure.damagedJob(job.spec.id, job.number, "entry \(sequence) of its outcomes cannot be read"))
                continue
            }
            report.rows += 1
            report.bytes += payloads.bytes.count
        }
    }

    /// Every row belongs to a job that is there, or is being deleted.
    private func checkOwners(_ db: Database, _ report: inout StoreCheck) throws {
        for table in ["chunks", "facts", "results"] {
            try? db.each(
                """
                SELECT owner, COUNT(*) FROM (SELECT (id >> 32) & 4294967295 AS owner FROM \(table))
                WHERE owner NOT IN (SELECT number FROM jobs UNION ALL SELECT number FROM doomed) GROUP BY owner
                """
            ) { row in
                report.findings.append(
                    StoreFailure.damagedJob(
                        nil, UInt32(truncatingIfNeeded: row.number(0)),
                        "\(row.number(1)) rows of \(table) are there, and it is not"))
                return true
            }
        }
    }

    /// The counts of files' uses are right. What is needed.
    private func checkUses(_ db: Database, _ report: inout StoreCheck) throws -> [PayloadName: Int] {
        var uses: [PayloadName: Int] = [:]
        for table in ["jobs", "chunks", "results", "setups"] {
            try? db.each("SELECT file FROM \(table) WHERE file IS NOT NULL") { row in
                if let name = PayloadName(row.buffer(0)) { uses[name, default: 0] += 1 }
                return true
            }
        }
        var names: [PayloadName: Int] = [:]
        try? db.each("SELECT name, bytes, uses FROM files") { row in
            guard let name = PayloadName(row.buffer(0)) else { return true }
            names[name] = Int(row.number(1))
            if uses[name] ?? 0 != Int(row.number(2)) {
                report.findings.append(
                    RoostError(
                        .damaged, "the payload file \(name) is needed \(uses[name] ?? 0) times, and counted \(row.number(2))",
                        remedy: StoreFailure.restoring))
            }
            return true
        }
        for name in uses.keys where names[name] == nil {
            report.findings.append(
                RoostError(.damaged, "the payload file \(name) is needed, and not counted", remedy: StoreFailure.restoring))
        }
        return names
    }

    private mutating func checkFiles(_ names: [PayloadName: Int], _ found: [PayloadFiles.Found]) throws {
        for (name, bytes) in names {
            do throws(RoostError) {
                _ = try files.read(name, bytes: bytes)
                report.files += 1
            } catch {
                if !isStillNamed(name) { continue }
                report.findings.append(error)
            }
        }
        for file in found {
            if let name = file.name, names[name] != nil { continue }
            if file.name.map(isStillNamed) ?? false || isLive && Self.isYoung(file.path) { continue }
            report.findings.append(
                RoostError(
                    .damaged, "nothing needs the file \(file.path) (\(file.bytes) bytes)",
                    remedy: file.name == nil && !file.path.hasSuffix(PayloadFiles.unfinished)
                        ? "Roost did not put it there: move it away." : "The server's next start removes it."))
        }
    }

    private func isStillNamed(_ name: PayloadName) -> Bool {
        isStill("SELECT 1 FROM files WHERE name = ?", .bytes(name.bytes))
    }

    private func isStillThere(_ number: UInt32) -> Bool {
        isStill(
            "SELECT 1 FROM jobs WHERE number = ? AND number NOT IN (SELECT number FROM doomed)", .number(Int64(number)))
    }

    /// Whether a row is there now: what the server has done meanwhile counts. What cannot be read counts as there.
    private func isStill(_ sql: String, _ key: Binding) -> Bool {
        do {
            let database = try DatabaseQueue(path: path, configuration: PoolDatabase.configuration(isReadOnly: true))
            return try database.read { db in try db.first(sql, key) { _ in true } ?? false }
        } catch {
            return true
        }
    }

    /// Whether it may belong to a group that is being written.
    private static func isYoung(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) != 0 || time(nil) - status.st_mtim.tv_sec < 60
    }

    private static func isLocked(_ path: String) -> Bool {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        return flock(file, LOCK_SH | LOCK_NB) != 0
    }
}
