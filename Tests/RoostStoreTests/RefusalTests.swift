import Glibc
import RoostModel
import RoostScheduler
import RoostStore
import Testing

/// What cannot be a pool's database is refused by name, and nothing is changed.
@Suite struct RefusalTests {
    private static func pool() async throws -> TemporaryDirectory {
        let directory = TemporaryDirectory()
        let (store, _) = try PoolDatabase.open(directory)
        let error = await store.write(Sample.small(1, number: 1))
        #expect(error == nil)
        store.close()
        return directory
    }

    private static func expectRefused(
        _ directory: TemporaryDirectory, _ code: RoostError.Code, saying words: String, pool: UInt64 = 7
    ) {
        let before = (File.read(directory.database), directory.payloadFiles)
        do throws(RoostError) {
            let (store, _) = try PoolDatabase.open(directory: directory.path, pool: pool)
            store.close()
            Issue.record("it was opened")
        } catch {
            #expect(error.code == code, "\(error)")
            #expect(error.message.contains(words) && error.message.contains(directory.database), "\(error)")
            #expect(!error.remedy.isEmpty, "\(error)")
        }
        #expect(File.read(directory.database) == before.0)
        #expect(directory.payloadFiles == before.1)
    }

    @Test func anotherPools() async throws {
        let directory = try await Self.pool()
        Self.expectRefused(directory, .conflict, saying: "belongs to the pool 0000000000000007", pool: 8)
        let (store, pool) = try PoolDatabase.open(directory)
        #expect(pool.jobs.count == 1)
        store.close()
    }

    @Test func aNewerVersions() async throws {
        let directory = try await Self.pool()
        var newer = PoolSchema.current
        newer.migrations.append("CREATE TABLE more (id INTEGER PRIMARY KEY);")
        let (store, pool) = try PoolDatabase.open(
            directory: directory.path, pool: 7, options: StoreOptions(), schema: newer)
        // An older one migrates, and keeps what it has.
        #expect(pool.jobs.count == 1)
        store.close()
        Self.expectRefused(
            directory, .conflict, saying: "newer Roost: its version is \(newer.version), this one knows \(newer.version - 1)")
    }

    @Test(arguments: [0, 1, 50, 99, 100, 8192, 20_000]) func cutShort(bytes: Int) async throws {
        let directory = try await Self.pool()
        truncate(directory.database, bytes)
        Self.expectRefused(directory, .damaged, saying: "cut short")
    }

    @Test func notADatabase() async throws {
        let directory = try await Self.pool()
        File.write(Array(String(repeating: "Dear diary, ", count: 1000).utf8), to: directory.database)
        Self.expectRefused(directory, .damaged, saying: "not a SQLite database")
    }

    @Test func gone() async throws {
        let directory = try await Self.pool()
        unlink(directory.database)
        Self.expectRefused(directory, .damaged, saying: "is gone")
    }

    @Test func aBackup() async throws {
        let directory = try await Self.pool()
        let file = "\(directory.path)/backup"
        try PoolDatabase.backup(directory: directory.path, to: file)
        let bytes = File.read(file)
        File.write(bytes, to: directory.database)
        Self.expectRefused(directory, .conflict, saying: "is a backup")
    }

    @Test func aDirectoryOpenToOthers() async throws {
        let directory = TemporaryDirectory()
        chmod(directory.path, 0o755)
        #expect(throws: RoostError.self) { try PoolDatabase.open(directory) }
        #expect(File.read(directory.database).isEmpty)
    }
}
