import RoostModel
import RoostScheduler

/// What the writer knows of each job without looking it up: its number, and how much of it there is.
///
/// The counts stand in the database, too, in the job's row of `standings`: a row that is missing is found by them.
struct Ledger: Sendable {
    struct Entry: Sendable {
        var number: UInt32
        var standing = JobStanding()
        /// When every task had an outcome, in nanoseconds since 1970; 0: not yet.
        var endedUnixNanoseconds: Int64 = 0
        var facts: UInt64 = 0
        var chunks: UInt64 = 0
        /// Payloads, also those in files.
        var bytes: Int64 = 0
        /// Written since the last time these counts were.
        var hasChanged = false
    }

    var jobs: [JobID: Entry] = [:]
    var nodes: Set<NodeID> = []
    var lastNumber: UInt32 = 0
    /// Numbers of forgotten jobs of which rows may be left.
    var doomed: [UInt32] = []
    /// Jobs whose counts are to be written with the group.
    var changed: [JobID] = []
    var metaHasChanged = false

    /// Changes a job's entry and marks it for writing.
    /// - Throws: `.internal` for a job that is not there: a fact about it would be lost.
    mutating func change<Value>(
        _ job: JobID, _ body: (inout Entry) throws(RoostError) -> Value
    ) throws(RoostError) -> Value {
        guard var entry = jobs[job] else {
            throw RoostError(
                .internal, "job \(StoreFailure.hexadecimal(job.rawValue)) is not in the database, and a fact about it came")
        }
        let value = try body(&entry)
        if !entry.hasChanged {
            entry.hasChanged = true
            changed.append(job)
        }
        jobs[job] = entry
        return value
    }
}

extension JobStanding {
    /// As the column `flags` keeps it.
    var flags: Int64 {
        (isClosed ? 1 : 0) | (isCancelled ? 2 : 0) | (isStopped ? 4 : 0) | (isKilled ? 8 : 0) | (isEnded ? 16 : 0)
    }

    init(flags: Int64) {
        self.init()
        isClosed = flags & 1 != 0
        isCancelled = flags & 2 != 0
        isStopped = flags & 4 != 0
        isKilled = flags & 8 != 0
        isEnded = flags & 16 != 0
    }
}
