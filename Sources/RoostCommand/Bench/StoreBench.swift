import Glibc
import Roost
import RoostModel
import RoostNode
import RoostScheduler
import RoostStore
import RoostWire

/// How fast the server's database is alone: what a server could do at most on this disk.
struct StoreBench {
    let directory: String
    let tasks: Int
    let payload: Int

    private static let job = JobID(rawValue: 1)

    init(directory: String, tasks: Int, payload: Int) {
        self.directory = "\(directory)/roost-bench-\(UInt64.random(in: .min ... .max))"
        self.tasks = tasks
        self.payload = payload
    }

    func measure() async throws(RoostError) -> StoreFigures {
        try PrivateFiles.ensureDirectory(directory)
        defer { DirectoryTree.remove(directory) }
        var figures = StoreFigures(tasks: tasks)
        figures.syncMicroseconds = try syncMicroseconds()
        let (store, _) = try PoolDatabase.open(directory: directory, pool: 1)
        try await write(store, [.opened(spec(Self.job), number: 1, user: "bench")])
        var sequence: UInt64 = 0
        figures.singleMicroseconds = try await singleMicroseconds(store, &sequence)
        // As many single outcomes as make a second or so.
        figures.singlesPerSecond = try await perSecond(min(tasks, 200_000)) { (first) throws(RoostError) in
            let facts = (0..<100).map { place in
                StoreWrite.task(Self.job, .outcomes(sequence: sequence + UInt64(place), outcomes(first + place, 1)))
            }
            sequence += 100
            try await write(store, facts)
            return 100
        }
        figures.batchedPerSecond = try await perSecond(tasks) { (first) throws(RoostError) in
            try await write(store, [granted(first, 100), .task(Self.job, .outcomes(sequence: sequence, outcomes(first, 100)))])
            sequence += 1
            return 100
        }
        try await fill(store, &figures)
        store.close()
        try start(&figures)
        return figures
    }

    // MARK: Commits

