import DequeModule
import RoostModel
import Synchronization

/// Where a job's outcomes wait for the program. Filled by the client's event loop, emptied by whoever reads.
///
/// The lock is held for a few lines; continuations are resumed outside it.
final class JobSink: Sendable {
    typealias OutcomesHandler = @Sendable (Result<OutcomeBatch, RoostError>) -> Void
    private typealias BatchReader = CheckedContinuation<Bool, Never>
    private typealias Waiter = CheckedContinuation<Void, Never>

    private struct State {
        var batches: Deque<OutcomeBatch> = []
        /// Who waits for a batch; told whether somebody else waited first.
        var reader: BatchReader?
        var endWaiters: [Waiter] = []
        var roomWaiters: [Waiter] = []
        var progress: JobProgress
        var end: Result<JobProgress, RoostError>?
        var number: UInt32?
        /// Bytes of arguments appended so far, and how many may be before whoever appends has to wait. Both only grow: in
        /// whatever order they do, nobody waits for room that there is.
        var appendedBytes: UInt64 = 0
        var roomUpTo = UInt64(Limits.submitWindowBytes)
        /// Takes batches in place of a reader, and the failure that ends them.
        var onOutcomes: OutcomesHandler?
        var onOutput: (@Sendable (OutputChunk) -> Void)?
        /// Output that came before there was a handler, its first ``Limits/earlyOutputBytes``.
        var earlyOutput: [OutputChunk] = []
        var earlyOutputBytes = 0
        var onProgress: (@Sendable (JobProgress) -> Void)?
        var onCondition: (@Sendable (TaskCondition) -> Void)?
    }

    private let state: Mutex<State>

    init(job: JobID) { state = Mutex(State(progress: JobProgress(job: job))) }

    // MARK: The loop's side

    func deliver(_ batch: OutcomeBatch) {
        let (handler, reader) = state.withLock { state in
            if state.onOutcomes == nil { state.batches.append(batch) }
            defer { state.reader = nil }
            return (state.onOutcomes, state.reader)
        }
        handler?(.success(batch))
        reader?.resume(returning: false)
    }

    /// Hands what comes to `handler`, on the event loop, where this is called too: so nothing overtakes anything.
    func onOutcomes(_ handler: @escaping OutcomesHandler) {
        let (early, end) = state.withLock { state in
            state.onOutcomes = handler
            defer { state.batches = [] }
            return (state.batches, state.end)
        }
        for batch in early { handler(.success(batch)) }
        if case .failure(let error) = end { handler(.failure(error)) }
    }

    func progress(_ progress: JobProgress) {
        let handler = state.withLock { state in
            state.progress = progress
            return state.onProgress
        }
        handler?(progress)
    }

