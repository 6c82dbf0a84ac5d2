import Glibc
import RoostModel
import RoostScheduler
import RoostStore
import Testing

/// What a backup holds, and what a failed one, or a failed restore, leaves: nothing.
@Suite struct BackupTests {
    /// A closed pool with payload files, beside it what does not belong to it, and the names of that.
    private static func pool() async throws -> (directory: TemporaryDirectory, foreign: [String]) {
        let directory = TemporaryDirectory()
        let (store, _) = try PoolDatabase.open(directory)
        let error = await store.write(Sample.small(1, number: 1))
        #expect(error == nil)
        store.close()
        File.write(Array("41".utf8), to: "\(directory.path)/epoch")
        File.write([1, 2, 3], to: "\(directory.path)/ca.pem")
        File.write([4], to: "\(directory.path)/notes.txt")
        chmod("\(directory.path)/notes.txt", 0o644)
        mkdir("\(directory.path)/backup-20251121", 0o700)
        File.write([5], to: "\(directory.path)/backup-20251121/theirs")
        return (directory, ["notes.txt", "backup-20251121", "earlier"])
    }

    @Test func foreignFilesDoNotGoAlong() async throws {
        let (directory, foreign) = try await Self.pool()
        try PoolDatabase.backup(directory: directory.path, to: "\(directory.path)/earlier")
        let file = "\(directory.path).backup"
        defer { unlink(file) }
        let first = File.read("\(directory.path)/earlier").count
        let report = try PoolDatabase.backup(directory: directory.path, to: file)
        #expect(report.bytes == first)
        let restored = TemporaryDirectory()
        try PoolDatabase.restore(file: file, directory: restored.path)
        let names = TemporaryDirectory.entries(restored.path).map(\.name)
        #expect(names.sorted() == ["ca.pem", "epoch", "payloads", "pool.sqlite"])
        #expect(foreign.allSatisfy { name in TemporaryDirectory.entries(directory.path).contains { $0.name == name } })
    }

    /// A start removes what a backup that was killed held, and nothing else.
    @Test func aStartRemovesWhatAKilledBackupHeldOnly() async throws {
        let (directory, _) = try await Self.pool()
        let held = "\(directory.path)/.roost-backup-holds-\(Int32.max)"
        mkdir(held, 0o700)
        File.write([1], to: "\(held)/file")
        let (store, _) = try PoolDatabase.open(directory)
        store.close()
        #expect(access(held, F_OK) != 0)
        #expect(File.read("\(directory.path)/backup-20251121/theirs") == [5])
    }

    @Test func aRestoreThatFailsLeavesNothingAndTheNextOneWorks() async throws {
        let (directory, _) = try await Self.pool()
        let (file, bad) = ("\(directory.path).good", "\(directory.path).bad")
        defer { for file in [file, bad] { unlink(file) } }
        try PoolDatabase.backup(directory: directory.path, to: file)
        let content = File.read(file)
        File.write(content, to: bad)
        // What job 1's tasks share: 5000 bytes of the same value, over more than a page.
        let pattern = [UInt8](repeating: 9, count: 2000)
        let place = try #require(
            stride(from: 0, to: content.count - 2000, by: 1).first { content[$0..<($0 + 2000)].elementsEqual(pattern) })
        File.flip(bad, byte: place + 1000, bit: 0)

