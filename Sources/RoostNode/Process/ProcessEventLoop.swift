package import Dispatch
import Glibc
package import NIOCore
import Synchronization

/// The reactor's thread as an event loop: what decides about processes then lives where their ends are seen.
///
/// ```
///   two threads    end ─▶ reactor ~~wake-up~~▶ event loop: next task ~~wake-up~~▶ reactor: start
///   one thread     end ─▶ reactor: next task, start
/// ```
/// For pools inside one process, which have no connections: the slot whose process ended is filled in the same turn, before
/// anybody hears of the end. Who serves somebody there has his sockets watched, see ``watch(_:_:)``. The loop runs from the moment its ``ProcessReactor`` is made; what is handed to it before
/// that waits, and what comes after its end is dropped.
package final class ProcessEventLoop: NIOSerialEventLoopExecutor {
    let shared: ReactorShared
    private let lastTimer = Atomic<UInt64>(0)
    private let lastWatch = Atomic<UInt64>(0)
    /// Whether a reactor has taken this loop to its thread.
    private let isRunning = Atomic<Bool>(false)

    /// - Throws: ``ReactorFailure`` when the system gives no descriptor.
    package init() throws { shared = try ReactorShared() }

    func willRun() { isRunning.store(true, ordering: .releasing) }

    package var inEventLoop: Bool { shared.isOnThread }

    package var now: NIODeadline { .now() }

    package func execute(_ task: @escaping @Sendable () -> Void) { shared.send(.perform(task)) }

    @discardableResult
    package func scheduleTask<T>(deadline: NIODeadline, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        let promise = makePromise(of: T.self)
        let timer = ReactorTimer(
            id: lastTimer.add(1, ordering: .relaxed).newValue, deadline: Int64(clamping: deadline.uptimeNanoseconds)
        ) { isDue in
            guard isDue else { return promise.fail(EventLoopError.shutdown) }
            do { promise.assumeIsolated().succeed(try task()) } catch { promise.fail(error) }
        }
        shared.send(.schedule(timer))
        return Scheduled(promise: promise) { [shared] in shared.send(.cancelTimer(timer.id)) }
    }

    @discardableResult
    package func scheduleTask<T>(in delay: TimeAmount, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        scheduleTask(deadline: now + delay, task)
    }

    /// Watches a descriptor that never blocks, and has it from now on: ``DescriptorWatch/close()``, or the loop's end, closes it.
    /// - Parameter onReady: called on the loop's thread whenever there is what the watch waits for
    package func watch(
        _ descriptor: Int32, _ onReady: @escaping @Sendable (DescriptorWatch.Readiness) -> Void
    ) -> DescriptorWatch {
        let id = lastWatch.add(1, ordering: .relaxed).newValue
        if !shared.send(.watch(WatchedDescriptor(id: id, descriptor: descriptor, onReady: onReady))) { Glibc.close(descriptor) }
        return DescriptorWatch(shared: shared, id: id)
    }

    /// Has the thread wait awake for what its descriptors bring, for a moment: when an answer is expected within microseconds, and a CPU
    /// is idle.
    package func stayAwake(for time: TimeAmount) {
        _ = shared.send(.stayAwake(until: Clock.monotonic() + time.nanoseconds))
    }

    package func preconditionInEventLoop(file: StaticString, line: UInt) {
        precondition(inEventLoop, "only for the event loop's own thread", file: file, line: line)
    }

    package func preconditionNotInEventLoop(file: StaticString, line: UInt) {
        precondition(!inEventLoop, "not for the event loop's own thread", file: file, line: line)
    }

    /// Kills what still runs and ends the thread.
    package func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
        let ended: @Sendable () -> Void = { queue.async { callback(nil) } }
        // A loop that no reactor ever took has nothing to end.
        if !isRunning.load(ordering: .acquiring) || !shared.send(.end(ended)) { ended() }
    }
}

/// Something to be done at a time, on the monotonic clock.
struct ReactorTimer: Sendable {
    var id: UInt64
    var deadline: Int64
    /// Told whether it is due; the other possibility is that the loop has ended.
    var perform: @Sendable (_ isDue: Bool) -> Void
}

/// The timers of a loop: those of its engine, its agent and its client, a handful.
struct ReactorTimers {
    private var timers: [ReactorTimer] = []
    /// When the first is due.
    private(set) var next: Int64?

    mutating func add(_ timer: ReactorTimer) {
        timers.append(timer)
        next = min(next ?? timer.deadline, timer.deadline)
    }

    mutating func remove(_ id: UInt64) {
        timers.removeAll { $0.id == id }
        next = timers.lazy.map(\.deadline).min()
    }

    /// Those that are due, the earliest first.
    mutating func takeDue(at now: Int64) -> [ReactorTimer] {
        guard let next, next <= now else { return [] }
        let due = timers.filter { $0.deadline <= now }.sorted { ($0.deadline, $0.id) < ($1.deadline, $1.id) }
        timers.removeAll { $0.deadline <= now }
        self.next = timers.lazy.map(\.deadline).min()
        return due
    }

    /// All of them, for a loop that ends.
    mutating func takeAll() -> [ReactorTimer] {
        defer { self = ReactorTimers() }
        return timers
    }
}