    func numbered(_ number: UInt32) {
        let waiters = state.withLock { state in
            state.number = number
            defer { state.roomWaiters = [] }
            return state.roomWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func end(_ result: Result<JobProgress, RoostError>) {
        let (handler, reader, waiters) = state.withLock { state in
            guard state.end == nil else { return (nil as OutcomesHandler?, nil as BatchReader?, [] as [Waiter]) }
            state.end = result
            if case .success(let progress) = result { state.progress = progress }
            defer {
                state.reader = nil
                state.endWaiters = []
                state.roomWaiters = []
            }
            return (state.onOutcomes, state.reader, state.endWaiters + state.roomWaiters)
        }
        if case .failure(let error) = result { handler?(.failure(error)) }
        reader?.resume(returning: false)
        for waiter in waiters { waiter.resume() }
    }

    func room(upTo bytes: UInt64) {
        let waiters = state.withLock { state in
            state.roomUpTo = max(state.roomUpTo, bytes)
            defer { state.roomWaiters = [] }
            return state.roomWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func output(_ chunk: OutputChunk) {
        let handler = state.withLock { state in
            if state.onOutput == nil, state.earlyOutputBytes < Limits.earlyOutputBytes {
                state.earlyOutput.append(chunk)
                state.earlyOutputBytes += chunk.bytes.count
            }
            return state.onOutput
        }
        handler?(chunk)
    }

    func condition(_ condition: TaskCondition) {
        let handler = state.withLock { $0.onCondition }
        handler?(condition)
    }

    // MARK: The program's side

    /// The next batch; nil at the end.
    func nextBatch() async throws(RoostError) -> OutcomeBatch? {
        while true {
            let next: Next = state.withLock { state in
                if let batch = state.batches.popFirst() { return .batch(batch) }
                return state.end.map { .end($0) } ?? .wait
            }
            switch next {
            case .batch(let batch): return batch
            case .end(.success): return nil
            case .end(.failure(let error)): throw error
            case .wait: break
            }
            let isSecond = await withTaskCancellationHandler {
                await withCheckedContinuation { (continuation: CheckedContinuation<Bool, Never>) in
                    let answer: Bool? = state.withLock { state in
                        if state.reader != nil { return true }
                        if !state.batches.isEmpty || state.end != nil || Task.isCancelled { return false }
                        state.reader = continuation
                        return nil
                    }
                    if let answer { continuation.resume(returning: answer) }
                }
            } onCancel: {
                let reader = state.withLock { state in
                    defer { state.reader = nil }
                    return state.reader
                }
                reader?.resume(returning: false)
            }
            if isSecond { throw RoostError(.usage, "the job's results are being read already, by another Swift task") }
            if Task.isCancelled { throw RoostError(.cancelled, "waiting was cancelled; the job goes on") }
        }
    }

    private enum Next {
        case batch(OutcomeBatch)
        case end(Result<JobProgress, RoostError>)
        case wait
    }

    /// Waits until the job has ended, or the Swift task that waits was cancelled.
    func waitForEnd() async throws(RoostError) -> JobProgress {
        while true {
            if let end = state.withLock({ $0.end }) { return try end.get() }
            if Task.isCancelled { throw RoostError(.cancelled, "waiting was cancelled; the job goes on") }
            await wait { state, continuation in
                if state.end != nil { return false }
                state.endWaiters.append(continuation)
                return true
            }
        }
    }

    /// Counts bytes that were appended.
    func appended(_ bytes: Int) { state.withLock { $0.appendedBytes += UInt64(bytes) } }

    /// Counts bytes that were appended; waits while too many are on their way.
    /// - Throws: why the job can take no more tasks; `.cancelled` when the Swift task that waits was cancelled.
    func waitForRoom(appending bytes: Int) async throws(RoostError) {
        let mark = state.withLock { state in
            state.appendedBytes += UInt64(bytes)
            return state.appendedBytes
        }
        while true {
            let (end, hasRoom) = state.withLock { ($0.end, mark <= $0.roomUpTo) }
            if case .failure(let error) = end { throw error }
            if hasRoom || end != nil { return }
            if Task.isCancelled { throw RoostError(.cancelled, "appending was cancelled; the job goes on") }
            await wait { state, continuation in
                if state.end != nil || mark <= state.roomUpTo { return false }
                state.roomWaiters.append(continuation)
                return true
            }
        }
    }

    /// Waits until the server has given the job its number.
    func waitForNumber() async throws(RoostError) -> UInt32 {
        while true {
            let known = state.withLock { ($0.number, $0.end) }
            if let number = known.0 { return number }
            if case .failure(let error) = known.1 { throw error }
            if Task.isCancelled { throw RoostError(.cancelled, "waiting was cancelled; the job goes on") }
            await wait { state, continuation in
                if state.number != nil || state.end != nil { return false }
                state.roomWaiters.append(continuation)
                return true
            }
        }
    }

    /// Suspends until one of the waiters' lists is emptied, or the Swift task is cancelled.
    private func wait(
        _ enlist: sending (inout State, CheckedContinuation<Void, Never>) -> Bool
    ) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isEnlisted = state.withLock { state in Task.isCancelled ? false : enlist(&state, continuation) }
                if !isEnlisted { continuation.resume() }
            }
        } onCancel: {
            let waiters = state.withLock { state in
                defer {
                    state.endWaiters = []
                    state.roomWaiters = []
                }
                return state.endWaiters + state.roomWaiters
            }
            // The others wake, look, and wait again.
            for waiter in waiters { waiter.resume() }
        }
    }

    /// Why the job came to nothing, if it did.
    var failure: RoostError? {
        state.withLock { state in
            guard case .failure(let error) = state.end else { return nil }
            return error
        }
    }

    var hasEnded: Bool { state.withLock { $0.end != nil } }

    var currentProgress: JobProgress { state.withLock { $0.progress } }

    func onOutput(_ handler: @escaping @Sendable (OutputChunk) -> Void) {
        let early = state.withLock { state in
            state.onOutput = handler
            defer { state.earlyOutput = [] }
            return state.earlyOutput
        }
        for chunk in early { handler(chunk) }
    }

    func onCondition(_ handler: @escaping @Sendable (TaskCondition) -> Void) {
        state.withLock { $0.onCondition = handler }
    }

    func onProgress(_ handler: @escaping @Sendable (JobProgress) -> Void) {
        state.withLock { $0.onProgress = handler }
    }
}
