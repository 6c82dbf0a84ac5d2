import Glibc
import RoostModel
import RoostScheduler
import RoostStore
import Synchronization
import Testing

/// Backup, check, space.
@Suite struct CareTests {
    @Test func aBackupWhileWritingIsTheStoreAsItWasAtOneMoment() async throws {
        let directory = TemporaryDirectory()
        File.write(Array("41".utf8), to: "\(directory.path)/epoch")
        File.write([1, 2, 3], to: "\(directory.path)/ca.pem")
        // As a server that is at work.
        let lock = Glibc.open("\(directory.path)/lock", O_RDWR | O_CREAT, 0o600)
        flock(lock, LOCK_EX)
        defer { close(lock) }
        let (store, _) = try PoolDatabase.open(directory)
        let job = JobID(rawValue: 1)
        let error = await store.write([.opened(Sample.spec(1, common: [UInt8](repeating: 1, count: 9000)), number: 1, user: "ann")])
        #expect(error == nil)
        let written = Counter()
        let writing = Task {
            var sequence = 0
            while !Task.isCancelled {
                // Every third is in a file; another job comes and goes with its file.
                let bytes = sequence % 3 == 0 ? 3000 + sequence : 10
                let other = JobID(rawValue: UInt64(1000 + sequence))
                let error = await store.write([
                    .task(job, .outcomes(sequence: UInt64(sequence), Sample.outcomes(1, first: 0, count: 1, bytes: bytes))),
                    .opened(
                        Sample.spec(other.rawValue, common: [UInt8](repeating: 2, count: 4000 + sequence)),
                        number: UInt32(2 + sequence), user: "bob"),
                ])
                #expect(error == nil)
                written.add()
                _ = await store.write([.forgotten(other)])
                sequence += 1
            }
        }
        for round in 0..<3 {
            let file = "\(directory.path)-\(round).backup"
            defer { unlink(file) }
            let before = await written.value(atLeast: round * 20 + 10)
            let report = try PoolDatabase.backup(directory: directory.path, to: file)
            let after = written.value
            #expect(report.jobs >= 1 && report.payloadFiles >= before / 3)
            let check = try PoolDatabase.check(directory: directory.path)
            #expect(check.findings.isEmpty)

            let restored = TemporaryDirectory()
            try PoolDatabase.restore(file: file, directory: restored.path)
            let (copy, pool) = try PoolDatabase.open(restored)
            #expect(copy.damage.isEmpty)
            let count = pool.jobs[0].facts.count
            #expect(count >= before && count <= after + 1)
            for sequence in 0..<count {
                let payloads = try copy.payloads(of: job, at: .outcomes(sequence: UInt64(sequence)))
                #expect(payloads[0].count == (sequence % 3 == 0 ? 3000 + sequence : 10))
            }
            copy.close()
            // The rest of the pool came, too; epochs of both pools never meet.
            #expect(File.read("\(restored.path)/ca.pem") == [1, 2, 3])
            let epoch = try #require(Int(String(decoding: File.read("\(restored.path)/epoch"), as: UTF8.self)))
            #expect(epoch >= time(nil) - 600 && epoch <= time(nil))
            let whole = try PoolDatabase.check(directory: restored.path)
            #expect(whole.findings.isEmpty)
        }
        writing.cancel()
        await writing.value
        store.close()
        #expect(TemporaryDirectory.entries(directory.path).allSatisfy { !$0.name.contains("backup") })
    }

    @Test func backupAndRestoreOverwriteNothing() async throws {
        let directory = TemporaryDirectory()
        let (store, _) = try PoolDatabase.open(directory)
        store.close()
        let file = "\(directory.path)/backup"
        try PoolDatabase.backup(directory: directory.path, to: file)
        var status = stat()
        #expect(stat(file, &status) == 0 && status.st_mode & 0o777 == 0o600)
        #expect(throws: RoostError.self) { try PoolDatabase.backup(directory: directory.path, to: file) }
        #expect(throws: RoostError.self) { try PoolDatabase.restore(file: file, directory: directory.path) }
        #expect(throws: RoostError.self) { try PoolDatabase.restore(file: directory.database, directory: "\(directory.path)/new") }
        let empty = TemporaryDirectory()
        #expect(throws: RoostError.self) { try PoolDatabase.backup(directory: empty.path, to: "\(empty.path)/backup") }
        #expect(throws: RoostError.self) { try PoolDatabase.check(directory: empty.path) }
    }

    @Test func orphansAreFoundAndRemovedAtTheNextStart() async throws {
        let directory = TemporaryDirectory()
        let (store, _) = try PoolDatabase.open(directory)
        let error = await store.write(Sample.small(1, number: 1))
        #expect(error == nil)
        store.close()
        let files = directory.payloadFiles
        let folder = "\(directory.path)/payloads/00"
        mkdir(folder, 0o700)
        let orphans = ["\(folder)/\(String(repeating: "0", count: 64))", "\(folder)/\(String(repeating: "0", count: 64)).new"]
        for orphan in orphans { File.write([1], to: orphan) }
        let check = try PoolDatabase.check(directory: directory.path)
        #expect(check.findings.count == 2 && check.findings.allSatisfy { $0.message.contains("nothing needs") })
        let (again, _) = try PoolDatabase.open(directory)
        again.close()
        #expect(directory.payloadFiles == files)
    }

