import GRDB
import NIOCore
package import RoostModel
package import RoostScheduler
import RoostWire
import Synchronization

/// A server's store on its disk: a SQLite database, and files for large payloads.
///
///     <data>/pool.sqlite       jobs, arguments, facts, outcomes, setup, nodes; every row with its checksum
///     <data>/payloads/xx/…     payloads above a limit, named by their SHA-256
///
/// Groups are committed in the order of the calls, on a thread of the store's own; those that wait together share a
/// transaction. A group's large payloads are on the disk before its rows are. When anything fails the store is closed for
/// good: a disk that failed once is not trusted a second time, and the next start recovers from what was synced.
package final class PoolDatabase: PoolStore {
    /// The database file.
    package let path: String
    /// What was found damaged at the start, also what belongs to no job.
    package let damage: [RoostError]
    let pool: UInt64
    let options: StoreOptions
    let files: PayloadFiles
    let writer: DatabaseQueue
    private let reader: DatabaseQueue
    private let inbox = Mutex(Inbox())
    /// Held by whoever calls the writer, so that ``close()`` knows when nobody does any more. The writer never waits for it: one
    /// that wakes up to wait for its caller costs every commit two switches of threads.
    private let calling = Mutex(())
    /// The writer's own: nobody else ever asks for it, so holding it while writing keeps nobody waiting.
    private let ledger: Mutex<Ledger>
    private let numbers: Mutex<[JobID: UInt32]>
    private let log: WriteAheadLog

    /// Groups that wait for the writer.
    private struct Inbox {
        var groups: [Group] = []
        /// Whether the writer is at work and will look here again.
        var isWriting = false
        var isClosing = false
        var failure: RoostError?
    }

    private struct Group {
        var writes: [StoreWrite]
        var done: @Sendable (RoostError?) -> Void
    }

    init(_ opened: OpenedStore) {
        path = opened.path
        damage = opened.damage
        pool = opened.pool
        options = opened.options
        files = opened.files
        writer = opened.writer
        reader = opened.reader
        numbers = Mutex(opened.ledger.jobs.mapValues(\.number))
        log = opened.log
        let isForgetting = !opened.ledger.doomed.isEmpty
        ledger = Mutex(opened.ledger)
        if isForgetting { _ = call { _ in } }
    }

    package func commit(_ writes: [StoreWrite], done: @escaping @Sendable (RoostError?) -> Void) {
        let failure = call { inbox in inbox.groups.append(Group(writes: writes, done: done)) }
        if let failure { done(failure) }
    }

    package func payloads(of job: JobID, at place: StoredPlace) throws(RoostError) -> PayloadArray {
        guard let number = numbers.withLock({ $0[job] }) else {
            throw RoostError(.notFound, "job \(StoreFailure.hexadecimal(job.rawValue)) is not in the database")
        }
        let (id, row, name) =
            switch place {
            case .common: (Int64(number), Rows.common, "what its tasks share")
            case .outcomes(let sequence):
                (try RowID.at(sequence, of: number), Rows.result, "entry \(sequence) of its outcomes")
            case .arguments(let chunk):
                (try RowID.at(UInt64(chunk), of: number), Rows.arguments, "piece \(chunk) of its arguments")
            }
        let damaged = { (what: String, cause: String) in
            StoreFailure.damagedJob(job, number, "\(name) \(what)", cause: cause)
        }
        let body: StoredBody??
        do {
            body = try read { db in try row(id, db) }
        } catch {
            let error = StoreFailure.error("cannot read from", path, error)
            throw error.code == .damaged ? damaged("cannot be read", error.cause) : error
        }
        guard let body else { throw damaged("is missing", "") }
        guard let body else { throw damaged("is not what was written", "") }
        let content: ByteBuffer
        do throws(RoostError) {
            content = try files.content(of: body)
        } catch {
            throw error.code == .damaged ? damaged("cannot be read", error.message) : error
        }
        if place == .common { return PayloadArray([Array(content.readableBytesView)]) }
        do throws(WireFault) {
            return try StoredForm.payloads(content)
        } catch {
            throw damaged("makes no sense", "\(error)")
        }
    }

    /// Writes what waits, copies the write-ahead log into the database, and closes the files. Later calls fail.
    package func close() {
        inbox.withLock { $0.isClosing = true }
        writer.writeWithoutTransaction { db in
            var isWhole = false
            repeat { drain(db) } while !isFinal(&isWhole)
            if isWhole { _ = try? db.checkpoint(.truncate) }
        }
        // Whoever has called the writer has done so: its last turn comes before its end.
        calling.withLock { _ in }
        // Failing to close loses nothing: everything acknowledged is on the disk.
        try? reader.close()
        try? writer.close()
    }

    /// Whether nothing more can be committed, which this sees to when nothing waits; `isWhole` when it did not fail before.
    private func isFinal(_ isWhole: inout Bool) -> Bool {
        inbox.withLock { inbox in
            guard inbox.failure == nil else { return true }
            guard inbox.groups.isEmpty else { return false }
            inbox.failure = RoostError(.cancelled, "the database \(path) was closed")
            isWhole = true
            return true
        }
    }

    /// What `body` finds, in one transaction; commits go on meanwhile.
    func read<Value>(_ body: (Database) throws -> Value) throws -> Value { try reader.read(body) }

    // MARK: The writer

    /// Adds work to the inbox, and sees to it that the writer is at it. Nothing happens when the store has failed, or is closed.
    /// - Returns: why not.
    private func call(_ add: (inout Inbox) -> Void) -> RoostError? {
        calling.withLock { _ in
            var isNew = false
            let failure = inbox.withLock { inbox -> RoostError? in
                guard inbox.failure == nil else { return inbox.failure }
                add(&inbox)
                isNew = !inbox.isWriting
                inbox.isWriting = true
                return nil
            }
            if isNew { writer.asyncWriteWithoutTransaction { db in self.drain(db) } }
            return failure
        }
    }

    /// Writes groups until none waits and nothing forgotten is left to delete, or something fails.
    private func drain(_ db: Database) {
        var flushes = 0
        while true {
            let groups = take()
            if !groups.isEmpty {
                flushes += 1
                guard flush(groups, db) else { return }
                // Under a steady load what is forgotten goes, too, only slower.
                if flushes % 16 != 0 { continue }
            }
            if !inbox.withLock({ $0.isClosing }) {
                guard let isLeft = forgetSome(db) else { return }
                if isLeft || !groups.isEmpty { continue }
            }
            let isDone = inbox.withLock { inbox in
                inbox.isWriting = !inbox.groups.isEmpty
                return !inbox.isWriting
            }
            if isDone { return }
        }
    }

    /// The groups of the next transaction, in order; the store's own limit bounds their bytes.
    private func take() -> [Group] {
        inbox.withLock { inbox in
            var bytes = 0
            let end =
                inbox.groups.firstIndex { group in
                    defer { bytes += group.writes.reduce(0) { $0 + $1.payloadBytes } }
                    return bytes > options.transactionBytes
                } ?? inbox.groups.count
            let taken = Array(inbox.groups[..<end])
            inbox.groups.removeSubrange(..<end)
            return taken
        }
    }

    /// Whether the store goes on.
    private func flush(_ groups: [Group], _ db: Database) -> Bool {
        var waiting = groups
        do {
            let unused = try write(groups, db)
            waiting = []
            for group in groups { group.done(nil) }
            try remove(unused)
            try log.checkpointIfLong(db, options)
            return true
        } catch {
            fail(StoreFailure.error("cannot write to", path, error), waiting)
            return false
        }
    }

    private func write(_ groups: [Group], _ db: Database) throws -> [PayloadName] {
        var prepared = PreparedGroup()
        for group in groups {
            for write in group.writes { prepared.add(write, fileBytes: options.fileBytes) }
        }
        let uncounted = try uncounted(prepared.files, db)
        try files.store(try missing(prepared.files, db), options)
        try options.reached(.beforeTransaction)
        let unused = try ledger.withLock { ledger in
            var writer = GroupWriter(db, pool: pool, ledger)
            writer.uncounted = uncounted
            // Two holders of one table would make every change a copy of it.
            ledger = Ledger()
            try db.transaction {
                try writer.write(prepared.writes)
                try options.reached(.beforeCommit)
            }
            ledger = writer.ledger
            return writer.unused
        }
        note(prepared.writes)
        try options.reached(.afterCommit)
        return unused
    }

    /// The payloads without a file, or with a damaged one: that one is written anew.
    private func missing(
        _ payloads: [PayloadName: ByteBuffer], _ db: Database
    ) throws -> [PayloadName: ByteBuffer] {
        try payloads.filter { name, content in
            let isKnown = try db.first("SELECT 1 FROM files WHERE name = ?", .bytes(name.bytes)) { _ in true } ?? false
            return !isKnown || (try? files.read(name, bytes: content.readableBytes)) == nil
        }
    }

    /// The payloads whose file is there, and no row that counts who names it: that row was lost.
    private func uncounted(_ payloads: [PayloadName: ByteBuffer], _ db: Database) throws -> Set<PayloadName> {
        try Set(
            payloads.keys.filter { name in
                guard files.contains(name) else { return false }
                return try db.first("SELECT 1 FROM files WHERE name = ?", .bytes(name.bytes)) { _ in true } == nil
            })
    }

    private func note(_ writes: [PreparedWrite]) {
        numbers.withLock { numbers in
            for write in writes {
                if case .opened(let job, let number, _, _, _) = write { numbers[job] = number }
                if case .forgotten(let job) = write { numbers[job] = nil }
            }
        }
    }

    private func remove(_ unused: [PayloadName]) throws(RoostError) {
        guard !unused.isEmpty else { return }
        try options.reached(.beforeUnlink)
        for name in unused { files.remove(name) }
    }

    /// Deletes some of what was forgotten. Whether anything is left; nil: that failed.
    private func forgetSome(_ db: Database) -> Bool? {
        do {
            let (isLeft, unused) = try ledger.withLock { ledger in
                try Forgetting(db: db, options: options).step(&ledger)
            }
            try remove(unused)
            try log.checkpointIfLong(db, options)
            return isLeft
        } catch {
            fail(StoreFailure.error("cannot delete from", path, error), [])
            return nil
        }
    }

    private func fail(_ error: RoostError, _ groups: [Group]) {
        let waiting = inbox.withLock { inbox in
            inbox.failure = error
            defer { inbox.groups.removeAll() }
            return inbox.groups
        }
        for group in groups + waiting { group.done(error) }
        options.onFailure?(error)
    }
}
