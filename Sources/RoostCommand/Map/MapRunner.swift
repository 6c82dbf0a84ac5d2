import Glibc
import Roost
import RoostModel

/// The shell around ``MapSession``: one thread that polls, tells the session what happened, and does what it says.
///
///     inputs ──▶ reader thread ─┐                        ┌─▶ standard output and error, job log, results
///     pool ────▶ event loop ────┼─▶ inbox ─▶ session ────┼─▶ job: append, close, cancel
///     signals ──────────────────┘                        └─▶ reader: pause, stop
final class MapRunner {
    private let plan: MapPlan
    private let inbox: MapInbox
    private let signals: MapSignals
    private let joblog: Joblog?
    private let results = ResultsDirectory()
    private var session: MapSession
    private var writer = MapWriter()
    private var joblogLines: [UInt8] = []
    private var shell: String?
    private var pool: MapPool?
    private var job: MapJob?
    /// What was to be done with the job before there was one.
    private var early: [MapAction] = []
    /// Tasks submitted, and outcomes that came.
    private var submitted = 0
    private var ended = 0
    private var lastTick = Clock.now()
    private var status: ExitStatus?
    /// The session has said its last word; only what it wants written is still to be written.
    private var isFinishing = false

    init(_ plan: MapPlan, signals: MapSignals) throws(MapError) {
        self.plan = plan
        self.signals = signals
        inbox = try MapInbox()
        joblog =
            if let file = plan.joblog, !plan.isDryRun { try Joblog(path: file.path, appends: file.appends) } else { nil }
        session = MapSession(plan: plan, at: Clock.now())
    }

    func run() throws(MapError) -> ExitStatus {
        try ReaderThread.start(plan, inbox: inbox)
        if !plan.isDryRun { MapPool.open(plan, inbox: inbox) }
        while true {
            wait()
            hear()
            if let status { return leave(status) }
        }
    }

    // MARK: Hearing

    /// Sleeps until something happened, or the display is due. Where many tasks are still to end, their ends are left to
    /// pile up for a moment: a thread that is woken for each costs the tasks more than anything that it does for them.
    private func wait() {
        if submitted - ended > MapLimits.napTasks, !plan.streamsOutput {
            var watched = pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&watched, 1, MapLimits.napMilliseconds) != 0 { return }
        }
        var watched = [
            pollfd(fd: inbox.wakeUp, events: Int16(POLLIN), revents: 0),
            pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        _ = poll(&watched, 2, tickMilliseconds)
    }

    private var tickMilliseconds: Int32 {
        switch plan.progress {
        case .quiet: -1
        case .bar: 100
        case .plain: 1000
        }
    }

    private func hear() {
        while let number = signals.next() { tell(number == SIGHUP ? .hungUp : .interrupted) }
        let arrived = inbox.take()
        if !arrived.tasks.isEmpty { tell(.tasksRead(arrived.tasks)) }
        var used = 0
        for item in arrived.news {
            switch item {
            case .fact(let fact): tell(fact)
            case .opened(let pool): opened(pool)
            case .ended(let batch):
                tell(.outcomes(MapOutcome.outcomes(of: batch, isHere: pool?.isHere ?? false)))
                used += batch.count
            case .closed: break
            }
        }
        ended += used
        if used > 0 { job?.used(used) }
        let now = Clock.now()
        if now - lastTick >= .milliseconds(Int64(max(0, tickMilliseconds))) {
            lastTick = now
            tell(.ticked)
        }
        flush()
        if arrived.wasCrowded { pool?.pauseOutput(false) }
    }

    private func tell(_ fact: MapFact) {
        var actions: [MapAction] = []
        session.handle(fact, at: Clock.now(), width: width, into: &actions)
        for action in actions { perform(action) }
    }

    private var width: Int {
        guard case .bar = plan.progress else { return 80 }
        var size = winsize()
        return ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
    }

    private func opened(_ pool: MapPool) {
        self.pool = pool
        let due = early
        early = []
        for action in due { perform(action) }
    }

    // MARK: Acting

