import Glibc
import RoostModel
import RoostScheduler
import RoostStore
import Testing

/// What is read is what was written, or it is said not to be.
@Suite struct DamageTests {
    /// A pool of four jobs, closed, and what is in it.
    private static func pool() async throws -> (directory: TemporaryDirectory, model: StoreModel) {
        let directory = TemporaryDirectory()
        var model = StoreModel()
        let (store, _) = try PoolDatabase.open(directory)
        for id in 1...4 as ClosedRange<UInt64> {
            let writes = Sample.small(id, number: UInt32(id))
            model.apply(writes)
            let error = await store.write(writes)
            #expect(error == nil)
        }
        store.close()
        return (directory, model)
    }

    /// Opens what may be damaged, and sees to it that nothing wrong is served in silence. Whether damage was found.
    private static func expectHonesty(_ directory: TemporaryDirectory, _ model: StoreModel, _ place: String) -> Bool {
        let opened: (store: PoolDatabase, pool: StoredPool)
        do throws(RoostError) {
            opened = try PoolDatabase.open(directory)
        } catch {
            #expect(error.code == .damaged || error.code == .conflict, "\(place): \(error)")
            #expect(error.message.contains(directory.path), "\(place): \(error)")
            return true
        }
        let (store, pool) = opened
        defer { store.close() }
        for job in pool.jobs where job.damage == nil {
            let difference = model.difference(of: job, store, mayBeDamaged: true)
            #expect(difference == nil, "\(place): \(difference ?? "")")
        }
        for setup in pool.setups {
            let isKnown = model.setups[setup.entry.session]?.contains { $0.entry == setup.entry } ?? false
            #expect(isKnown, "\(place): setup")
        }
        for node in pool.nodes { #expect(model.nodes[node.id]?.name == node.name, "\(place): node") }
        let isWhole =
            pool.jobs.count == model.jobs.count && pool.nodes.count == model.nodes.count
            && pool.setups.count == model.setups.count && pool.jobs.allSatisfy { $0.damage == nil }
        #expect(isWhole || !store.damage.isEmpty, "\(place): something is gone, and nobody says so")
        return !isWhole || !store.damage.isEmpty
    }

    @Test func aFlippedBitAnywhereInTheDatabaseIsNeverServed() async throws {
        let (directory, model) = try await Self.pool()
        let bytes = File.read(directory.database).count
        var dice = Dice(seed: 1)
        // The heads of all pages, where their structure is, and places all over.
        var places = stride(from: 0, to: bytes, by: 8192).flatMap { page in
            [0, 3, 5, 8, 12].map { page + $0 }
        }
        places += (0..<300).map { _ in Int.random(in: 0..<bytes, using: &dice) }
        places += (0..<60).map { _ in Int.random(in: 0..<100, using: &dice) }
        var found = 0
        for place in places {
            let copy = TemporaryDirectory()
            directory.copy(to: copy)
            let bit = Int.random(in: 0..<8, using: &dice)
            File.flip(copy.database, byte: place, bit: bit)
            if Self.expectHonesty(copy, model, "byte \(place), bit \(bit)") { found += 1 }
        }
        print("flipped bits: \(found) of \(places.count) were of consequence, and found")
        #expect(found > 30)
    }

    @Test func damageOfOneJobDoesNotStopTheOthers() async throws {
        let (directory, model) = try await Self.pool()
        let content = File.read(directory.database)
        // The arguments of 20 equal bytes lie in a row of their own: job 3's are the third of their kind.
        let pattern = [UInt8](repeating: 3, count: 20) + [UInt8](repeating: 4, count: 20)
        let places = content.indices.dropLast(40).filter { content[$0..<($0 + 40)].elementsEqual(pattern) }
        #expect(places.count == 4)
        File.flip(directory.database, byte: places[2], bit: 0)
        let (store, pool) = try PoolDatabase.open(directory)
        let damaged = pool.jobs.filter { $0.damage != nil }
        #expect(damaged.count == 1)
        let damage = try #require(damaged.first?.damage)
        #expect(damage.code == .damaged && damage.message.contains("job \(damaged[0].number)"))
        #expect(damage.remedy.contains("roost job forget"))
        for job in pool.jobs where job.damage == nil { #expect(model.difference(of: job, store) == nil) }
        // It can be forgotten.
        let error = await store.write([.forgotten(damaged[0].spec.id)])
        #expect(error == nil)
        store.close()
        let (again, rest) = try PoolDatabase.open(directory)
        #expect(rest.jobs.count == 3 && again.damage.isEmpty)
        again.close()
    }

    @Test func aFlippedBitInAPayloadFileIsFoundByJob() async throws {
        let (directory, model) = try await Self.pool()
        #expect(directory.payloadFiles.count >= 3)
        for file in directory.payloadFiles {
            let copy = TemporaryDirectory()
            directory.copy(to: copy)
            let path = copy.path + file.dropFirst(directory.path.count)
            File.flip(path, byte: File.read(path).count / 2, bit: 4)
            _ = Self.expectHonesty(copy, model, file)
            let check = try PoolDatabase.check(directory: copy.path)
            #expect(check.findings.contains { $0.description.contains(String(path.suffix(64))) })
        }
        // Gone is damaged, too.
        for file in directory.payloadFiles { unlink(file) }
        let (store, pool) = try PoolDatabase.open(directory)
        #expect(pool.jobs.count == 4 && !store.damage.isEmpty)
        var lost = pool.jobs.count { $0.damage != nil }
        for job in pool.jobs where job.damage == nil {
            if model.difference(of: job, store, mayBeDamaged: false) != nil { lost += 1 }
        }
        #expect(lost == 4)
        store.close()
    }

    @Test func argumentsThatAreDamagedAfterTheStartAreNeverServed() async throws {
        let (directory, _) = try await Self.pool()
        let (store, pool) = try PoolDatabase.open(directory, argumentBytes: 0)
        #expect(store.damage.isEmpty && pool.jobs.allSatisfy { $0.chunks.allSatisfy(\.isOnDisk) })
        for file in directory.payloadFiles { File.flip(file, byte: 2100, bit: 3) }
        #expect(try store.payloads(of: JobID(rawValue: 2), at: .arguments(chunk: 0)) == Sample.arguments(10))
        do throws(RoostError) {
            _ = try store.payloads(of: JobID(rawValue: 2), at: .arguments(chunk: 1))
            Issue.record("what is damaged was served")
        } catch {
            #expect(error.code == .damaged)
            #expect(error.message.contains("job 2") && error.message.contains("piece 1 of its arguments"))
        }
        store.close()
    }

    /// A new job heals a file that it shares with a damaged one.
    @Test func aDamagedFileIsNotSharedButWrittenAnew() async throws {
        let directory = TemporaryDirectory()
        var (store, pool) = try PoolDatabase.open(directory)
        let common = [UInt8](repeating: 1, count: 5000)
        var error = await store.write([.opened(Sample.spec(1, common: common), number: 1, user: "ann")])
        #expect(error == nil)
        File.flip(directory.payloadFiles[0], byte: 10, bit: 1)
        error = await store.write([.opened(Sample.spec(2, common: common), number: 2, user: "ann")])
        #expect(error == nil)
        store.close()
        (store, pool) = try PoolDatabase.open(directory)
        #expect(pool.jobs.map(\.spec.common) == [common, common])
        store.close()
    }

    /// SQLite takes a damaged frame for the log's end; what was acknowledged behind it must not be gone in silence.
    @Test func aFlippedBitInTheWriteAheadLogIsFound() async throws {
        let directory = TemporaryDirectory()
        let (store, _) = try PoolDatabase.open(directory)
        let job = JobID(rawValue: 1)
        var error = await store.write([.opened(Sample.spec(1), number: 1, user: "ann")])
        let count = 20
        for sequence in 0..<count where error == nil {
            error = await store.write([
                .task(job, .outcomes(sequence: UInt64(sequence), Sample.outcomes(1, first: 0, count: 20)))
            ])
        }
        #expect(error == nil)
        // What a server that is killed now leaves.
        let crashed = TemporaryDirectory()
        directory.copy(to: crashed)
        store.close()
        let bytes = File.read("\(crashed.database)-wal").count
        #expect(bytes > 0)
        var dice = Dice(seed: 3)
        var (refused, whole, cut) = (0, 0, 0)
        for place in [0, 8, 16, 24, 33, 37, 40, 50, bytes - 100, bytes - 8000]
            + (0..<80).map({ _ in Int.random(in: 0..<bytes, using: &dice) })
        {
            let copy = TemporaryDirectory()
            crashed.copy(to: copy)
            unlink("\(copy.database)-shm")
            File.flip("\(copy.database)-wal", byte: place, bit: Int.random(in: 0..<8, using: &dice))
            do throws(RoostError) {
                let (store, pool) = try PoolDatabase.open(copy)
                let facts = pool.jobs.first?.facts.count ?? 0
                #expect(facts >= count - 1, "byte \(place): \(count - facts) groups are gone in silence")
                if facts == count { whole += 1 } else { cut += 1 }
                store.close()
            } catch {
                #expect(error.code == .damaged && error.message.contains("pool.sqlite"))
                refused += 1
            }
        }
        print("flipped bits in the log: \(refused) refused, \(whole) without consequence, \(cut) in the last group")
        #expect(refused > 20)
        // Without a flip it is no damage.
        unlink("\(crashed.database)-shm")
        let (again, pool) = try PoolDatabase.open(crashed)
        #expect(pool.jobs[0].facts.count == count)
        again.close()
    }

    @Test func theChecksumIsCastagnolis() {
        var sum = CRC32C()
        Array("123456789".utf8).withUnsafeBytes { sum.add($0) }
        #expect(sum.value == 0xE306_9283)
        sum = CRC32C()
        [UInt8](repeating: 0xFF, count: 32).withUnsafeBytes { sum.add($0) }
        #expect(sum.value == 0x62A8_AB43)
    }
}
