import GRDB
import NIOCore
import RoostModel
import RoostScheduler
import RoostWire

/// Reads one job.
struct JobLoader {
    let db: Database
    /// The database file.
    let path: String
    /// nil: what is in files is not read.
    let files: PayloadFiles?
    let id: JobID
    let number: UInt32
    /// Nanoseconds since 1970.
    let now: Int64

    /// What is wrong with the job itself.
    private struct Damage: Error {
        var what: String
        var cause = ""
    }

    /// Whatever could be read, and how much there is. A damaged job has no arguments and no facts.
    /// - Parameter room: So many bytes of arguments may be given; those that are, are subtracted. What is left on disk is checked
    ///   all the same.
    /// - Throws: `.io` and the like when something kept us from reading what may be in order.
    func load(roomForArguments room: inout Int) throws(RoostError) -> (StoredJob, Ledger.Entry) {
        var job = StoredJob(
            spec: JobSpec(id: id, runtime: RuntimeName(rawValue: "")), number: number, user: "", age: .zero)
        var entry = Ledger.Entry(number: number)
        do {
            try readRow(&job)
            try readStanding(&job, &entry)
            if job.standing.isEnded { job.leftCommon = job.spec.takeCommon() }
            try readArguments(&job, entry, &room)
            try readFacts(&job, entry)
        } catch {
            let damage = try damage(error)
            job.chunks = []
            job.facts = []
            job.damage = StoreFailure.damagedJob(id, number, damage.what, cause: damage.cause)
        }
        return (job, entry)
    }

    private func damage(_ error: any Error) throws(RoostError) -> Damage {
        if let damage = error as? Damage { return damage }
        let failure = StoreFailure.error("cannot read", path, error, reading: true)
        guard failure.code == .damaged else { throw failure }
        return Damage(what: "it cannot be read", cause: failure.description)
    }

    /// The content of a payload; nil when it is in a file, and files are not read.
    private func content(of body: StoredBody, _ what: String) throws -> ByteBuffer? {
        do throws(RoostError) {
            return try body.content(in: files)
        } catch {
            if error.code == .damaged { throw Damage(what: what, cause: error.message) }
            throw error
        }
    }

    private func readRow(_ job: inout StoredJob) throws {
        let row = try db.first(
            "SELECT id, user, submitted, spec, body, file, bytes, sum FROM jobs WHERE number = ?", .number(Int64(number))
        ) { row -> (user: String, submitted: Int64, spec: ByteBuffer, common: StoredBody)? in
            let (key, id) = (Int64(number), row.number(0))
            let (user, submitted, spec) = (row.text(1), row.number(2), row.buffer(3))
            guard let common = row.body(4),
                row.number(7) == Rows.sum(job: key, id: id, user: user, submitted: submitted, spec: spec, common)
            else { return nil }
            return (user, submitted, spec, common)
        }
        guard let row = row ?? nil, let spec = try? StoredForm.spec(row.spec), spec.id == id else {
            throw Damage(what: "its description is missing or not what was written")
        }
        job.user = row.user
        job.age = age(row.submitted)
        job.spec = spec
        let common = try content(of: row.common, "what its tasks share cannot be read")
        job.spec.common = common.map { Array($0.readableBytesView) } ?? []
    }

    private func readStanding(_ job: inout StoredJob, _ entry: inout Ledger.Entry) throws {
        let found = try db.first(
            "SELECT flags, ended, facts, chunks, bytes, sum FROM standings WHERE number = ?", .number(Int64(number))
        ) { row -> Ledger.Entry? in
            let numbers = (0...4).map { row.number($0) }
            let sum = Rows.sum(
                standing: Int64(number), numbers[0], numbers[1], numbers[2], numbers[3], numbers[4])
            guard row.number(5) == sum else { return nil }
            var entry = Ledger.Entry(number: number)
            entry.standing = JobStanding(flags: numbers[0])
            entry.endedUnixNanoseconds = numbers[1]
            entry.facts = UInt64(clamping: numbers[2])
            entry.chunks = UInt64(clamping: numbers[3])
            entry.bytes = numbers[4]
            return entry
        }
        guard let found = found ?? nil else { throw Damage(what: "its standing is missing or not what was written") }
        entry = found
        job.standing = found.standing
        if found.standing.isEnded { job.endedAge = age(found.endedUnixNanoseconds) }
    }

    private func readArguments(_ job: inout StoredJob, _ entry: Ledger.Entry, _ room: inout Int) throws {
        let keys = RowID.all(of: number)
        // The first task of the next piece; nil behind a piece that was not read.
        var tasks: Int? = 0
        job.chunks.reserveCapacity(Int(clamping: min(entry.chunks, 1 << 20)))
        try db.each(
            "SELECT id, first, body, file, bytes, sum FROM chunks WHERE id BETWEEN ? AND ? ORDER BY id",
            .number(keys.lowerBound), .number(keys.upperBound)
        ) { row in
            let (id, first) = (row.number(0), row.number(1))
            let which = "the arguments of its tasks from \(tasks ?? Int(first)) on"
            guard let body = row.body(2), row.number(5) == Rows.sum(chunk: id, first: first, body),
                id == (try? RowID.at(UInt64(job.chunks.count), of: number)), tasks ?? Int(first) == Int(first)
            else { throw Damage(what: "\(which) are not what was written") }
            guard let content = try content(of: body, "\(which) cannot be read") else {
                job.chunks.append(StoredArguments(PayloadArray()))
                tasks = nil
                return true
            }
            let payloads: PayloadArray
            do throws(WireFault) {
                payloads = try StoredForm.payloads(content)
            } catch {
                throw Damage(what: "\(which) cannot be read", cause: "\(error)")
            }
            let isOnDisk = job.standing.isEnded || payloads.bytes.count > room
            if !isOnDisk { room -= payloads.bytes.count }
            job.chunks.append(StoredArguments(payloads, leavingOnDisk: isOnDisk))
            tasks = Int(first) + payloads.count
            return true
        }
        guard UInt64(job.chunks.count) == entry.chunks else {
            throw Damage(what: "of \(entry.chunks) pieces of its arguments \(job.chunks.count) are there")
        }
    }

    private func readFacts(_ job: inout StoredJob, _ entry: Ledger.Entry) throws {
        let keys = RowID.all(of: number)
        job.facts.reserveCapacity(Int(clamping: min(entry.facts, 1 << 20)))
        try db.each(
            "SELECT id, kind, content, sum FROM facts WHERE id BETWEEN ? AND ? ORDER BY id", .number(keys.lowerBound),
            .number(keys.upperBound)
        ) { row in
            let (id, kind, content) = (row.number(0), row.number(1), row.buffer(2))
            guard row.number(3) == Rows.sum(fact: id, kind: kind, content), let kind = FactForm.Kind(rawValue: kind),
                id == (try? RowID.at(UInt64(job.facts.count), of: number)),
                let fact = try? FactForm.decode(kind, content)
            else { throw Damage(what: "fact \(job.facts.count) about its tasks is not what was written") }
            job.facts.append(fact)
            return true
        }
        guard UInt64(job.facts.count) == entry.facts else {
            throw Damage(what: "of \(entry.facts) facts about its tasks \(job.facts.count) are there")
        }
    }

    private func age(_ unixNanoseconds: Int64) -> Duration { .nanoseconds(max(0, now - unixNanoseconds)) }
}
