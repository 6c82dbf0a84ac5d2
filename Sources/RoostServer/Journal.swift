import NIOCore
import RoostModel
import RoostScheduler

/// Hands writes to the store, a group at a time, and lets go what waited for them.
///
///     turn, turn, turn ─▶ waiting group ─▶ one commit at a time ─▶ its letters leave
///
/// What comes while a commit is under way is the next group. Lives on the engine's event loop.
final class Journal {
    /// Writes that are committed together, and the letters that wait for them.
    struct Group {
        var writes: [StoreWrite] = []
        var letters = Effects.Letters()
        /// How many writes there have been in all, with these.
        var lastWrite: UInt64 = 0
    }

    private let store: any PoolStore
    private let loop: any EventLoop
    /// Told in the order of the groups; after a failure nothing more.
    private let done: (Result<Group, RoostError>) -> Void
    private var waiting = Group()
    private var isCommitting = false
    private var hasFailed = false
    private var writeCount: UInt64 = 0
    /// The chunk of arguments that was read last: of a chunk with many tasks the next grant is likely, too.
    private var lastRead: (job: JobID, place: StoredPlace, payloads: PayloadArray)?

    init(store: any PoolStore, loop: any EventLoop, done: @escaping (Result<Group, RoostError>) -> Void) {
        self.store = store
        self.loop = loop
        self.done = done
    }

    /// Takes in what a turn wants written, and what waits for that and for everything before it.
    func add(_ writes: [StoreWrite], _ letters: Effects.Letters) {
        guard !writes.isEmpty || !letters.isEmpty else { return }
        // Its name may be given again.
        if let job = lastRead?.job, writes.contains(.forgotten(job)) { lastRead = nil }
        waiting.writes += writes
        writeCount += UInt64(writes.count)
        waiting.lastWrite = writeCount
        waiting.letters.append(letters)
        commitNext()
    }

    private func commitNext() {
        guard !isCommitting, !hasFailed, !waiting.writes.isEmpty || !waiting.letters.isEmpty else { return }
        let group = waiting
        waiting = Group()
        waiting.lastWrite = writeCount
        guard !group.writes.isEmpty else {
            // All before it is on disk: nothing to wait for.
            done(.success(group))
            return
        }
        isCommitting = true
        let promise = loop.makePromise(of: Void.self)
        store.commit(group.writes) { error in
            if let error { promise.fail(error) } else { promise.succeed() }
        }
        promise.futureResult.assumeIsolated().whenComplete { result in
            self.isCommitting = false
            switch result {
            case .success: self.done(.success(group))
            case .failure(let error):
                self.hasFailed = true
                self.done(.failure(error as? RoostError ?? RoostError(.io, "the store failed", cause: "\(error)")))
            }
            self.commitNext()
        }
    }

    /// - Throws: what the store throws; `.damaged` when there are fewer payloads than tasks.
    func payloads(_ stored: Effects.StoredPayloads) throws(RoostError) -> PayloadArray {
        let all = try allPayloads(of: stored.job, at: stored.place)
        if stored.positions == [0..<all.count] { return all }
        guard stored.positions.allSatisfy({ $0.upperBound <= all.count }) else {
            throw RoostError(.damaged, "the store has the payloads of \(all.count) tasks, of which there are more")
        }
        var some = PayloadArray()
        for positions in stored.positions { some.append(all.slice(positions)) }
        return some
    }

    private func allPayloads(of job: JobID, at place: StoredPlace) throws(RoostError) -> PayloadArray {
        if let last = lastRead, last.job == job, last.place == place { return last.payloads }
        let payloads = try store.payloads(of: job, at: place)
        if case .arguments = place, payloads.count > 1 { lastRead = (job, place, payloads) }
        return payloads
    }
}
