import GRDB
import NIOCore
import RoostModel
import RoostScheduler

/// Reads everything a start needs, and checks every checksum and count on the way.
///
/// Each job is read by itself: what is damaged in one says nothing about the next. A row's checksum finds what changed in
/// it; the counts in `standings` and `meta` find rows that are gone.
struct PoolLoader {
    let db: Database
    /// The database file.
    let path: String
    /// nil: what is in files is not read.
    let files: PayloadFiles?
    /// Bytes of unfinished jobs' arguments to give; those of other jobs, and what comes beyond, are left on disk.
    let argumentBytes: Int

    struct Loaded {
        var pool = StoredPool()
        var ledger = Ledger()
        var damage: [RoostError] = []
        /// Every payload file that is needed; nil when that is not certain.
        var names: Set<PayloadName>?
    }

    /// - Throws: `.damaged` when the first row is; `.io` and the like when something kept us from reading what may be in order.
    func load() throws(RoostError) -> Loaded {
        var loaded = Loaded()
        let meta: MetaRow
        do {
            guard let found = try MetaRow.read(db) else { throw RoostError(.damaged, "the database's first row is damaged") }
            meta = found
            loaded.ledger.doomed = try doomed()
        } catch {
            throw StoreFailure.error("cannot read the database", path, error, reading: true)
        }
        loaded.pool.lastJobNumber = meta.lastNumber
        loaded.ledger.lastNumber = meta.lastNumber
        try loadJobs(meta, &loaded)
        try loadSetups(&loaded)
        try loadNodes(meta, &loaded)
        try loadNames(&loaded)
        return loaded
    }

    /// The error for what cannot be made sense of; whatever else kept us from reading ends the reading.
    private func damage(_ what: String, _ error: any Error) throws(RoostError) -> RoostError {
        let failure = StoreFailure.error(what, path, error, reading: true)
        guard failure.code == .damaged else { throw failure }
        return failure
    }

    private func doomed() throws -> [UInt32] {
        var numbers: [UInt32] = []
        try db.each("SELECT number, sum FROM doomed") { row in
            if row.number(1) == Rows.sum(.doomed, row.number(0)), let number = UInt32(exactly: row.number(0)) {
                numbers.append(number)
            }
            return true
        }
        return numbers
    }

    // MARK: Jobs

    private func loadJobs(_ meta: MetaRow, _ loaded: inout Loaded) throws(RoostError) {
        let now = Clock.unixNanoseconds()
        let ids = try jobIDs(expecting: meta.jobs, Set(loaded.ledger.doomed), &loaded.damage)
        var room = argumentBytes
        for number in ids.keys.sorted() {
            guard let id = ids[number] else { continue }
            let loader = JobLoader(db: db, path: path, files: files, id: id, number: number, now: now)
            let (job, entry) = try loader.load(roomForArguments: &room)
            if let damage = job.damage { loaded.damage.append(damage) }
            if loaded.ledger.jobs.updateValue(entry, forKey: id) != nil {
                loaded.damage.append(StoreFailure.damagedJob(id, number, "two jobs have its name"))
                continue
            }
            loaded.pool.jobs.append(job)
        }
        loaded.pool.lastJobNumber = max(meta.lastNumber, loaded.pool.jobs.last?.number ?? 0)
    }

    /// The jobs by number. The index has the same facts as the table: one of them is enough.
    private func jobIDs(
        expecting count: Int, _ doomed: Set<UInt32>, _ damage: inout [RoostError]
    ) throws(RoostError) -> [UInt32: JobID] {
        var ids: [UInt32: JobID] = [:]
        func scan(_ sql: String) throws(RoostError) {
            do {
                try db.each(sql) { row in
                    if let number = UInt32(exactly: row.number(0)), !doomed.contains(number), ids[number] == nil {
                        ids[number] = JobID(rawValue: UInt64(bitPattern: row.number(1)))
                    }
                    return true
                }
            } catch {
                damage.append(try self.damage("cannot read all jobs of", error))
            }
        }
        try scan("SELECT number, id FROM jobs INDEXED BY jobs_by_id")
        if ids.count != count || !damage.isEmpty { try scan("SELECT number, id FROM jobs NOT INDEXED ORDER BY number") }
        if ids.count < count || !damage.isEmpty { try scan("SELECT number, id FROM jobs NOT INDEXED ORDER BY number DESC") }
        if ids.count != count {
            damage.append(
                RoostError(
                    .damaged, "\(count) jobs should be in the database, and \(ids.count) are found",
                    remedy: StoreFailure.restoring))
        }
        return ids
    }