    /// Median of a write of one page at the end of a file, and its sync.
    private func syncMicroseconds() throws(RoostError) -> Double {
        let path = "\(directory)/sync"
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw RoostError(.io, "cannot make \(path)", cause: String(cString: strerror(errno))) }
        defer {
            close(file)
            unlink(path)
        }
        let page = [UInt8](repeating: 1, count: 4096)
        var times: [Double] = []
        for _ in 0..<300 {
            let began = Clock.now()
            guard Glibc.write(file, page, page.count) == page.count, fdatasync(file) == 0 else {
                throw RoostError(.io, "cannot write \(path)", cause: String(cString: strerror(errno)))
            }
            times.append((Clock.now() - began).inSeconds * 1e6)
        }
        return times.sorted()[times.count / 2]
    }

    /// Median time of a group of one outcome, each after the one before.
    private func singleMicroseconds(_ store: PoolDatabase, _ sequence: inout UInt64) async throws(RoostError) -> Double {
        var times: [Double] = []
        for single in 0..<1000 {
            let began = Clock.now()
            try await write(store, [.task(Self.job, .outcomes(sequence: sequence, outcomes(single, 1)))])
            times.append((Clock.now() - began).inSeconds * 1e6)
            sequence += 1
        }
        return times.sorted()[times.count / 2]
    }

    private func perSecond(
        _ count: Int, _ group: (Int) async throws(RoostError) -> Int
    ) async throws(RoostError) -> Double {
        let began = Clock.now()
        var done = 0
        while done < count { done += try await group(done) }
        return Double(done) / (Clock.now() - began).inSeconds
    }

    // MARK: A start

    /// A job that is finished and one that waits, of `tasks` tasks each, as a server would have written them.
    private func fill(_ store: PoolDatabase, _ figures: inout StoreFigures) async throws(RoostError) {
        let (finished, queued) = (JobID(rawValue: 2), JobID(rawValue: 3))
        try await write(store, [.opened(spec(finished), number: 2, user: "bench")])
        try await write(store, [.opened(spec(queued), number: 3, user: "bench")])
        let chunk = max(1, min(Limits.chunkTasks, Limits.chunkBytes / payload))
        let began = Clock.now()
        for first in stride(from: 0, to: tasks, by: chunk) {
            let count = min(chunk, tasks - first)
            let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: first), count: count * payload)
            let arguments = PayloadArray(bytes: bytes, ends: (1...count).map { UInt32($0 * payload) })
            try await write(store, [.appended(queued, first: TaskIndex(first), arguments)])
        }
        figures.appendedPerSecond = Double(tasks) / (Clock.now() - began).inSeconds
        var sequence: UInt64 = 0
        for first in stride(from: 0, to: tasks, by: 1000) {
            let count = min(1000, tasks - first)
            let bytes = [UInt8](repeating: 0, count: count * payload)
            let arguments = PayloadArray(bytes: bytes, ends: (1...count).map { UInt32($0 * payload) })
            var batch = outcomes(first, count)
            batch.job = finished
            try await write(
                store,
                [
                    .appended(finished, first: TaskIndex(first), arguments),
                    .task(finished, .outcomes(sequence: sequence, batch)),
                ])
            sequence += 1
        }
        // Not before: deleting its rows takes time between groups, and is not what is measured.
        try await write(store, [.forgotten(Self.job)])
        while try store.space().forgottenJobs > 0 { try await write(store, []) }
    }

    private func start(_ figures: inout StoreFigures) throws(RoostError) {
        let before = ProcessFigures(pid: getpid()).residentBytes ?? 0
        let began = Clock.now()
        let (store, pool) = try PoolDatabase.open(directory: directory, pool: 1)
        figures.startSeconds = (Clock.now() - began).inSeconds
        figures.startBytes = (ProcessFigures(pid: getpid()).residentBytes ?? 0) - before
        let count = pool.jobs.reduce(0) { $0 + $1.chunks.reduce(0) { $0 + $1.payloads.count } }
        store.close()
        guard pool.jobs.count == 2, count == 2 * tasks, store.damage.isEmpty else {
            throw RoostError(.internal, "the database has \(count) tasks instead of \(2 * tasks)")
        }
    }

    // MARK: What is written

    private func write(_ store: PoolDatabase, _ group: [StoreWrite]) async throws(RoostError) {
        let error = await withCheckedContinuation { continuation in
            store.commit(group) { continuation.resume(returning: $0) }
        }
        if let error { throw error }
    }

    private func spec(_ job: JobID) -> JobSpec { JobSpec(id: job, name: "bench", runtime: .digest, retention: .durable) }

    private func granted(_ first: Int, _ count: Int) -> StoreWrite {
        let tasks = TaskRange(first: TaskIndex(first), count: UInt32(count))
        return .task(
            Self.job, .granted(AttemptRun(job: Self.job, epoch: 1, number: 1, tasks: tasks), NodeID(rawValue: 1)))
    }

    /// Eight bytes for each task.
    private func outcomes(_ first: Int, _ count: Int) -> OutcomeBatch {
        var batch = OutcomeBatch(job: Self.job, epoch: 1, node: "bench")
        for task in first..<(first + count) { batch.append(task: TaskIndex(task), attempt: 1, littleEndian: UInt64(task)) }
        return batch
    }
}

/// What a store's benchmark found.
struct StoreFigures {
    var tasks: Int
    /// Of one page at the end of a file.
    var syncMicroseconds = 0.0
    /// A group of one outcome.
    var singleMicroseconds = 0.0
    /// Outcomes of one task each, groups of 100.
    var singlesPerSecond = 0.0
    /// Grant and outcomes of 100 tasks, a group each.
    var batchedPerSecond = 0.0
    /// Arguments, a chunk a group.
    var appendedPerSecond = 0.0
    /// A start with `tasks` finished and `tasks` queued ones, and what it adds to the memory.
    var startSeconds = 0.0
    var startBytes = 0

    var json: String {
        func number(_ value: Double) -> String { "\((value * 1000).rounded() / 1000)" }
        return """
            {"tasks": \(tasks), "sync_us": \(number(syncMicroseconds)), "single_group_us": \(number(singleMicroseconds)), \
            "single_outcomes_per_second": \(number(singlesPerSecond.rounded())), \
            "batched_outcomes_per_second": \(number(batchedPerSecond.rounded())), \
            "appended_per_second": \(number(appendedPerSecond.rounded())), "start_seconds": \(number(startSeconds)), \
            "start_bytes": \(startBytes)}
            """
    }

    var text: String {
        """
        sync             \(Int(syncMicroseconds)) µs median, of a page at the end of a file
        one outcome      \(Int(singleMicroseconds)) µs median, a group of its own
        outcomes/s       \(Int(singlesPerSecond))   one task each, groups of 100
        outcomes/s       \(Int(batchedPerSecond))   100 tasks each, and their grants, a group of its own
        arguments/s      \(Int(appendedPerSecond))   a chunk a group
        start            \((startSeconds * 1000).rounded() / 1000) s with \(tasks) finished and \(tasks) queued tasks, \(startBytes >> 20) MiB
        """
    }
}
