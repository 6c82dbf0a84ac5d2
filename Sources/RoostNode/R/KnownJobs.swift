import RoostModel

/// Which jobs' data a worker has, and under which number it knows them.
///
/// Jobs with the same data share a number: whoever calls the same function again and again has its worker read it once.
/// So small data stays for a while after its job has ended.
struct KnownJobs {
    private var entries: [Entry] = []
    private var next: Int32 = 1
    private var clock = 0

    private struct Entry {
        let handle: Int32
        let common: [UInt8]
        var jobs: Set<JobID>
        var lastUsed: Int
    }

    /// Data of ended jobs that is kept: so many, of at most so many bytes each.
    private static let mostKept = 8
    private static let keptBytes = 64 << 10

    /// The job's number, if the worker has its data, of this job or of another.
    mutating func handle(of job: JobSpec) -> Int32? {
        guard let index = entries.firstIndex(where: { $0.jobs.contains(job.id) || $0.common == job.common }) else { return nil }
        clock += 1
        entries[index].jobs.insert(job.id)
        entries[index].lastUsed = clock
        return entries[index].handle
    }

    /// A number for a job whose data the worker is sent now.
    mutating func add(_ job: JobSpec) -> Int32 {
        clock += 1
        defer { next += 1 }
        entries.append(Entry(handle: next, common: job.common, jobs: [job.id], lastUsed: clock))
        return next
    }

    /// The worker could not take the data of this number: the next job with the same data sends it anew.
    mutating func drop(_ handle: Int32) { entries.removeAll { $0.handle == handle } }

    /// The job is over.
    /// - Returns: the numbers that the worker is to forget.
    mutating func remove(_ job: JobID) -> [Int32] {
        guard let index = entries.firstIndex(where: { $0.jobs.contains(job) }) else { return [] }
        entries[index].jobs.remove(job)
        var forgotten: [Int32] = []
        if entries[index].jobs.isEmpty, entries[index].common.count > Self.keptBytes {
            forgotten.append(entries.remove(at: index).handle)
        }
        let idle = entries.indices.filter { entries[$0].jobs.isEmpty }
        if idle.count > Self.mostKept, let oldest = idle.min(by: { entries[$0].lastUsed < entries[$1].lastUsed }) {
            forgotten.append(entries.remove(at: oldest).handle)
        }
        return forgotten
    }
}
