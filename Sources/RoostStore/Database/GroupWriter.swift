import GRDB
import NIOCore
import RoostModel
import RoostScheduler

/// Writes prepared writes as rows, inside a transaction that its caller begins and commits.
struct GroupWriter {
    let db: Database
    let pool: UInt64
    var ledger: Ledger
    /// Files whose last row went: theirs is to go after the commit.
    var unused: [PayloadName] = []
    /// Files whose count is lost: rows that nobody knows of may name them.
    var uncounted: Set<PayloadName> = []

    init(_ db: Database, pool: UInt64, _ ledger: Ledger) {
        self.db = db
        self.pool = pool
        self.ledger = ledger
    }

    mutating func write(_ writes: [PreparedWrite]) throws {
        for write in writes { try self.write(write) }
        try writeCounts()
    }

    private mutating func write(_ write: PreparedWrite) throws {
        switch write {
        case .opened(let job, let number, let user, let spec, let common):
            try open(job, number, user, spec, common)
        case .appended(let job, let first, let arguments): try append(job, first, arguments)
        case .changed(let job, let standing):
            try ledger.change(job) { (entry) throws(RoostError) in
                if !standing.isEnded { entry.endedUnixNanoseconds = 0 }
                if standing.isEnded, entry.endedUnixNanoseconds == 0 {
                    entry.endedUnixNanoseconds = Clock.unixNanoseconds()
                }
                entry.standing = standing
            }
        case .fact(let job, let kind, let content): try add(job, kind, content)
        case .outcomes(let job, let sequence, let content, let payloads):
            try add(job, .outcomes, content)
            let number = try ledger.change(job) { (entry) throws(RoostError) in
                entry.bytes += Int64(payloads.bytes)
                return entry.number
            }
            let id = try RowID.at(sequence, of: number)
            try use(payloads)
            try db.run(
                "INSERT INTO results (id, body, file, bytes, sum) VALUES (?, ?, ?, ?, ?)", .number(id), payloads.body,
                payloads.file, payloads.size, .number(Rows.sum(result: id, payloads)))
        case .forgotten(let job): try forget(job)
        case .setup(let session, let number, let user, let payload): try add(session, number, user, payload)
        case .sessionForgotten(let session): try forget(session)
        case .nodeJoined(let node, let incarnation, let name):
            let (id, life) = (Int64(bitPattern: node.rawValue), Int64(bitPattern: incarnation.rawValue))
            try db.run(
                "INSERT OR REPLACE INTO nodes (id, incarnation, name, sum) VALUES (?, ?, ?, ?)", .number(id),
                .number(life), .text(name), .number(Rows.sum(node: id, incarnation: life, name: name)))
            if ledger.nodes.insert(node).inserted { ledger.metaHasChanged = true }
        case .nodeGone(let node):
            try db.run("DELETE FROM nodes WHERE id = ?", .number(Int64(bitPattern: node.rawValue)))
            if ledger.nodes.remove(node) != nil { ledger.metaHasChanged = true }
        }
    }

    // MARK: Jobs

    private mutating func open(
        _ job: JobID, _ number: UInt32, _ user: String, _ spec: ByteBuffer, _ common: StoredBody
    ) throws {
        guard ledger.jobs[job] == nil else {
            throw RoostError(
                .internal, "job \(StoreFailure.hexadecimal(job.rawValue)) was opened twice in the database")
        }
        let (key, id, now) = (Int64(number), Int64(bitPattern: job.rawValue), Clock.unixNanoseconds())
        try use(common)
        try db.run(
            "INSERT INTO jobs (number, id, user, submitted, spec, body, file, bytes, sum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            .number(key), .number(id), .text(user), .number(now), .bytes(spec), common.body, common.file, common.size,
            .number(Rows.sum(job: key, id: id, user: user, submitted: now, spec: spec, common)))
        var entry = Ledger.Entry(number: number)
        entry.bytes = Int64(common.bytes)
        entry.hasChanged = true
        ledger.jobs[job] = entry
        ledger.changed.append(job)
        ledger.lastNumber = max(ledger.lastNumber, number)
        ledger.metaHasChanged = true
    }

    private mutating func append(_ job: JobID, _ first: TaskIndex, _ arguments: StoredBody) throws {
        let id = try ledger.change(job) { (entry) throws(RoostError) in
            let id = try RowID.at(entry.chunks, of: entry.number)
            entry.chunks += 1
            entry.bytes += Int64(arguments.bytes)
            return id
        }
        try use(arguments)
        try db.run(
            "INSERT INTO chunks (id, first, body, file, bytes, sum) VALUES (?, ?, ?, ?, ?, ?)", .number(id),
            .number(Int64(first)), arguments.body, arguments.file, arguments.size,
            .number(Rows.sum(chunk: id, first: Int64(first), arguments)))
    }

    private mutating func add(_ job: JobID, _ kind: FactForm.Kind, _ content: ByteBuffer) throws {
        let id = try ledger.change(job) { (entry) throws(RoostError) in
            let id = try RowID.at(entry.facts, of: entry.number)
            entry.facts += 1
            return id
        }
        try db.run(
            "INSERT INTO facts (id, kind, content, sum) VALUES (?, ?, ?, ?)", .number(id), .number(kind.rawValue),
            .bytes(content), .number(Rows.sum(fact: id, kind: kind.rawValue, content)))
    }

