import CRoostLinux
import Glibc
import RoostModel

/// The reactor's thread: everything here is touched by that thread alone.
final class ReactorLoop {
    let shared: ReactorShared
    let guardLine: GuardLine?
    let onEvents: @Sendable ([ProcessEvent]) -> Void
    let epoll: Int32
    let devNull: Int32
    var spawner: Spawner
    /// Children by slot; a slot whose `pid` is 0 is free.
    var children: [Child] = []
    var freeSlots: [Int] = []
    var slotOfToken: [UInt64: Int] = [:]
    /// What this turn brought.
    var events: [ProcessEvent] = []
    /// Processes whose leader has ended while others of the group hold its pipes, oldest first.
    var lingering: [Lingering] = []
    /// Processes whose pipes are not watched yet, oldest first.
    var unwatched: [Lingering] = []
    /// Until when processes are expected to print so much that a full pipe would stop them before they are watched.
    var loudUntil: Int64 = 0
    /// When the reactor gives up waiting for killed groups; nil: it is not shutting down.
    var shutDownDeadline: Int64?
    /// Whether the thread is an event loop's, which says when it ends.
    let servesEventLoop: Bool
    var timers = ReactorTimers()
    /// Until when the thread does not sleep; 0: it may.
    var awakeUntil: Int64 = 0
    /// Descriptors of others, by the number of their watch.
    var watches: [UInt64: WatchedDescriptor] = [:]
    /// Who waits for the end of the event loop; not empty: it ends.
    var onEnd: [@Sendable () -> Void] = []
    var ownPeak = OwnPeakMemory()
    var memoryKills = OutOfMemoryCounter()
    /// Memory groups whose last processes were not gone when they were to be removed.
    var groupsToRemove: [MemoryGroup] = []
    /// One buffer for all reads; what is kept is copied out of it.
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Numbers.readBytes, alignment: 16)

    /// A process with which something is put off, and until when.
    struct Lingering {
        var slot: Int
        var generation: UInt32
        var deadline: Int64
    }

    /// The reactor's own limits.
    enum Numbers {
        /// The most that is read at once: what a pipe holds unless somebody enlarged it.
        static let readBytes = 64 << 10
        /// The most that is read at once of a large frame.
        static let bodyBytes = 1 << 20
        /// The most reads of one pipe after its process has ended; a pipe holds at most 1 MiB.
        static let lastReads = 16
        /// How long the rest of a group may go on writing (`tee` behind a shell's `>(…)`) after its leader has ended.
        static let lingerNanoseconds: Int64 = 100_000_000
        /// How long a new process's pipes are left alone: most of the many small ones end before, in silence, and then
        /// nobody is woken when they close them.
        static let unwatchedNanoseconds: Int64 = 2_000_000
        /// How long until a watch is asked for again that the system had no room for.
        static let retryNanoseconds: Int64 = 100_000_000
        /// A read of this many bytes tells of a process that prints much…
        static let loudBytes = 32 << 10
        /// … and for so long those that start are watched at once.
        static let loudNanoseconds: Int64 = 1_000_000_000
        /// How long shutting down waits for killed processes: one may be stuck in a dead network file system.
        static let shutDownNanoseconds: Int64 = 5_000_000_000
        /// How often events and the starts they cause may alternate before descriptors are looked at again.
        static let roundsPerTurn = 64
        static let eventsPerTurn = 256
    }

    init(
        shared: ReactorShared, guardLine: GuardLine?, servesEventLoop: Bool,
        onEvents: @escaping @Sendable ([ProcessEvent]) -> Void
    ) throws(ReactorFailure) {
        self.shared = shared
        self.guardLine = guardLine
        self.servesEventLoop = servesEventLoop
        self.onEvents = onEvents
        spawner = Spawner(tagEntry: guardLine?.environmentEntry)
        roost_keep_exit_statuses()
        devNull = try Self.openDevNull()
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else {
            let error = errno
            close(devNull)
            throw ReactorFailure(what: "epoll", errno: error)
        }
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data(u64: Source.wakeUp))
        guard epoll_ctl(epoll, EPOLL_CTL_ADD, shared.wakeUp, &event) == 0 else {
            throw ReactorFailure(what: "epoll", errno: errno)
        }
    }

    deinit {
        close(epoll)
        close(devNull)
        buffer.deallocate()
    }

    /// Opens /dev/null above 2, filling 0, 1 and 2 where the agent was started without them: a pipe that got one of
    /// these numbers would be overwritten in the child.
    private static func openDevNull() throws(ReactorFailure) -> Int32 {
        while true {
            let file = open("/dev/null", O_RDWR | O_CLOEXEC)
            if file < 0 { throw ReactorFailure(what: "/dev/null", errno: errno) }
            if file > 2 { return file }
        }
    }

    func run() {
        shared.adoptThread()
        // Signals to the agent are for its other threads; SIGPIPE of a dead guard's line is for nobody.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)

        var ready = [epoll_event](repeating: epoll_event(), count: Numbers.eventsPerTurn)
        while true {
            let isSettled = settle()
            guardLine?.flush(isBrokenPipeSignalBlocked: true)
            if isEnding, slotOfToken.isEmpty || Clock.monotonic() >= shutDownDeadline ?? 0 { break }
            let count = wait(for: &ready, atMost: isSettled ? timeoutMilliseconds() : 0)
            for index in 0..<max(0, count) { handle(ready[index]) }
            deadlinesPassed()
        }
        leave()
    }

    /// Who expects something within microseconds has the thread look for it instead of sleeping: to be put to sleep and woken takes
    /// as long as a small task.
    private func wait(for ready: inout [epoll_event], atMost milliseconds: Int32) -> Int {
        if awakeUntil > 0, milliseconds != 0 {
            while Clock.monotonic() < awakeUntil {
                let count = epoll_wait(epoll, &ready, Int32(ready.count), 0)
                // A command of another thread is among them: it writes to `wakeUp`.
                if count > 0 { return Int(count) }
            }
            awakeUntil = 0
        }
        return Int(epoll_wait(epoll, &ready, Int32(ready.count), milliseconds))
    }

    /// Whether the thread ends as soon as the last process is reaped, or the wait for it is over.
    private var isEnding: Bool { shutDownDeadline != nil && (!servesEventLoop || !onEnd.isEmpty) }

    private func leave() {
        let undone = shared.closeInbox()
        for timer in timers.takeAll() { timer.perform(false) }
        for id in watches.keys.sorted() { unwatch(id) }
        shared.leaveThread()
        for group in groupsToRemove { _ = group.remove() }
        // What could not be reaped in time stays registered with the guard; only its descriptors go.
        for slot in children.indices where children[slot].pid != 0 {
            closePipe(slot, .stdout)
            closePipe(slot, .stderr)
            closeFrames(slot)
            close(children[slot].pidfd)
        }
        for command in undone {
            if case .end(let callback) = command { onEnd.append(callback) }
            if case .schedule(let timer) = command { timer.perform(false) }
            if case .watch(let watched) = command { close(watched.descriptor) }
        }
        for callback in onEnd { callback() }
    }

    /// Does what was asked and tells what happened, in turns, until there is neither. False: there is more.
    private func settle() -> Bool {
        var commands: [ReactorCommand] = []
        for _ in 0..<Numbers.roundsPerTurn {
            shared.take(into: &commands)
            if commands.isEmpty && events.isEmpty { return true }
            for command in commands { perform(command) }
            commands.removeAll(keepingCapacity: true)
            guard !events.isEmpty else { continue }
            var batch: [ProcessEvent] = []
            swap(&batch, &events)
            onEvents(batch)
        }
        return false
    }

    private func perform(_ command: ReactorCommand) {
        switch command {
        case .start(let token, let request): start(token: token, request)
        case .signal(let token, let signal): send(signal, toToken: token)
        case .streaming(let token, let streams): setStreaming(token: token, streams)
        case .reading(let token, let reads): setReading(token: token, reads)
        case .frame(let token, let frame): send(frame, toToken: token)
        case .closeFrames(let token): closeFrames(ofToken: token)
        case .lease(let token, let lease):
            if let slot = slotOfToken[token] { guardLine?.limit(children[slot].pid, to: lease) }
        case .shutDown: shutDown()
        case .perform(let work): work()
        case .schedule(let timer): timers.add(timer)
        case .stayAwake(let until): awakeUntil = max(awakeUntil, until)
        case .cancelTimer(let id): timers.remove(id)
        case .watch(let watched): watch(watched)
        case .rewatch(let id, let forBytes, let forRoom): rewatch(id, forBytes: forBytes, forRoom: forRoom)
        case .unwatch(let id): unwatch(id)
        case .end(let callback):
            shutDown()
            onEnd.append(callback)
        }
    }

    private func handle(_ event: epoll_event) {
        guard let source = Source(event.data.u64) else {
            if let id = Source.watch(event.data.u64) { return watchReady(id, event.events) }
            var count: UInt64 = 0
            _ = read(shared.wakeUp, &count, 8)
            return
        }
        // A process that ended earlier in this turn may have had more to say in it.
        guard children[source.slot].generation == source.generation, children[source.slot].pid != 0 else { return }
        switch source.kind {
        case .process: leaderEnded(source.slot)
        case .stdout: readReady(source.slot, .stdout, event.events)
        case .stderr: readReady(source.slot, .stderr, event.events)
        case .framesIn: framesReady(source.slot)
        case .framesOut: writeFrames(source.slot)
        }
    }

    func isAlive(_ entry: Lingering) -> Bool {
        children[entry.slot].pid != 0 && children[entry.slot].generation == entry.generation
    }

    private func timeoutMilliseconds() -> Int32 {
        // Nobody is to be woken for the pipes of those that have ended.
        while let first = unwatched.first, !isAlive(first) { unwatched.removeFirst() }
        var next = min(timers.next ?? .max, lingering.first?.deadline ?? .max, unwatched.first?.deadline ?? .max)
        if isEnding, let shutDownDeadline { next = min(next, shutDownDeadline) }
        if next == .max { return -1 }
        return Int32(clamping: max(0, next - Clock.monotonic() + 999_999) / 1_000_000)
    }

    /// Which descriptor of which process an epoll event is about, in 64 bits.
    struct Source {
        enum Kind: UInt64 {
            case process = 0
            case stdout = 1
            case stderr = 2
            case framesIn = 3
            case framesOut = 4
        }
        static let wakeUp = UInt64.max
        /// The mark of a watch, whose number is in the other bits.
        static let watchBits: UInt64 = 5 << 61
        var slot: Int
        var generation: UInt32
        var kind: Kind

        init(slot: Int, generation: UInt32, kind: Kind) {
            self.slot = slot
            self.generation = generation
            self.kind = kind
        }

        init?(_ bits: UInt64) {
            guard bits != Self.wakeUp, let kind = Kind(rawValue: bits >> 61) else { return nil }
            self.init(slot: Int(bits >> 32 & 0x1fff_ffff), generation: UInt32(truncatingIfNeeded: bits), kind: kind)
        }

        /// The number of a watch; nil: it is about something else.
        static func watch(_ bits: UInt64) -> UInt64? { bits >> 61 == watchBits >> 61 ? bits & ~watchBits : nil }

        var bits: UInt64 { kind.rawValue << 61 | UInt64(slot) << 32 | UInt64(generation) }
    }
}

/// The two clocks a process is measured by, in nanoseconds.
enum Clock {
    static func monotonic() -> Int64 { read(CLOCK_MONOTONIC) }
    static func sinceEpoch() -> Int64 { read(CLOCK_REALTIME) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
