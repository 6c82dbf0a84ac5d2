import CRoostLinux
import Glibc
import Synchronization

/// Starts programs, watches them, collects what they write and says how they ended.
///
/// One thread with its own epoll owns all child processes of an agent. Everything it learns in a turn is handed over in
/// one call, on that thread; a start asked for inside that call happens in the same turn, so that a slot is
/// empty for as long as it takes to start the next program and no longer. Where the deciding is done on this thread
/// too, see ``ProcessEventLoop``, that is so for every start.
///
/// ```
///   any thread ── commands (Mutex) + eventfd ──▶ ┌───────────────────┐ ── [ProcessEvent] ──▶ onEvents
///   onEvents ──── commands, no wake-up ────────▶ │ reactor's thread   │
///                                               └──┬──────┬──────┬──┘
///                                                pidfd  stdout  stderr   of each process group
/// ```
package final class ProcessReactor: Sendable {
    private let shared: ReactorShared
    /// The thread, until somebody has joined it.
    private let thread: Mutex<pthread_t?>

    /// - Parameters:
    ///   - guardLine: the guard that kills what is left should this process die; nil: nobody does
    ///   - eventLoop: a loop that is to run on the reactor's thread, and to end it; nil: there is none
    ///   - onEvents: called on the reactor's thread with what a turn brought; must not block
    /// - Throws: ``ReactorFailure`` when the system gives no descriptors or no thread.
    package init(
        guardLine: GuardLine?, eventLoop: ProcessEventLoop? = nil,
        onEvents: @escaping @Sendable ([ProcessEvent]) -> Void
    ) throws {
        shared = try eventLoop?.shared ?? ReactorShared()
        let loop = try ReactorLoop(
            shared: shared, guardLine: guardLine, servesEventLoop: eventLoop != nil, onEvents: onEvents)
        var started = pthread_t()
        let argument = Unmanaged.passRetained(loop)
        let error = pthread_create(
            &started, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<ReactorLoop>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, argument.toOpaque())
        guard error == 0 else {
            argument.release()
            throw ReactorFailure(what: "thread", errno: error)
        }
        if let eventLoop {
            eventLoop.willRun()
            pthread_detach(started)
            thread = Mutex(nil)
        } else {
            thread = Mutex(started)
        }
    }

    deinit { shutDown() }

    /// Starts a program. `token` names it in events and later calls, and is free again after its last event.
    package func start(token: UInt64, _ request: ProcessRequest) { shared.send(.start(token: token, request)) }

    /// Sends a signal to the whole process group; nothing happens when it has ended.
    package func signal(token: UInt64, _ signal: Int32) { shared.send(.signal(token: token, signal)) }

    /// Switches `output` events on or off. Switched on, what was kept so far comes first.
    package func setStreaming(token: UInt64, _ streams: Bool) { shared.send(.streaming(token: token, streams)) }

    /// Sends a frame to a worker that speaks in frames; what it does not take yet waits here.
    package func send(token: UInt64, _ frame: WorkerFrame) { shared.send(.frame(token: token, frame)) }

    /// Closes the worker's frames after what waits: it has nothing more to do, and ends.
    package func closeFrames(token: UInt64) { shared.send(.closeFrames(token: token)) }

    /// What the process does from now on may not go on for longer without contact to the server; nil: it may.
    package func limit(token: UInt64, to lease: Duration?) { shared.send(.lease(token: token, lease)) }

    /// Stops reading what the process writes, so that a full pipe stops the process; backpressure.
    package func pauseOutput(token: UInt64) { shared.send(.reading(token: token, false)) }

    package func resumeOutput(token: UInt64) { shared.send(.reading(token: token, true)) }

    /// Kills every process group, reaps it, reports its end, and ends the thread. Blocks until that is done, unless
    /// it is called from `onEvents`. What is asked for afterwards is ignored. A thread that runs an event loop goes on
    /// with that until it is shut down itself, and is not waited for.
    package func shutDown() {
        shared.send(.shutDown)
        if shared.isOnThread {
            // A thread cannot wait for itself. Where the lock is taken, another one waits for it already.
            _ = thread.withLockIfAvailable { thread in
                if let running = thread.take() { pthread_detach(running) }
            }
        } else {
            thread.withLock { thread in
                if let running = thread.take() { pthread_join(running, nil) }
            }
        }
    }

    /// How memory limits are kept on this machine.
    package static let memoryLimitMethod: MemoryLimitMethod = MemoryGroups.shared == nil ? .dataSegment : .cgroup
}

/// The reactor could not be made.
package struct ReactorFailure: Error, CustomStringConvertible {
    package let what: String
    package let errno: Int32
    package var description: String { "cannot make the process reactor's \(what): \(words(errno))" }
}

/// What other threads ask of the reactor's thread.
enum ReactorCommand: Sendable {
    case start(token: UInt64, ProcessRequest)
    case signal(token: UInt64, Int32)
    case streaming(token: UInt64, Bool)
    case reading(token: UInt64, Bool)
    case frame(token: UInt64, WorkerFrame)
    case closeFrames(token: UInt64)
    case lease(token: UInt64, Duration?)
    case shutDown
    // For the event loop on the thread.
    case perform(@Sendable () -> Void)
    case schedule(ReactorTimer)
    case stayAwake(until: Int64)
    case cancelTimer(UInt64)
    case watch(WatchedDescriptor)
    case rewatch(UInt64, forBytes: Bool, forRoom: Bool)
    case unwatch(UInt64)
    /// Ends the thread, after a ``shutDown``; then calls back.
    case end(@Sendable () -> Void)
}

/// What the reactor's thread and all others share.
final class ReactorShared: Sendable {
    /// Readable when commands wait and the thread may be asleep.
    let wakeUp: Int32
    private let inbox = Mutex<Inbox>(Inbox())
    /// The reactor's thread, 0 before it runs.
    private let threadID = Atomic<UInt>(0)

    private struct Inbox: Sendable {
        var commands: [ReactorCommand] = []
        var isClosed = false
    }

    init() throws(ReactorFailure) {
        wakeUp = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard wakeUp >= 0 else { throw ReactorFailure(what: "eventfd", errno: errno) }
    }

    deinit { close(wakeUp) }

    var isOnThread: Bool { threadID.load(ordering: .relaxed) == pthread_self() }

    func adoptThread() { threadID.store(pthread_self(), ordering: .relaxed) }

    func leaveThread() { threadID.store(0, ordering: .relaxed) }

    /// False: the thread has ended.
    @discardableResult
    func send(_ command: ReactorCommand) -> Bool {
        let (isFirst, isTaken) = inbox.withLock { inbox in
            guard !inbox.isClosed else { return (false, false) }
            inbox.commands.append(command)
            return (inbox.commands.count == 1, true)
        }
        // The thread looks into the inbox before it sleeps, so its own commands need no wake-up.
        guard isFirst, !isOnThread else { return isTaken }
        var one: UInt64 = 1
        _ = write(wakeUp, &one, 8)
        return true
    }

    /// Moves the waiting commands into `commands`, which is empty.
    func take(into commands: inout [ReactorCommand]) {
        inbox.withLock { swap(&$0.commands, &commands) }
    }

    /// From now on commands are dropped. Those that were not done.
    func closeInbox() -> [ReactorCommand] {
        inbox.withLock { inbox in
            inbox.isClosed = true
            defer { inbox.commands = [] }
            return inbox.commands
        }
    }
}
