import CRoostLinux
import Glibc
import RoostModel
import Synchronization

/// What a `roost map` hears from the other threads.
enum MapNews: Sendable {
    case fact(MapFact)
    /// The pool is there; the job can be opened.
    case opened(MapPool)
    /// Tasks ended.
    case ended(OutcomeBatch)
    /// The pool is closed: nothing of ours runs any more.
    case closed
}

/// Where the other threads leave news for the session's thread, and tasks that were read.
///
///     reader ──tasks──▶ ┌───────┐
///     pool ────news───▶ │ inbox │ ──eventfd──▶ poll of the session's thread
///                       └───────┘
///
/// The reader waits while it is too far ahead; the others are kept short by the pool's own windows.
final class MapInbox: Sendable {
    /// Readable while something is in the inbox.
    let wakeUp: Int32
    /// The reader sleeps on this one.
    private let goOn: Int32
    private let state = Mutex(State())

    fileprivate struct State {
        var tasks: [MapTask] = []
        var news: [MapNews] = []
        var outputBytes = 0
        /// Whether those who print were made to wait.
        var isCrowded = false
        var isPaused = false
        var isStopped = false
        var isReaderWaiting = false
    }

    init() throws(MapError) {
        wakeUp = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        goOn = eventfd(0, Int32(EFD_CLOEXEC))
        guard wakeUp >= 0, goOn >= 0 else {
            throw MapError(
                .roostFailed, "cannot make an event descriptor: \(SystemError(code: errno).message)",
                remedy: "raise the limit of open files (ulimit -n)")
        }
    }

    deinit {
        close(wakeUp)
        close(goOn)
    }

    // MARK: The other threads' side

    func post(_ fact: MapFact) { post(.fact(fact)) }

    func post(_ news: MapNews) {
        let isFirst = state.withLock { state in
            defer { state.news.append(news) }
            return state.news.isEmpty && state.tasks.isEmpty
        }
        if isFirst { signal(wakeUp) }
    }

    /// Whether there is room for more output.
    enum Room { case plenty, crowded }

    /// A piece of output. Where far too much waits already it is dropped; what was captured makes up for it at the
    /// task's end.
    func post(_ chunk: MapChunk) -> Room {
        let (isFirst, room) = state.withLock { state in
            guard state.outputBytes < MapLimits.waitingOutputBytes else { return (false, Room.plenty) }
            state.outputBytes += chunk.bytes.count
            let turnsCrowded = !state.isCrowded && state.outputBytes >= MapLimits.waitingOutputBytes / 4
            if turnsCrowded { state.isCrowded = true }
            defer { state.news.append(.fact(.chunk(chunk))) }
            return (state.news.isEmpty && state.tasks.isEmpty, turnsCrowded ? Room.crowded : .plenty)
        }
        if isFirst { signal(wakeUp) }
        return room
    }

    /// Hands over a task that was read; waits while too many wait. False: no more are wanted.
    func put(_ task: MapTask) -> Bool {
        while true {
            let answer: Answer = state.withLock { state in
                if state.isStopped { return .stop }
                if state.isPaused || state.tasks.count >= MapLimits.waitingTasks {
                    state.isReaderWaiting = true
                    return .wait
                }
                defer { state.tasks.append(task) }
                return .taken(isFirst: state.news.isEmpty && state.tasks.isEmpty)
            }
            switch answer {
            case .stop: return false
            case .taken(let isFirst):
                if isFirst { signal(wakeUp) }
                return true
            case .wait:
                var count: UInt64 = 0
                _ = read(goOn, &count, 8)
            }
        }
    }

    private enum Answer {
        case stop
        case wait
        case taken(isFirst: Bool)
    }

    // MARK: The session's side

    struct Arrived {
        var tasks: [MapTask]
        var news: [MapNews]
        /// Whether those who print are waiting.
        var wasCrowded: Bool
    }

    /// Everything that arrived: the tasks first, for what ends the reading comes after them.
    func take() -> Arrived {
        var count: UInt64 = 0
        _ = read(wakeUp, &count, 8)
        let (taken, wakesReader) = state.withLock { state in
            let taken = Arrived(tasks: state.tasks, news: state.news, wasCrowded: state.isCrowded)
            state.tasks = []
            state.news = []
            state.outputBytes = 0
            state.isCrowded = false
            return (taken, state.takeWaitingReader())
        }
        if wakesReader { signal(goOn) }
        return taken
    }

    func pauseReader(_ isPaused: Bool) {
        let wakesReader = state.withLock { state in
            state.isPaused = isPaused
            return state.takeWaitingReader()
        }
        if wakesReader { signal(goOn) }
    }

    /// The reader ends at its next task, if it does not sleep in a read for ever.
    func stopReader() {
        let wakesReader = state.withLock { state in
            state.isStopped = true
            state.tasks = []
            return state.takeWaitingReader()
        }
        if wakesReader { signal(goOn) }
    }

    private func signal(_ descriptor: Int32) {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }
}

extension MapInbox.State {
    /// Whether the reader sleeps and has a reason to wake.
    fileprivate mutating func takeWaitingReader() -> Bool {
        guard isReaderWaiting, isStopped || (!isPaused && tasks.count < MapLimits.waitingTasks) else { return false }
        isReaderWaiting = false
        return true
    }
}
