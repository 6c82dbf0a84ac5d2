import Glibc
import RoostModel
import RoostScheduler
import RoostStore
import Testing

/// What was written is found again.
@Suite struct RoundTripTests {
    @Test(arguments: 0..<8) func randomWritesAreFoundAgain(seed: Int) async throws {
        let directory = TemporaryDirectory()
        var maker = WriteMaker(seed: UInt64(seed))
        for _ in 0..<3 {
            let (store, pool) = try PoolDatabase.open(directory)
            #expect(maker.model.difference(from: pool, store) == nil)
            for _ in 0..<30 {
                let group = maker.group()
                let error = await store.write(group)
                #expect(error == nil)
            }
            store.close()
        }
        let (store, pool) = try PoolDatabase.open(directory)
        #expect(maker.model.difference(from: pool, store) == nil)
        store.close()
    }

    @Test func argumentsBeyondWhatMemoryIsForAreLeftOnDisk() async throws {
        let directory = TemporaryDirectory()
        var (store, pool) = try PoolDatabase.open(directory)
        for id in 1...3 as ClosedRange<UInt64> {
            let error = await store.write(Sample.small(id, number: UInt32(id)))
            #expect(error == nil)
        }
        var ended = JobStanding()
        ended.isEnded = true
        let error = await store.write([.changed(JobID(rawValue: 1), ended)])
        #expect(error == nil)
        store.close()
        // Ten arguments of 20 bytes a job, then four of 1000.
        (store, pool) = try PoolDatabase.open(directory, argumentBytes: 4300)
        #expect(pool.jobs.map { $0.chunks.map(\.isOnDisk) } == [[true, true], [false, false], [true, true]])
        #expect(pool.jobs.map(\.leftCommon?.byteCount) == [5000, nil, nil])
        #expect(pool.jobs.map(\.spec.common.count) == [0, 100, 5000])
        #expect(try store.payloads(of: JobID(rawValue: 1), at: .common) == PayloadArray([[UInt8](repeating: 9, count: 5000)]))
        #expect(pool.jobs[0].chunks[1].payloads == PayloadArray(empty: 4))
        #expect(try store.payloads(of: JobID(rawValue: 1), at: .arguments(chunk: 1)) == Sample.arguments(4, bytes: 1000))
        #expect(throws: RoostError.self) { try store.payloads(of: JobID(rawValue: 1), at: .arguments(chunk: 2)) }
        store.close()
    }

    @Test func groupsOfManyCallersKeepTheirOrder() async throws {
        let directory = TemporaryDirectory()
        let (store, _) = try PoolDatabase.open(directory)
        let job = JobID(rawValue: 1)
        var error = await store.write([.opened(Sample.spec(1), number: 1, user: "ann")])
        #expect(error == nil)
        for sequence in 0..<1000 {
            store.commit([
                .task(job, .outcomes(sequence: UInt64(sequence), Sample.outcomes(1, first: UInt32(sequence), count: 1)))
            ]) { #expect($0 == nil) }
        }
        error = await store.write([.appended(job, first: 0, Sample.arguments(3))])
        #expect(error == nil)
        store.close()
        let (again, pool) = try PoolDatabase.open(directory)
        let sequences = pool.jobs[0].facts.map { fact -> UInt64? in
            if case .outcomes(let sequence, _) = fact { sequence } else { nil }
        }
        #expect(sequences == (0..<1000).map { UInt64($0) })
        #expect(try again.payloads(of: job, at: .outcomes(sequence: 999))[0] == [231, 231, 231, 231, 231, 231, 231, 231])
        again.close()
    }

    @Test func onlyTheOwnerMayRead() async throws {
        let directory = TemporaryDirectory()
        let (store, _) = try PoolDatabase.open(directory)
        let error = await store.write(Sample.small(1, number: 1))
        #expect(error == nil)
        #expect(!directory.payloadFiles.isEmpty)
        for path in TemporaryDirectory.files(directory.path) {
            var status = stat()
            stat(path, &status)
            #expect(status.st_mode & 0o777 == 0o600, "\(path)")
        }
        store.close()
    }

    /// What is above the limit is in a file, once, until the last job that needs it is forgotten.
    @Test func equalPayloadsShareAFile() async throws {
        let directory = TemporaryDirectory()
        let (store, _) = try PoolDatabase.open(directory)
        let common = [UInt8](repeating: 1, count: 5000)
        for number in 1...3 as ClosedRange<UInt32> {
            let error = await store.write([
                .opened(Sample.spec(UInt64(number), common: common), number: number, user: "ann")
            ])
            #expect(error == nil)
        }
        #expect(directory.payloadFiles.count == 1)
        for number in 1...3 as ClosedRange<UInt64> {
            #expect(directory.payloadFiles.count == 1)
            let error = await store.write([.forgotten(JobID(rawValue: number))])
            #expect(error == nil)
        }
        store.close()
        let (again, pool) = try PoolDatabase.open(directory)
        again.close()
        #expect(pool.jobs.isEmpty && pool.lastJobNumber == 3)
        // The last rows went at the latest after the next start.
        let (third, _) = try PoolDatabase.open(directory)
        third.close()
        #expect(directory.payloadFiles.isEmpty)
    }

    @Test func factsAboutAnUnknownJobCloseTheStore() async throws {
        let directory = TemporaryDirectory()
        let (store, _) = try PoolDatabase.open(directory)
        let first = await store.write([.appended(JobID(rawValue: 1), first: 0, Sample.arguments(1))])
        #expect(first?.code == .internal)
        let second = await store.write([.opened(Sample.spec(1), number: 1, user: "ann")])
        #expect(second == first)
        store.close()
        let (again, pool) = try PoolDatabase.open(directory)
        #expect(pool.jobs.isEmpty)
        again.close()
    }
}
