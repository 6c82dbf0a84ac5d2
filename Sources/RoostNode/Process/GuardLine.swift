import CRoostLinux
import Glibc
package import RoostModel
import Synchronization

/// The agent's side of its guard: a process that outlives the agent by the moment it takes to kill what it left.
///
/// ```
///   agent ══ pipe: +group −group … bye ══▶ guard (own session, ignores INT, TERM, HUP)
///     ╳ kill -9: the pipe's only write end closes ──▶ guard kills groups, then every process with the tag
/// ```
/// Nobody but the agent has the write end, so its closing proves that the agent is gone, whatever the reason.
package final class GuardLine: Sendable {
    /// Random; in the environment of every process of this life of the agent.
    package let tag: String
    /// `ROOST_GUARD=…` for the workers. An agent that is itself somebody's worker keeps the outer tag beside its own.
    package let environmentEntry: String
    private let executable: String
    private let arguments: [String]
    private let state: Mutex<State>

    private struct State: Sendable {
        /// The pipe's write end, -1 before the guard is there and after `bye`.
        var descriptor: Int32
        var pid: Int32
        /// Whether the guard is still to be started, before the first process.
        var isAwaited = false
        /// Records that have not been written, perhaps beginning inside one.
        var unwritten: [UInt8] = []
        var groups: Set<Int32> = []
        /// In tenths of a second, of those that have one.
        var leases: [Int32: UInt32] = [:]
        /// In tenths of a second since the machine's start.
        var provenAt: UInt32 = 0
        var restarts = 0
    }

    /// A guard that keeps dying is not started again for ever.
    private static let mostRestarts = 8
    /// Unwritten bytes at which a guard that does not read counts as dead.
    private static let mostUnwritten = 1 << 20
    private static let goodbyeMilliseconds: Int32 = 2000

    private init(executable: String, arguments: [String], tag: String, _ started: (descriptor: Int32, pid: Int32)?) {
        self.executable = executable
        self.arguments = arguments
        self.tag = tag
        let outer = getenv("ROOST_GUARD").map { String(cString: $0) + ":" } ?? ""
        environmentEntry = "ROOST_GUARD=\(outer)\(tag)"
        state = Mutex(
            State(descriptor: started?.descriptor ?? -1, pid: started?.pid ?? 0, isAwaited: started == nil))
    }

    /// Starts the guard: `executable` with `arguments` and, as the last one, the tag. It has to call ``runGuard``
    /// with that tag and descriptor 0.
    /// - Parameter waitsForProcess: start it just before the agent's first process (``prepare()``), for an agent that may have none.
    package static func start(
        executable: String, arguments: [String], waitsForProcess: Bool = false
    ) throws -> GuardLine {
        let tag = [UInt64.random(in: 0...UInt64.max), UInt64.random(in: 0...UInt64.max)]
            .map { String($0, radix: 36) }.joined(separator: "-")
        let started = waitsForProcess ? nil : try spawn(executable: executable, arguments: arguments + [tag])
        return GuardLine(executable: executable, arguments: arguments, tag: tag, started)
    }

    deinit {
        let descriptor = state.withLock { $0.descriptor }
        if descriptor >= 0 { close(descriptor) }
    }

    /// The guard's process; 0 when it could not be kept alive.
    package var guardPID: Int32 { state.withLock { $0.pid } }

    /// A process group has started. Told to the guard with the next ``flush()``.
    package func register(_ group: Int32) {
        state.withLock {
            $0.groups.insert(group)
            GuardRecord(.started, group: group).append(to: &$0.unwritten)
        }
    }

    package func unregister(_ group: Int32) {
        state.withLock {
            $0.groups.remove(group)
            $0.leases[group] = nil
            GuardRecord(.ended, group: group).append(to: &$0.unwritten)
        }
    }

    /// What the group runs from now on may not outlive this time without contact; nil: it may.
    package func limit(_ group: Int32, to lease: Duration?) {
        state.withLock {
            let tenths = lease.map { UInt32(clamping: $0.wholeNanoseconds / 100_000_000) }
            $0.leases[group] = tenths
            GuardRecord(.leased, group: group, lease: tenths ?? 0).append(to: &$0.unwritten)
        }
    }

    /// The server has answered a heartbeat that was sent at this time (CLOCK_BOOTTIME): leases begin again.
    package func prove(at sent: Instant) {
        state.withLock {
            $0.provenAt = UInt32(clamping: sent.nanoseconds / 100_000_000)
            GuardRecord(.proven, group: Int32(bitPattern: $0.provenAt)).append(to: &$0.unwritten)
        }
    }

    /// Writes what was registered since the last time, at once where the pipe has room.
    /// - Parameter isBrokenPipeSignalBlocked: SIGPIPE cannot reach the calling thread, and need not be held back.
    package func flush(isBrokenPipeSignalBlocked: Bool = false) {
        state.withLock { state in
            guard !state.unwritten.isEmpty else { return }
            guard state.descriptor >= 0 else { return }
            if Self.write(&state, isBrokenPipeSignalBlocked) { return }
            replaceGuard(&state)
        }
    }

    /// A process is about to start: from here on a guard is there, which finds it by its tag if by nothing else.
    package func prepare() {
        state.withLock { state in
            guard state.isAwaited else { return }
            state.isAwaited = false
            guard let started = try? Self.spawn(executable: executable, arguments: arguments + [tag]) else { return }
            (state.descriptor, state.pid) = started
        }
    }

    /// The agent leaves in good order. The guard cleans up silently; `waits`: until it has.
    package func bye(waits: Bool = true) {
        let pid = state.withLock { state -> Int32 in
            state.isAwaited = false
            guard state.descriptor >= 0 else { return 0 }
            GuardRecord(.bye).append(to: &state.unwritten)
            _ = Self.write(&state)
            close(state.descriptor)
            state.descriptor = -1
            state.unwritten = []
            defer { state.pid = 0 }
            return state.pid
        }
        if waits, pid > 0 { Self.reap(pid) }
    }

    // MARK: Writing

    /// False: nobody reads any more.
    private static func write(_ state: inout State, _ isSignalBlocked: Bool = false) -> Bool {
        while !state.unwritten.isEmpty {
            let count =
                isSignalBlocked
                ? Glibc.write(state.descriptor, state.unwritten, state.unwritten.count)
                : withoutBrokenPipeSignal { Glibc.write(state.descriptor, state.unwritten, state.unwritten.count) }
            if count == state.unwritten.count {
                state.unwritten.removeAll(keepingCapacity: true)
            } else if count > 0 {
                state.unwritten.removeFirst(count)
            } else if errno == EAGAIN {
                return state.unwritten.count < mostUnwritten
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }

    /// A pipe has no flag that says "no SIGPIPE", so the signal is held back for this thread and taken off it.
    private static func withoutBrokenPipeSignal(_ write: () -> Int) -> Int {
        var pipe = sigset_t()
        var before = sigset_t()
        sigemptyset(&pipe)
        sigaddset(&pipe, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &pipe, &before)
        let count = write()
        let error = errno
        if count < 0 && error == EPIPE {
            var now = timespec()
            sigtimedwait(&pipe, nil, &now)
        }
        pthread_sigmask(SIG_SETMASK, &before, nil)
        errno = error
        return count
    }

    // MARK: The guard's process

    /// The guard was killed before its agent: start another and tell it what lives.
    private func replaceGuard(_ state: inout State) {
        close(state.descriptor)
        if state.pid > 0 { Self.reap(state.pid) }
        state.descriptor = -1
        state.pid = 0
        state.unwritten = []
        guard state.restarts < Self.mostRestarts,
            let started = try? Self.spawn(executable: executable, arguments: arguments + [tag])
        else { return }
        state.restarts += 1
        (state.descriptor, state.pid) = started
        for group in state.groups { GuardRecord(.started, group: group).append(to: &state.unwritten) }
        if state.provenAt > 0 { GuardRecord(.proven, group: Int32(bitPattern: state.provenAt)).append(to: &state.unwritten) }
        for (group, lease) in state.leases { GuardRecord(.leased, group: group, lease: lease).append(to: &state.unwritten) }
        _ = Self.write(&state)
    }

    private static func spawn(executable: String, arguments: [String]) throws -> (descriptor: Int32, pid: Int32) {
        var ends: [Int32] = [-1, -1]
        let devNull = open("/dev/null", O_RDWR | O_CLOEXEC)
        // The agent never waits for its guard.
        guard devNull >= 0, roost_pipe(&ends, 1) == 0 else {
            let error = errno
            if devNull >= 0 { close(devNull) }
            throw GuardFailure(executable: executable, errno: error)
        }
        var strings = ([executable] + arguments).map { strdup($0) }
        strings.append(nil)
        defer { for string in strings { free(string) } }
        var step: Int32 = 0
        var error: Int32 = 0
        let pid = strings.withUnsafeBufferPointer { strings in
            "/".withCString { directory in
                var plan = roost_spawn_plan(
                    path: strings[0], arguments: strings.baseAddress, environment: environ, directory: directory,
                    input: ends[0], output: devNull, error: devNull, frames_in: -1, frames_out: -1, program: -1,
                    cgroup_procs: -1, data_limit: 0, close_others: 1,
                    new_session: 1, signals_blocked: 1)
                return roost_spawn(&plan, &step, &error)
            }
        }
        close(ends[0])
        close(devNull)
        guard pid > 0 else {
            close(ends[1])
            throw GuardFailure(executable: executable, errno: error)
        }
        return (ends[1], pid)
    }

    /// Takes the guard's exit status off the process table; it leaves at once, and is not waited for long.
    private static func reap(_ pid: Int32) {
        let pidfd = roost_pidfd_open(pid)
        if pidfd >= 0 {
            var waiting = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
            if poll(&waiting, 1, goodbyeMilliseconds) == 0 { kill(pid, SIGKILL) }
            close(pidfd)
        }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) == -1 && errno == EINTR {}
    }
}

/// The guard could not be started.
package struct GuardFailure: Error, CustomStringConvertible {
    package let executable: String
    package let errno: Int32
    package var description: String { "cannot start the guard \(executable): \(words(errno))" }
}
