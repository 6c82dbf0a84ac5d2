import CRoostLinux
import Glibc
import RoostModel

/// A process from its start to its reaping.
struct Child {
    var token: UInt64 = 0
    /// Process and process group; 0: the slot is free.
    var pid: Int32 = 0
    /// Counts the uses of the slot, so that an event for an earlier one is recognised.
    var generation: UInt32 = 0
    var pidfd: Int32 = -1
    var stdout = OutputPipe()
    var stderr = OutputPipe()
    var streams = false
    /// Whether it streams as soon as the head does not hold its output.
    var streamsLarge = false
    var isPaused = false
    /// Whether the pipes are watched, but for a pause.
    var isWatched = false
    /// Whether we sent SIGKILL, so that nobody blames the kernel's out-of-memory killer.
    var killedByUs = false
    var startNanoseconds: Int64 = 0
    var startMonotonic: Int64 = 0
    /// When the leader ended, 0 while it runs.
    var endMonotonic: Int64 = 0
    /// The out-of-memory killer's count at the start.
    var memoryKillsBefore: UInt64?
    var memoryGroup: MemoryGroup?
    /// Our ends of the pipes to a worker that speaks in frames.
    var frames: FramePipes?
}

/// Our end of one of a process's output pipes and what came out of it.
struct OutputPipe {
    /// -1: at its end.
    var descriptor: Int32 = -1
    var capture = OutputCapture(headLimit: 0, tailLimit: 0)
}

/// Starting processes.
extension ReactorLoop {
    func start(token: UInt64, _ request: ProcessRequest) {
        if shutDownDeadline != nil {
            return refuse(
                token, ECANCELED, "cannot start \(request.executable ?? "the command"): the agent is stopping")
        }
        if slotOfToken[token] != nil {
            return refuse(token, EEXIST, "a process with token \(token) is running already")
        }
        guardLine?.prepare()
        var stdout: [Int32] = [-1, -1]
        var stderr: [Int32] = [-1, -1]
        guard roost_pipe(&stdout, 0) == 0, roost_pipe(&stderr, 0) == 0 else {
            let error = errno
            for end in stdout where end >= 0 { close(end) }
            return refuse(token, error, "cannot make a pipe for the output of a process: \(words(error))")
        }

        var plumbing = Spawner.Plumbing(
            input: devNull, output: stdout[1], error: stderr[1], inheritsDescriptors: request.inheritsDescriptors)
        var group: MemoryGroup?
        if let limit = request.memoryLimitBytes {
            group = MemoryGroups.shared?.make(limitBytes: limit)
            if let group { plumbing.cgroupProcs = group.procs } else { plumbing.dataLimit = max(1, limit) }
        }
        let pipes: FramePipes?
        do {
            pipes = try request.framesProgram.map { _ throws(ReactorFailure) in try FramePipes() }
        } catch {
            for end in stdout + stderr { close(end) }
            return refuse(token, error.errno, "\(error)")
        }
        if let pipes, let program = request.framesProgram {
            plumbing.frames = (input: pipes.childInput, output: pipes.childOutput, program: program)
        }
        let startMonotonic = Clock.monotonic()
        let startNanoseconds = Clock.sinceEpoch()
        let memoryKillsBefore = memoryKills.recent(now: startMonotonic)
        let result = spawner.start(request, plumbing)
        close(stdout[1])
        close(stderr[1])
        pipes?.closeChildEnds()
        group?.closeProcs()

        switch result {
        case .failed(let error, let message):
            close(stdout[0])
            close(stderr[0])
            pipes?.close()
            if let group { removeLater(group) }
            refuse(token, error, message)
        case .started(let pid):
            let slot = freeSlots.popLast() ?? children.count
            if slot == children.count { children.append(Child()) }
            let generation = children[slot].generation &+ 1
            children[slot] = Child(
                token: token, pid: pid, generation: generation, pidfd: roost_pidfd_open(pid),
                stdout: OutputPipe(descriptor: stdout[0], capture: capture(request)),
                stderr: OutputPipe(descriptor: stderr[0], capture: capture(request)),
                streams: request.streamsOutput, streamsLarge: request.streamsLargeOutput, startNanoseconds: startNanoseconds,
                startMonotonic: startMonotonic,
                memoryKillsBefore: memoryKillsBefore, memoryGroup: group, frames: pipes)
            slotOfToken[token] = slot
            guardLine?.register(pid)
            if let lease = request.strictLease { guardLine?.limit(pid, to: lease) }
            watchNew(slot)
        }
    }

    /// Waits for the new process's end, and in a moment for its output; undoes the start when the system has no room
    /// to do so.
    private func watchNew(_ slot: Int) {
        let child = children[slot]
        let hasFrames = child.frames == nil || watch(child.frames?.input ?? -1, slot, .framesIn)
        if hasFrames, child.pidfd >= 0 && watch(child.pidfd, slot, .process) {
            if child.startMonotonic < loudUntil || child.frames != nil {
                watchPipes(slot, at: child.startMonotonic)
            } else {
                watchPipesLater(slot, at: child.startMonotonic + Numbers.unwatchedNanoseconds)
            }
            events.append(.started(token: child.token, pid: child.pid))
            return
        }
        let error = errno
        kill(-child.pid, SIGKILL)
        var status: Int32 = 0
        while waitpid(child.pid, &status, 0) == -1 && errno == EINTR {}
        release(slot)
        refuse(child.token, error, "cannot watch a new process: \(words(error))")
    }

    /// Watches the pipes of those that have run for a moment.
    func watchDuePipes(at now: Int64) {
        while let first = unwatched.first, first.deadline <= now {
            unwatched.removeFirst()
            if isAlive(first) { watchPipes(first.slot, at: now) }
        }
    }

    func watchPipes(_ slot: Int, at now: Int64) {
        guard !children[slot].isWatched else { return }
        children[slot].isWatched = children[slot].isPaused || addPipes(slot)
        // The system has no room for a watch: its program waits in a full pipe meanwhile.
        if !children[slot].isWatched { watchPipesLater(slot, at: now + Numbers.retryNanoseconds) }
    }

    private func watchPipesLater(_ slot: Int, at deadline: Int64) {
        unwatched.append(Lingering(slot: slot, generation: children[slot].generation, deadline: deadline))
    }

    func addPipes(_ slot: Int) -> Bool {
        let (stdout, stderr) = (children[slot].stdout.descriptor, children[slot].stderr.descriptor)
        return (stdout < 0 || watch(stdout, slot, .stdout)) && (stderr < 0 || watch(stderr, slot, .stderr))
    }

    func watch(_ descriptor: Int32, _ slot: Int, _ kind: Source.Kind, _ events: EPOLL_EVENTS = EPOLLIN) -> Bool {
        let source = Source(slot: slot, generation: children[slot].generation, kind: kind)
        var event = epoll_event(events: events.rawValue, data: epoll_data(u64: source.bits))
        return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0 || errno == EEXIST
    }

    private func capture(_ request: ProcessRequest) -> OutputCapture {
        OutputCapture(headLimit: request.headBytes, tailLimit: request.tailBytes)
    }

    private func refuse(_ token: UInt64, _ error: Int32, _ message: String) {
        events.append(.couldNotStart(token: token, errno: error, message: message))
    }
}