    private func perform(_ action: MapAction) {
        guard status == nil else { return }
        switch action {
        case .submit, .closeJob, .cancelJob:
            if let pool { steer(pool, action) } else { early.append(action) }
        case .killJob, .drainJob:
            if let pool { steer(pool, action) }
        case .write(let write):
            attempt { () throws(MapWriter.Failure) in try writer.add(write) }
        case .appendJoblog(let line):
            joblogLines += line
        case .writeResult(let path, let offset, let bytes):
            do throws(MapError) { try results.write(bytes, at: offset, of: path) } catch { tell(.failed(error)) }
        case .pauseInputs: inbox.pauseReader(true)
        case .resumeInputs: inbox.pauseReader(false)
        case .stopInputs: inbox.stopReader()
        case .finish(let status):
            isFinishing = true
            flush()
            self.status = self.status ?? status
        }
    }

    private func steer(_ pool: MapPool, _ action: MapAction) {
        do throws(RoostError) {
            let job: MapJob
            if let known = self.job { job = known } else { job = try MapJob(pool, plan, inbox: inbox) }
            self.job = job
            switch action {
            case .submit(_, let commands):
                submitted += commands.count
                job.append(commands.map { argument($0, pool) })
            case .closeJob: job.close()
            case .cancelJob: job.cancel(kill: false)
            case .killJob: job.cancel(kill: true)
            case .drainJob: pool.drain(job, inbox: inbox)
            default: break
            }
        } catch {
            tell(.failed(MapError(error)))
        }
    }

    private func argument(_ command: ComposedCommand, _ pool: MapPool) -> CommandArgument {
        switch command {
        case .direct(let words): return .direct(words)
        case .shell(let line):
            // A node has its own shell; here it is the one that the caller speaks.
            guard pool.isHere else { return .shell(line) }
            let shell = self.shell ?? CallerShell.path(environmentNames: Environ.names)
            self.shell = shell
            return .direct([Array(shell.utf8), Array("-c".utf8), line])
        }
    }

    // MARK: Writing

    /// The output first: what the log names as done has been written.
    private func flush() {
        attempt { () throws(MapWriter.Failure) in try writer.flush() }
        guard !joblogLines.isEmpty, let joblog else { return }
        let lines = joblogLines
        joblogLines = []
        do throws(MapError) { try joblog.append(lines) } catch { failed(error) }
    }

    /// The session decides what a failure means. Once it has finished it hears no more: then what could not be
    /// written is said here, and decides the exit status.
    private func failed(_ problem: MapError) {
        guard isFinishing else { return tell(.failed(problem)) }
        let words = [UInt8]("roost: \(problem)\n".utf8)
        _ = Glibc.write(STDERR_FILENO, words, words.count)
        status = problem.status
    }

    private func attempt(_ write: () throws(MapWriter.Failure) -> Void) {
        do throws(MapWriter.Failure) {
            try write()
        } catch {
            switch error {
            case .closed: if isFinishing { status = ExitStatus(rawValue: 128 + SIGPIPE) } else { tell(.outputClosed) }
            case .failed(let problem): failed(problem)
            }
        }
    }

    // MARK: Leaving

    /// Where all tasks have ended there is nothing to wait for; otherwise what runs is killed first.
    private func leave(_ status: ExitStatus) -> ExitStatus {
        guard let pool, !pool.isHere || ended < submitted else { return status }
        pool.close(killing: session.isGivenAway || ended == submitted ? nil : job?.handle, inbox: inbox)
        let deadline = Clock.now() + MapLimits.leaveWithin
        while Clock.now() < deadline {
            var watched = [
                pollfd(fd: inbox.wakeUp, events: Int16(POLLIN), revents: 0),
                pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            _ = poll(&watched, 2, 100)
            if signals.next() != nil { break }
            for case .closed in inbox.take().news { return status }
        }
        return status
    }
}

/// Our own environment.
enum Environ {
    static var names: [String] {
        var names: [String] = []
        var next = environ
        while let entry = next.pointee {
            next += 1
            guard let end = strchr(entry, Int32(UInt8(ascii: "="))) else { continue }
            let name = UnsafeRawBufferPointer(start: entry, count: UnsafePointer(entry).distance(to: UnsafePointer(end)))
            names.append(String(decoding: name, as: UTF8.self))
        }
        return names
    }
}
