import GRDB
import Glibc
import RoostModel
import RoostScheduler
import RoostStore
import Synchronization
import Testing

/// What keeps a store from reading or writing is no damage; what is lost is not lost twice; an end is one.
@Suite struct FailureTests {
    /// A pool whose first job has all there is in files, also setup.
    private static func pool() async throws -> TemporaryDirectory {
        let directory = TemporaryDirectory()
        let (store, _) = try PoolDatabase.open(directory)
        let setup = SetupEntry(session: SessionID(rawValue: 50), number: 1, payload: .init(repeating: 6, count: 4000))
        let error = await store.write(Sample.small(1, number: 1) + [.setup(setup, user: "ann")])
        #expect(error == nil)
        store.close()
        return directory
    }

    /// Links that lead to themselves stand for every passing failure: the file is there, and cannot be opened now.
    @Test func whatCannotBeReadNowIsNoDamage() async throws {
        let directory = try await Self.pool()
        let files = directory.payloadFiles
        #expect(files.count == 4)
        var refused = 0
        for file in files {
            let content = File.read(file)
            unlink(file)
            #expect(symlink(file, file) == 0)
            let before = File.read(directory.database)
            do throws(RoostError) {
                let (store, pool) = try PoolDatabase.open(directory)
                // Results are read when somebody wants them.
                #expect(store.damage.isEmpty && pool.jobs.allSatisfy { $0.damage == nil })
                store.close()
            } catch {
                refused += 1
                #expect(error.code == .io && error.message.contains(file), "\(error)")
                #expect(!error.cause.isEmpty && !error.remedy.isEmpty, "\(error)")
                #expect(File.read(directory.database) == before)
            }
            let check = try PoolDatabase.check(directory: directory.path)
            #expect(check.findings.contains { $0.code == .io && $0.message.contains(file) })
            #expect(check.findings.allSatisfy { !$0.message.contains("is damaged on the disk") })
            File.write(content, to: file)
        }
        #expect(refused == 3)
        let (store, pool) = try PoolDatabase.open(directory)
        #expect(pool.jobs.count == 1 && pool.setups.count == 2 && store.damage.isEmpty)
        store.close()
        #expect(directory.payloadFiles == files)
    }

    /// A file whose row in `files` is gone is needed as before.
    @Test func aFileThatNobodyCountsIsCountedAnewAndNotRemoved() async throws {
        let directory = TemporaryDirectory()
        let common = [UInt8](repeating: 1, count: 5000)
        var (store, pool) = try PoolDatabase.open(directory)
        for number in 1...2 as ClosedRange<UInt32> {
            let error = await store.write([.opened(Sample.spec(UInt64(number), common: common), number: number, user: "ann")])
            #expect(error == nil)
        }
        store.close()
        try await DatabaseQueue(path: directory.database).write { try $0.execute(sql: "DELETE FROM files") }
        #expect(try PoolDatabase.check(directory: directory.path).findings.count == 1)

        (store, pool) = try PoolDatabase.open(directory)
        #expect(store.damage.count == 1 && pool.jobs.map(\.spec.common) == [common, common])
        for job in 1...2 as ClosedRange<UInt64> {
            #expect(directory.payloadFiles.count == 1)
            let error = await store.write([.forgotten(JobID(rawValue: job))])
            #expect(error == nil)
            store.close()
            (store, pool) = try PoolDatabase.open(directory)
        }
        store.close()
        (store, pool) = try PoolDatabase.open(directory)
        #expect(pool.jobs.isEmpty && store.damage.isEmpty && directory.payloadFiles.isEmpty)
        store.close()
    }

    /// The row is lost while the store is at work: who comes next does not take the file along when he goes.
    @Test func aCountThatIsLostMeanwhileNeverEndsAFile() async throws {
        let directory = TemporaryDirectory()
        let common = [UInt8](repeating: 1, count: 5000)
        let (store, _) = try PoolDatabase.open(directory)
        var error = await store.write([.opened(Sample.spec(1, common: common), number: 1, user: "ann")])
        #expect(error == nil)
        try await DatabaseQueue(path: directory.database).write { try $0.execute(sql: "DELETE FROM files") }
        error = await store.write([.opened(Sample.spec(2, common: common), number: 2, user: "ann")])
        #expect(error == nil)
        error = await store.write([.forgotten(JobID(rawValue: 2))])
        #expect(error == nil)
        for _ in 0..<20 { _ = await store.write([]) }
        #expect(try store.space().forgottenJobs == 0)
        store.close()
        let (again, pool) = try PoolDatabase.open(directory)
        #expect(pool.jobs.map(\.spec.common) == [common])
        again.close()
    }

    @Test func aFailureWhileForgettingIsToldOnce() async throws {
        let directory = TemporaryDirectory()
        var options = StoreOptions()
        let counter = Counter()
        options.faults = { $0 == .beforeForgetCommit ? RoostError(.io, "the disk failed") : nil }
        let failures = Failures()
        options.onFailure = { error in
            failures.add(error)
            counter.add()
        }
        let (store, _) = try PoolDatabase.open(directory: directory.path, pool: 7, options: options)
        let error = await store.write(Sample.small(1, number: 1))
        #expect(error == nil)
        _ = await store.write([.forgotten(JobID(rawValue: 1))])
        _ = await counter.value(atLeast: 1)
        // Behind whatever the writer does.
        store.close()
        #expect(failures.all.map(\.message) == ["the disk failed"])
    }

    private final class Failures: Sendable {
        private let errors = Mutex<[RoostError]>([])
        var all: [RoostError] { errors.withLock { $0 } }
        func add(_ error: RoostError) { errors.withLock { $0.append(error) } }
    }

    /// Whoever commits while the store is being closed hears how it went, and what was acknowledged is there.
    @Test func nobodyWhoCommitsAtTheEndIsForgotten() async throws {
        for round in 0..<15 {
            let directory = TemporaryDirectory()
            let (store, _) = try PoolDatabase.open(directory)
            let job = JobID(rawValue: 1)
            let error = await store.write([.opened(Sample.spec(1), number: 1, user: "ann")])
            #expect(error == nil)
            let acknowledged = await withTaskGroup(of: Int.self) { group in
                for writer in 0..<4 {
                    group.addTask {
                        var count = 0
                        for place in 0..<50 {
                            let node = NodeID(rawValue: UInt64(writer * 1000 + place))
                            if await store.write([.nodeJoined(node, Incarnation(rawValue: 1), name: "n")]) != nil { break }
                            count += 1
                        }
                        return count
                    }
                }
                group.addTask {
                    for _ in 0..<round { _ = await store.write([.changed(job, JobStanding())]) }
                    store.close()
                    return 0
                }
                return await group.reduce(0, +)
            }
            let (again, pool) = try PoolDatabase.open(directory)
            #expect(pool.nodes.count == acknowledged && again.damage.isEmpty)
            again.close()
        }
    }
}