        let (new, empty) = ("\(directory.path).new", TemporaryDirectory())
        defer { TemporaryDirectory.remove(new) }
        for target in [new, empty.path] {
            do throws(RoostError) {
                try PoolDatabase.restore(file: bad, directory: target)
                Issue.record("it was restored")
            } catch {
                #expect(error.code == .damaged && error.remedy.contains("Nothing of it stays in \(target)"), "\(error)")
            }
            #expect(TemporaryDirectory.entries(target).isEmpty)
        }
        #expect(access(new, F_OK) != 0 && access(empty.path, F_OK) == 0)
        for target in [new, empty.path] {
            try PoolDatabase.restore(file: file, directory: target)
            let (store, pool) = try PoolDatabase.open(directory: target, pool: 7)
            #expect(pool.jobs.map(\.spec.common.count) == [5000] && store.damage.isEmpty)
            store.close()
        }
    }

    /// Killed in the middle: what is there is no pool, and is not taken for an empty one.
    @Test func aRestoreThatWasCutOffIsNoPool() async throws {
        let directory = TemporaryDirectory()
        File.write([1, 2, 3], to: "\(directory.path)/ca.pem")
        File.write([], to: "\(directory.database).restoring")
        #expect(throws: RoostError.self) { try PoolDatabase.open(directory) }
        #expect(access(directory.database, F_OK) != 0)
        do throws(RoostError) {
            try PoolDatabase.restore(file: "/dev/null", directory: directory.path)
        } catch { #expect(error.code == .damaged) }
        let (pool, _) = try await Self.pool()
        let file = "\(pool.path).backup"
        defer { unlink(file) }
        try PoolDatabase.backup(directory: pool.path, to: file)
        do throws(RoostError) {
            try PoolDatabase.restore(file: file, directory: directory.path)
            Issue.record("it was restored")
        } catch {
            #expect(error.message.contains("was cut off") && error.remedy.contains("Remove all that is in \(directory.path)"))
        }
    }

    @Test func theLastEpochsStayEpochs() async throws {
        let (directory, _) = try await Self.pool()
        let last = "\(UInt32.max - 5)"
        File.write(Array(last.utf8), to: "\(directory.path)/epoch")
        let file = "\(directory.path).backup"
        defer { unlink(file) }
        try PoolDatabase.backup(directory: directory.path, to: file)
        let restored = TemporaryDirectory()
        try PoolDatabase.restore(file: file, directory: restored.path)
        #expect(String(decoding: File.read("\(restored.path)/epoch"), as: UTF8.self) == "\(UInt32.max)")
    }

    /// The words are about the disk that is full, not about the pool's.
    @Test func fullDisksOfBackupsAndRestores() async throws {
        let (directory, _) = try await Self.pool()
        let (store, _) = try PoolDatabase.open(directory)
        let error = await store.write([.opened(Sample.spec(9, common: .init(repeating: 3, count: 2_000_000)), number: 9, user: "ann")])
        #expect(error == nil)
        store.close()
        let small = TemporaryDirectory()
        guard Mount.mount(small.path, options: "size=1m,mode=0700") else {
            return print("skipped: a small disk for a test cannot be mounted here (that needs root)")
        }
        defer { Mount.unmount(small.path) }
        do throws(RoostError) {
            try PoolDatabase.backup(directory: directory.path, to: "\(small.path)/copy")
            Issue.record("it fits")
        } catch {
            #expect(error.code == .io && error.message.contains("\(small.path)/copy"), "\(error)")
            #expect(error.remedy.contains("The pool is as it was"), "\(error)")
        }
        #expect(TemporaryDirectory.entries(small.path).isEmpty)
        let file = "\(directory.path).backup"
        defer { unlink(file) }
        try PoolDatabase.backup(directory: directory.path, to: file)
        do throws(RoostError) {
            try PoolDatabase.restore(file: file, directory: small.path)
            Issue.record("it fits")
        } catch {
            #expect(error.code == .io && error.description.contains(small.path), "\(error)")
            #expect(error.remedy.contains("Make room there"), "\(error)")
        }
        #expect(TemporaryDirectory.entries(small.path).isEmpty)
        #expect(Mount.mount(small.path, options: "remount,size=30m"))
        try PoolDatabase.restore(file: file, directory: small.path)
        let (again, pool) = try PoolDatabase.open(directory: small.path, pool: 7)
        #expect(pool.jobs.count == 2 && again.damage.isEmpty)
        again.close()
    }
}
