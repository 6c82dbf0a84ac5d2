import Glibc
import RoostModel
import RoostScheduler
import RoostStore
import Synchronization
import Testing

/// The store's process dies, or the disk fails, between any two of its steps: what was acknowledged is there, and what was
/// not is there whole or not at all.
@Suite(.serialized) struct CrashTests {
    /// Where, and at which time of being there.
    static let places = StorePoint.allCases.flatMap { point in [1, 4].map { (point.rawValue, $0) } }

    /// Jobs are not forgotten as often as the rest is done.
    private static func victim(_ directory: String, _ point: String, _ time: Int) -> Victim {
        let isRare = point == StorePoint.beforeUnlink.rawValue || point == StorePoint.beforeForgetCommit.rawValue
        return Victim(path: directory, seed: UInt64(time), groups: isRare ? 150 : 25)
    }

    @Test(arguments: places) func killed(point: String, time: Int) async throws {
        let directory = TemporaryDirectory()
        await #expect(processExitsWith: .signal(SIGKILL), "the point was not reached") {
            [path = directory.path as String, point, time] in
            await Self.victim(path, point, time).run { reached, count in
                if reached.rawValue == point && count == time { kill(getpid(), SIGKILL) }
                return nil
            }
            exit(0)
        }
        try await Self.victim(directory.path, point, time).expectRecovery()
    }

    @Test(arguments: places) func failed(point: String, time: Int) async throws {
        let directory = TemporaryDirectory()
        let victim = Self.victim(directory.path, point, time)
        let broken = RoostError(.io, "the disk failed")
        let isReached = Flag()
        let failure = await victim.run { reached, count in
            guard reached.rawValue == point && count == time else { return nil }
            isReached.set()
            return broken
        }
        #expect(isReached.isSet, "the point was not reached")
        #expect(failure == nil || failure == broken)
        try await victim.expectRecovery()
    }
}

private final class Flag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}

/// Writes groups that depend on a seed, and notes which were acknowledged.
struct Victim: Sendable {
    let path: String
    let seed: UInt64
    let groups: Int

    private var notes: String { "\(path).acknowledged" }
    private var options: StoreOptions {
        var options = StoreOptions()
        options.fileBytes = 2000
        options.checkpointPages = 12
        options.forgetRows = 3
        return options
    }

    /// Opens, writes until all is written or something fails. `faults` is told how often each point was reached.
    @discardableResult
    func run(_ faults: @escaping @Sendable (StorePoint, Int) -> RoostError?) async -> RoostError? {
        let counts = Counts()
        var options = options
        options.faults = { faults($0, counts.count($0)) }
        let acknowledged = Glibc.open(notes, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        defer { close(acknowledged) }
        do throws(RoostError) {
            let (store, _) = try PoolDatabase.open(directory: path, pool: 7, options: options)
            defer { store.close() }
            var maker = WriteMaker(seed: seed)
            for _ in 0..<groups {
                if let error = await store.write(maker.group()) {
                    // For good.
                    let later = await store.write([])
                    return later == error ? error : RoostError(.internal, "it went on after a failure")
                }
                write(acknowledged, "+", 1)
            }
            return nil
        } catch {
            return error
        }
    }

    func expectRecovery() async throws {
        let acknowledged = File.read(notes).count
        unlink(notes)
        var maker = WriteMaker(seed: seed)
        for _ in 0..<acknowledged { _ = maker.group() }
        let (store, pool) = try PoolDatabase.open(directory: path, pool: 7, options: options)
        let without = maker.model.difference(from: pool, store)
        if without != nil && acknowledged < groups { _ = maker.group() }
        let difference = maker.model.difference(from: pool, store)
        #expect(difference == nil, "\(acknowledged) groups acknowledged; \(without ?? "")")
        // And it goes on.
        for _ in 0..<5 {
            let error = await store.write(maker.group())
            #expect(error == nil)
        }
        store.close()
        let (again, found) = try PoolDatabase.open(directory: path, pool: 7, options: options)
        #expect(maker.model.difference(from: found, again) == nil)
        again.close()
        let check = try PoolDatabase.check(directory: path)
        #expect(check.findings.isEmpty)
    }

    private final class Counts: Sendable {
        private let counts = Mutex<[StorePoint: Int]>([:])
        func count(_ point: StorePoint) -> Int {
            counts.withLock { counts in
                counts[point, default: 0] += 1
                return counts[point] ?? 0
            }
        }
    }
}