    /// The job is gone with this group; its rows go in steps, later (``Forgetting``).
    private mutating func forget(_ job: JobID) throws {
        guard let entry = ledger.jobs.removeValue(forKey: job) else { return }
        let number = Int64(entry.number)
        try db.run(
            "INSERT OR REPLACE INTO doomed (number, sum) VALUES (?, ?)", .number(number), .number(Rows.sum(.doomed, number)))
        ledger.doomed.append(entry.number)
        ledger.metaHasChanged = true
    }

    // MARK: Setup

    private mutating func add(_ session: SessionID, _ number: UInt32, _ user: String, _ payload: StoredBody) throws {
        let key = (Int64(bitPattern: session.rawValue), Int64(number))
        let old = try db.first(
            "SELECT body, file, bytes FROM setups WHERE session = ? AND number = ?", .number(key.0), .number(key.1)
        ) { $0.body(0) }
        // The new one first: when both are the same file, it stays.
        try use(payload)
        if let old { try release(old?.name) }
        try db.run("DELETE FROM setups WHERE session = ? AND number = ?", .number(key.0), .number(key.1))
        try db.run(
            "INSERT INTO setups (session, number, user, body, file, bytes, sum) VALUES (?, ?, ?, ?, ?, ?, ?)",
            .number(key.0), .number(key.1), .text(user), payload.body, payload.file, payload.size,
            .number(Rows.sum(setup: key.0, number: key.1, user: user, payload)))
    }

    private mutating func forget(_ session: SessionID) throws {
        let key = Int64(bitPattern: session.rawValue)
        var names: [PayloadName] = []
        try db.each("SELECT file FROM setups WHERE session = ? AND file IS NOT NULL", .number(key)) { row in
            if let name = PayloadName(row.buffer(0)) { names.append(name) }
            return true
        }
        for name in names { try release(name) }
        try db.run("DELETE FROM setups WHERE session = ?", .number(key))
    }

    // MARK: Files

    /// One row more names the body's file.
    private mutating func use(_ body: StoredBody) throws {
        guard case .file(let name, let bytes) = body else { return }
        try FileUses.add(1, to: name, bytes: bytes, isLost: uncounted.contains(name), db)
        unused.removeAll { $0 == name }
    }

    /// One row less names it.
    mutating func release(_ name: PayloadName?) throws {
        guard let name else { return }
        if try FileUses.add(-1, to: name, bytes: 0, db) == 0 { unused.append(name) }
    }

    // MARK: Counts

    mutating func writeCounts() throws {
        for job in ledger.changed {
            guard var entry = ledger.jobs[job], entry.hasChanged else { continue }
            entry.hasChanged = false
            ledger.jobs[job] = entry
            try Self.write(entry, db)
        }
        ledger.changed.removeAll(keepingCapacity: true)
        guard ledger.metaHasChanged else { return }
        ledger.metaHasChanged = false
        try MetaRow(
            pool: pool, lastNumber: ledger.lastNumber, jobs: ledger.jobs.count, nodes: ledger.nodes.count
        ).write(db)
    }

    private static func write(_ entry: Ledger.Entry, _ db: Database) throws {
        let (number, flags, ended) = (Int64(entry.number), entry.standing.flags, entry.endedUnixNanoseconds)
        let (facts, chunks) = (Int64(entry.facts), Int64(entry.chunks))
        try db.run(
            "INSERT OR REPLACE INTO standings (number, flags, ended, facts, chunks, bytes, sum) VALUES (?, ?, ?, ?, ?, ?, ?)",
            .number(number), .number(flags), .number(ended), .number(facts), .number(chunks), .number(entry.bytes),
            .number(Rows.sum(standing: number, flags, ended, facts, chunks, entry.bytes)))
    }
}

/// How many rows name each payload file.
enum FileUses {
    /// Changes the count, and says what it is now; a file that nobody names any more is not counted.
    /// - Parameter isLost: Whether a count that is not there has been.
    @discardableResult
    static func add(
        _ change: Int64, to name: PayloadName, bytes: Int, isLost: Bool = false, _ db: Database
    ) throws -> Int64 {
        let key = Binding.bytes(name.bytes)
        let found = try db.first("SELECT bytes, uses, sum FROM files WHERE name = ?", key) { row in
            (bytes: row.number(0), uses: row.number(1), sum: row.number(2))
        }
        let size = found?.bytes ?? Int64(bytes)
        // A damaged count never brings a file to its end.
        let isDamaged = found.map { $0.sum != Rows.sum(file: name.bytes, bytes: $0.bytes, uses: $0.uses) } ?? (change < 0 || isLost)
        if isDamaged && change < 0 { return 1 }
        let uses = (isDamaged ? 1 << 32 : found?.uses ?? 0) + change
        if uses <= 0 {
            try db.run("DELETE FROM files WHERE name = ?", key)
            return 0
        }
        try set(uses, of: name, bytes: size, db)
        return uses
    }

    static func set(_ uses: Int64, of name: PayloadName, bytes: Int64, _ db: Database) throws {
        try db.run(
            "INSERT OR REPLACE INTO files (name, bytes, uses, sum) VALUES (?, ?, ?, ?)", .bytes(name.bytes), .number(bytes),
            .number(uses), .number(Rows.sum(file: name.bytes, bytes: bytes, uses: uses)))
    }
}