    // MARK: Setup and nodes

    private func loadSetups(_ loaded: inout Loaded) throws(RoostError) {
        var counts: [SessionID: UInt32] = [:]
        var broken: Set<SessionID> = []
        do {
            try db.each(
                "SELECT session, number, user, body, file, bytes, sum FROM setups ORDER BY session, number"
            ) { row in
                let session = SessionID(rawValue: UInt64(bitPattern: row.number(0)))
                let (number, user) = (row.number(1), row.text(2))
                // Behind a gap nothing counts: a worker runs all entries, in order.
                guard number == Int64(counts[session] ?? 0) + 1 else {
                    broken.insert(session)
                    return true
                }
                guard let body = row.body(3),
                    row.number(6) == Rows.sum(setup: row.number(0), number: number, user: user, body),
                    let payload = try content(of: body)
                else {
                    broken.insert(session)
                    loaded.damage.append(
                        RoostError(
                            .damaged,
                            "entry \(number) of the setup of session \(StoreFailure.hexadecimal(session.rawValue)) is damaged",
                            remedy: StoreFailure.restoring))
                    return true
                }
                counts[session] = UInt32(number)
                let entry = SetupEntry(session: session, number: UInt32(number), payload: Array(payload.readableBytesView))
                loaded.pool.setups.append(StoredSetup(user: user, entry: entry))
                return true
            }
        } catch {
            loaded.damage.append(try damage("cannot read all setup from", error))
        }
        for position in loaded.pool.jobs.indices {
            let job = loaded.pool.jobs[position]
            let held = counts[job.spec.session] ?? 0
            // A log that only ends early is still to come: its client had not sent more.
            guard job.damage == nil, !job.standing.isEnded, job.spec.setup > held, broken.contains(job.spec.session) else {
                continue
            }
            let damage = StoreFailure.damagedJob(
                job.spec.id, job.number, "it needs \(job.spec.setup) entries of its session's setup, and \(held) can be read")
            loaded.pool.jobs[position].damage = damage
            loaded.damage.append(damage)
        }
    }

    /// nil when it is damaged; empty when it is in a file, and files are not read.
    private func content(of body: StoredBody) throws(RoostError) -> ByteBuffer? {
        do throws(RoostError) {
            return try body.content(in: files) ?? ByteBuffer()
        } catch {
            guard error.code == .damaged else { throw error }
            return nil
        }
    }

    private func loadNodes(_ meta: MetaRow, _ loaded: inout Loaded) throws(RoostError) {
        do {
            try db.each("SELECT id, incarnation, name, sum FROM nodes ORDER BY id") { row in
                let id = NodeID(rawValue: UInt64(bitPattern: row.number(0)))
                let name = row.text(2)
                loaded.ledger.nodes.insert(id)
                guard row.number(3) == Rows.sum(node: row.number(0), incarnation: row.number(1), name: name) else {
                    loaded.damage.append(RoostError(.damaged, "the row of a node is damaged (\(name))"))
                    return true
                }
                let life = Incarnation(rawValue: UInt64(bitPattern: row.number(1)))
                loaded.pool.nodes.append(StoredNode(id: id, incarnation: life, name: name))
                return true
            }
        } catch {
            loaded.damage.append(try damage("cannot read all nodes from", error))
        }
        if loaded.ledger.nodes.count != meta.nodes {
            loaded.damage.append(
                RoostError(
                    .damaged, "\(meta.nodes) nodes should be in the database, and \(loaded.ledger.nodes.count) are found"))
        }
    }

    // MARK: Files

    private func loadNames(_ loaded: inout Loaded) throws(RoostError) {
        var names: Set<PayloadName> = []
        var isCertain = loaded.damage.isEmpty
        do {
            try db.each("SELECT name, bytes, uses, sum FROM files") { row in
                let bytes = row.buffer(0)
                guard let name = PayloadName(bytes),
                    row.number(3) == Rows.sum(file: bytes, bytes: row.number(1), uses: row.number(2))
                else {
                    isCertain = false
                    loaded.damage.append(RoostError(.damaged, "the row of a payload file is damaged"))
                    return true
                }
                names.insert(name)
                return true
            }
        } catch {
            isCertain = false
            loaded.damage.append(try damage("cannot read all payload files' rows from", error))
        }
        if isCertain { loaded.names = names }
    }
}
