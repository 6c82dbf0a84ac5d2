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

/// Goes through a store that a server may be using: rows in one transaction, which a server's log must wait for, and then,
/// without one, each payload file once.
struct StoreChecker {
    let files: PayloadFiles
    let path: String
    let database: DatabaseQueue
    /// Whether a server is at work: a young file may belong to a group that is being written.
    let isLive: Bool
    var report = StoreCheck()
    private var needs = PayloadNeeds()

    init(data: String, database: DatabaseQueue) {
        files = PayloadFiles(data: data)
        path = "\(data)/\(PoolDatabase.fileName)"
        self.database = database
        isLive = Self.isLocked("\(data)/lock")
    }

    mutating func run() throws {
        try checkLog()
        let found = try files.list()
        var (report, needs) = (report, needs)
        try database.read { db in
            try checkStructure(db, &report)
            let loaded = try PoolLoader(db: db, path: path, files: nil, argumentBytes: 0).load()
            report.findings += loaded.damage
            report.jobs = loaded.pool.jobs.count
            report.rows += loaded.pool.setups.count + loaded.pool.nodes.count
            for job in loaded.pool.jobs {
                report.rows += 2 + job.chunks.count + job.facts.count
                let common = job.leftCommon?.byteCount ?? job.spec.common.count
                report.bytes += job.chunks.reduce(common) { $0 + $1.byteCount }
                guard job.damage == nil else { continue }
                needs.jobs[job.number] = job.spec.id
                try checkResults(of: job, db, &report, &needs)
            }
            checkOwners(db, &report)
            needs.read(db, path, &report)
        }
        report.bytes += needs.payloadBytes
        (self.report, self.needs) = (report, needs)
        checkFiles(found)
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

    /// Each entry of a job's outcome log has its payloads; those in files are looked at later.
    private func checkResults(
        of job: StoredJob, _ db: Database, _ report: inout StoreCheck, _ needs: inout PayloadNeeds
    ) throws {
        for fact in job.facts {
            guard case .outcomes(let sequence, let batch) = fact else { continue }
            let id = try RowID.at(sequence, of: job.number)
            var cause = ""
            var isGood = false
            do {
                switch try Rows.result(id, db) {
                case .some(.some(.inline(let content))):
                    let payloads = try StoredForm.payloads(content)
                    isGood = payloads.count == batch.count
                    report.bytes += payloads.bytes.count
                case .some(.some(.file)):
                    isGood = true
                    needs.counts[id] = batch.count
                case .some(.none), .none: break
                }
            } catch let error as WireFault {
                cause = "\(error)"
            } catch {
                let failure = StoreFailure.error("cannot read from", path, error, reading: true)
                guard failure.code == .damaged else { throw failure }
                cause = failure.cause
            }
            if isGood {
                report.rows += 1
            } else {
                report.findings.append(
                    StoreFailure.damagedJob(
                        job.spec.id, job.number, "entry \(sequence) of its outcomes cannot be read", cause: cause))
            }
        }
    }

    /// Every row belongs to a job that is there, or is being deleted.
    private func checkOwners(_ db: Database, _ report: inout StoreCheck) {
        for table in ["chunks", "facts", "results"] {
            do {
                try db.each(
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
            } catch {
                report.findings.append(StoreFailure.error("cannot read \(table) in", path, error, reading: true))
            }
        }
    }

    private mutating func checkFiles(_ found: [PayloadFiles.Found]) {
        for (name, need) in needs.files {
            do throws(RoostError) {
                let content = try files.read(name, bytes: need.bytes)
                report.files += 1
                report.findings += needs.findings(in: content, need)
            } catch {
                // The server may have forgotten meanwhile who needed it.
                if need.isCounted, !isStillNamed(name) { continue }
                report.findings += needs.findings(error, need)
            }
        }
        for file in found {
            if let name = file.name, needs.files[name] != nil { continue }
            if file.name.map(isStillNamed) ?? false || isLive && Self.isYoung(file.path) { continue }
            report.findings.append(
                RoostError(
                    .damaged, "nothing needs the file \(file.path) (\(file.bytes) bytes)",
                    remedy: file.name == nil && !file.path.hasSuffix(PayloadFiles.unfinished)
                        ? "Roost did not put it there: move it away." : "The server's next start removes it."))
        }
    }

    /// Whether the file is counted now: what the server has done meanwhile counts. What cannot be read counts as there.
    private func isStillNamed(_ name: PayloadName) -> Bool {
        do {
            let database = try DatabaseQueue(path: path, configuration: PoolDatabase.configuration(isReadOnly: true))
            return try database.read { db in
                try db.first("SELECT 1 FROM files WHERE name = ?", .bytes(name.bytes)) { _ in true } ?? false
            }
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