    /// A start goes on with what the last one had forgotten, and not yet deleted; large numbers are as good as small ones.
    @Test func whatIsForgottenGoesInSteps() async throws {
        let directory = TemporaryDirectory()
        var options = StoreOptions()
        options.forgetRows = 5
        options.checkpointPages = 100
        let (store, _) = try PoolDatabase.open(directory: directory.path, pool: 7, options: options)
        let numbers: [UInt32] = [1, 1 << 31, .max]
        for number in numbers {
            var writes: [StoreWrite] = [.opened(Sample.spec(UInt64(number)), number: number, user: "ann")]
            for sequence in 0..<40 as Range<UInt64> {
                let job = JobID(rawValue: UInt64(number))
                writes.append(.appended(job, first: TaskIndex(sequence), Sample.arguments(1)))
                writes.append(.task(job, .outcomes(sequence: sequence, Sample.outcomes(UInt64(number), first: 0, count: 1))))
            }
            let error = await store.write(writes)
            #expect(error == nil)
        }
        // The last group before the end: at most a step or two follows.
        let error = await store.write(numbers.dropFirst().map { .forgotten(JobID(rawValue: UInt64($0))) })
        #expect(error == nil)
        store.close()
        let check = try PoolDatabase.check(directory: directory.path)
        #expect(check.findings.isEmpty && check.jobs == 1)
        let (again, pool) = try PoolDatabase.open(directory: directory.path, pool: 7, options: options)
        #expect(pool.jobs.map(\.number) == [1] && pool.jobs[0].chunks.count == 40 && pool.jobs[0].facts.count == 40)
        #expect(pool.lastJobNumber == .max && again.damage.isEmpty)
        var rounds = 0
        while try again.space().forgottenJobs > 0, rounds < 1000 {
            rounds += 1
            _ = await again.write([])
        }
        #expect(try again.space().forgottenJobs == 0)
        #expect(try again.payloads(of: JobID(rawValue: 1), at: .outcomes(sequence: 39)).count == 1)
        again.close()
        #expect(try PoolDatabase.check(directory: directory.path).findings.isEmpty)
    }

    /// Many small jobs start as fast as a few large ones.
    @Test func manyJobsStartFast() async throws {
        let directory = TemporaryDirectory()
        let (store, _) = try PoolDatabase.open(directory)
        let count: UInt32 = 20_000
        for first in stride(from: 1, to: count, by: 1000) {
            var writes: [StoreWrite] = []
            for number in first..<(first + 1000) {
                let job = JobID(rawValue: UInt64(number) &* 0x9E37_79B9_7F4A_7C15)
                writes.append(.opened(Sample.spec(job.rawValue), number: number, user: "ann"))
                writes.append(.appended(job, first: 0, Sample.arguments(1)))
                writes.append(.task(job, .outcomes(sequence: 0, Sample.outcomes(job.rawValue, first: 0, count: 1))))
            }
            let error = await store.write(writes)
            #expect(error == nil)
        }
        store.close()
        let began = Clock.now()
        let (again, pool) = try PoolDatabase.open(directory)
        let seconds = (Clock.now() - began).inSeconds
        print("a start with \(count) jobs: \(seconds) s")
        #expect(pool.jobs.count == Int(count) && again.damage.isEmpty)
        #expect(seconds < 5)
        again.close()
    }

    /// Jobs come and go: the database stays as large as it was, and so do the files.
    @Test func spaceIsFlat() async throws {
        let directory = TemporaryDirectory()
        var options = StoreOptions()
        options.fileBytes = 2000
        options.checkpointPages = 30
        let (store, _) = try PoolDatabase.open(directory: directory.path, pool: 7, options: options)
        var sizes: [StoreSpace] = []
        for round in 1...12 as ClosedRange<UInt64> {
            var writes: [StoreWrite] = [.opened(Sample.spec(round), number: UInt32(round), user: "ann")]
            for sequence in 0..<50 as Range<UInt64> {
                let batch = Sample.outcomes(round, first: 0, count: 10, bytes: sequence % 10 == 0 ? 500 : 50)
                writes.append(.task(JobID(rawValue: round), .outcomes(sequence: sequence, batch)))
            }
            var error = await store.write(writes)
            #expect(error == nil)
            sizes.append(try store.space())
            error = await store.write([.forgotten(JobID(rawValue: round))])
            #expect(error == nil)
            // What is forgotten goes between groups: one after the other, as a server's turns come.
            for _ in 0..<40 { _ = await store.write([]) }
        }
        let first = try #require(sizes.dropFirst(2).first)
        let last = try #require(sizes.last)
        #expect(last.databaseBytes <= first.databaseBytes + 200_000)
        #expect(last.payloadFiles == first.payloadFiles && last.payloadFileBytes == first.payloadFileBytes)
        #expect(last.jobBytes.count == 1 && last.jobBytes == [JobID(rawValue: 12): first.jobBytes.values.first ?? 0])
        store.close()
    }
}

/// Counts, and lets wait until it has.
final class Counter: Sendable {
    private let state = Mutex<(count: Int, waiting: (least: Int, continuation: CheckedContinuation<Void, Never>)?)>((0, nil))

    var value: Int { state.withLock { $0.count } }

    func add() {
        let waiting = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.count += 1
            guard let waiting = state.waiting, state.count >= waiting.least else { return nil }
            state.waiting = nil
            return waiting.continuation
        }
        waiting?.resume()
    }

    func value(atLeast least: Int) async -> Int {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.count >= least { return true }
                state.waiting = (least, continuation)
                return false
            }
            if isThere { continuation.resume() }
        }
        return value
    }
}
