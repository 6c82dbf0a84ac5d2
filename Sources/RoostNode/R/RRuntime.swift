import DequeModule
import Glibc
import NIOCore
import RSerialization
import RoostModel
import RoostWire

/// How R workers are run.
package struct RConfiguration: Sendable {
    package var program: RProgram
    /// How many are started before anybody needs them.
    package var prestarted = 0
    /// After so many tasks a worker is replaced; nil: never.
    package var maxTasks: Int?
    /// A worker that is larger than this after a task is replaced, in bytes of resident memory; nil: however large.
    package var maxMemoryBytes: UInt64?

    package init(program: RProgram) { self.program = program }
}

/// Runs tasks of the runtime `r`: workers are R processes that outlive their tasks and serve one session each.
///
/// ```
///   start ─▶ worker's own? spare? new ─▶ setup it lacks ─▶ job it does not know ─▶ batch ─▶ outcomes
/// ```
/// Lives on the agent's event loop.
final class RRuntime {
    /// Tokens of R workers' processes begin here; lower ones are commands'.
    static let firstToken: UInt64 = 1 << 62

    private let reactor: ProcessReactor
    private let loop: any EventLoop
    private let configuration: RConfiguration
    private let node: String
    private let environment: CStringBlock
    private let spool: AgentConfiguration.Spool
    private let setups = SetupStore()
    private var shelf: WorkerShelf
    private var seats = SeatTable()
    private var workers: [UInt64: RWorker] = [:]
    /// Processes by the machine's number of the worker that runs there.
    private var tokens: [Int: UInt64] = [:]
    private var nextToken = RRuntime.firstToken
    private var programFile: MemoryFile?
    /// What the machine is to hear, in order.
    private var told: [NodeEvent] = []
    /// Workers came, went, changed their session or ended something long.
    private var haveWorkersChanged = false
    private let tell: ([NodeEvent]) -> Void
    private var isSpareDue = false
    /// The last start failed: no spares until one succeeds.
    private var isBroken = false

    /// How long nothing may have begun before a spare is started: a start takes a CPU from those who work.
    private static let calm = TimeAmount.seconds(1)
    /// How old what is known of a worker's memory may be.
    private static let memoryAge = Duration.seconds(1)

    init(
        reactor: ProcessReactor, loop: any EventLoop, configuration: RConfiguration, node: String, slots: Int,
        spool: AgentConfiguration.Spool, environment: [String], tell: @escaping ([NodeEvent]) -> Void
    ) {
        self.reactor = reactor
        self.loop = loop
        self.configuration = configuration
        self.node = node
        self.spool = spool
        self.tell = tell
        self.environment = WorkerEnvironment.ofWorkers(spool, inherited: environment, node: node)
        shelf = WorkerShelf(slots: slots)
        for _ in 0..<configuration.prestarted { _ = try? startWorker() }
    }

    func owns(_ token: UInt64) -> Bool { token >= Self.firstToken }

    // MARK: Starting

    /// Has the batch run; an end at once when that cannot even be tried.
    func start(_ slot: Int, _ start: WorkerStart) -> WorkerEnd? {
        let run = RWorker.Run(slot: slot, start: start)
        do throws(RoostError) {
            let token: UInt64
            if start.job.seat == 0 {
                token = try worker(shelf.choose(for: start.job.session))
            } else {
                let seat = SeatHeld(session: start.job.session, seat: start.job.seat)
                switch seats[seat] {
                case .taken(let owner): token = owner
                case .ended(let reason): return failure(of: run, reason)
                case nil:
                    token = try worker(shelf.chooseForSeat(of: seat.session))
                    bind(token, to: seat)
                }
            }
            tokens[slot] = token
            if workers[token]?.run == nil {
                begin(run, on: token)
            } else {
                workers[token]?.waiting.append(run)
                told.append(.workerWaits(worker: slot))
            }
            return nil
        } catch {
            return WorkerEnd(end: .couldNotStart, payload: [], postMortem: PostMortem(reason: error.description, node: node))
        }
    }

    private func failure(of run: RWorker.Run, _ reason: String) -> WorkerEnd {
        let evidence = PostMortem(reason: reason, node: node, attempt: run.start.attempt)
        return WorkerEnd(end: .failed, payload: [], postMortem: evidence)
    }

    private func worker(_ choice: WorkerShelf.Choice) throws(RoostError) -> UInt64 {
        switch choice {
        case .use(let token): return token
        case .start(let ending):
            if let ending { end(ending) }
            return try startWorker()
        }
    }

    private func begin(_ run: RWorker.Run, on token: UInt64) {
        let session = run.start.job.session
        shelf.begin(token, session)
        if workers[token]?.session == nil { haveWorkersChanged = true }
        workers[token]?.session = session
        workers[token]?.run = run
        workers[token]?.since = RoostModel::Clock.now()
        advance(token)
        noteSpare()
    }

    // MARK: Seats

    private func bind(_ token: UInt64, to seat: SeatHeld) {
        seats[seat] = .taken(by: token)
        shelf.bind(token, to: seat.seat)
        workers[token]?.seat = seat.seat
        haveWorkersChanged = true
    }

    /// The worker goes, and with it what its seat's tasks left there. They are told so, those that wait and those to come.
    private func vacate(_ worker: RWorker, _ token: UInt64, because reason: String) {
        guard worker.seat != 0, let session = worker.session else { return }
        let words =
            "the worker of seat \(worker.seat) (pid \(worker.processID) on node \(node)) has ended: \(reason); cloneNode() gives the seat another"
        let seat = SeatHeld(session: session, seat: worker.seat)
        // A process that never was a worker leaves nothing behind: the seat may have another.
        if seats[seat] == .taken(by: token) { seats[seat] = worker.isReady ? .ended(words) : nil }
        for run in worker.waiting { ended(run.slot, token, failure(of: run, words)) }
    }

    private func startWorker() throws(RoostError) -> UInt64 {
        if programFile == nil { programFile = try MemoryFile(PackageResources.worker_R) }
        let token = nextToken
        nextToken += 1
        var arguments = CStringBlock()
        for word in [configuration.program.executable, "--no-echo", "--no-restore", "--file=/dev/fd/5"] {
            arguments.append(word)
        }
        let (directory, scratch) = try directory(token)
        var request = ProcessRequest(
            executable: configuration.program.executable, arguments: arguments, environment: environment,
            workingDirectory: directory, headBytes: 0, tailBytes: 4096, streamsOutput: true)
        request.framesProgram = programFile?.descriptor
        workers[token] = RWorker(scratch: scratch, at: RoostModel::Clock.now())
        shelf.add(token)
        reactor.start(token: token, request)
        return token
    }

    private func directory(_ token: UInt64) throws(RoostError) -> (path: String, scratch: String?) {
        switch spool {
        case .here(let path): return (path, nil)
        case .freshUnder(let path):
            let scratch = "\(path)/r-\(getpid())-\(token - Self.firstToken)"
            guard mkdir(scratch, 0o700) == 0 else {
                throw RoostError(
                    .io, "cannot make the worker's directory \(scratch)",
                    remedy: "Give the node another --state directory.", cause: String(cString: strerror(errno)))
            }
            return (scratch, scratch)
        }
    }

    /// Starts a spare when nothing has begun for a moment.
    private func noteSpare() {
        guard !isSpareDue, shelf.wantsSpare, !isBroken else { return }
        isSpareDue = true
        let begun = nextToken
        loop.assumeIsolated().scheduleTask(in: Self.calm) {
            self.isSpareDue = false
            guard self.shelf.wantsSpare, !self.isBroken else { return }
            // Something was started meanwhile: look again later. Busy workers have the CPUs.
            if self.nextToken != begun || self.shelf.idle.isEmpty { return }
            _ = try? self.startWorker()
        }
    }

    // MARK: One worker's way to its batch

    /// Sends the worker what it needs next for the batch it has.
    private func advance(_ token: UInt64) {
        guard var worker = workers[token], worker.isReady, let run = worker.run, !run.isRunning else { return }
        guard worker.awaited.isEmpty else { return }
        let job = run.start.job
        if worker.memoryLimit != job.request.memoryBytes {
            worker.memoryLimit = job.request.memoryBytes
            workers[token]?.memoryLimit = worker.memoryLimit
            ProcessMemory.limit(worker.processID, to: worker.memoryLimit)
        }
        if worker.setup < job.setup {
            for number in (worker.setup + 1)...job.setup {
                switch setups.entry(number, of: job.session) {
                case .bytes(let bytes):
                    reactor.send(token: token, RBatch.control(RBatch.ToWorker.setup, Int32(number), second: bytes))
                case .file(let file):
                    reactor.send(token: token, RBatch.control(RBatch.ToWorker.setupFile, Int32(number), path: file.path))
                case nil:
                    preconditionFailure("the machine starts a task when its setup is here")
                }
                worker.awaited.append(.setup(number))
            }
            workers[token] = worker
            return
        }
        let known = worker.jobs.handle(of: job)
        let handle = known ?? worker.jobs.add(job)
        if known == nil {
            worker.awaited.append(.job)
            reactor.send(token: token, RBatch.control(RBatch.ToWorker.job, handle, second: job.common))
        }
        do throws(RoostError) {
            let frame = try RBatch.frame(run.start, handle: handle)
            worker.run?.isRunning = true
            worker.run?.began = RoostModel::Clock.now()
            workers[token] = worker
            reactor.send(token: token, frame)
        } catch {
            worker.run = nil
            workers[token] = worker
            ended(run.slot, token, failure(of: run, error.description))
            beginNext(token)
        }
    }

    private func ended(_ slot: Int, _ token: UInt64, _ end: WorkerEnd) {
        if tokens[slot] == token { tokens[slot] = nil }
        shelf.end(token)
        turned(token)
        told.append(.workerEnded(worker: slot, end))
    }

    /// The worker is free: its seat's next batch.
    private func beginNext(_ token: UInt64) {
        guard workers[token]?.isEnding == false, let next = workers[token]?.waiting.popFirst() else { return }
        told.append(.workerBegan(worker: next.slot))
        begin(next, on: token)
    }

    /// The worker has ended its batch.
    private func turned(_ token: UInt64) {
        let now = RoostModel::Clock.now()
        guard let since = workers[token]?.since else { return }
        if now - since >= NodeMachine.reportRunningAfter { haveWorkersChanged = true }
        workers[token]?.since = now
    }

    // MARK: What processes did

    func processDid(_ event: ProcessEvent) {
        switch event {
        case .started(let token, let pid):
            workers[token]?.processID = pid
            haveWorkersChanged = true
        case .output(let token, let stream, _, let bytes):
            printed(token, stream, bytes)
        case .frame(let token, let frame):
            received(token, frame)
        case .framesBroken(let token, let reason):
            workers[token]?.fault = reason
            reactor.signal(token: token, SIGKILL)
        case .framesClosed(let token):
            loop.assumeIsolated().scheduleTask(in: Self.calm) {
                if self.workers[token] != nil, self.workers[token]?.isEnding == false {
                    self.breakOff(token, "it closed its connection to the agent")
                }
            }
        case .couldNotStart(let token, _, let message):
            isBroken = true
            guard let worker = forget(token) else { return }
            let end = WorkerEnd(end: .couldNotStart, payload: [], postMortem: PostMortem(reason: message, node: node))
            if let run = worker.run { ended(run.slot, token, end) }
            vacate(worker, token, because: message)
        case .ended(let token, let end):
            guard let worker = forget(token) else { return }
            if !worker.isReady { isBroken = true }
            if let run = worker.run { ended(run.slot, token, worker.workerEnd(end, node: node)) }
            vacate(worker, token, because: worker.words(end))
        }
    }

    /// Hands over what the machine should hear.
    func flush() {
        if haveWorkersChanged {
            haveWorkersChanged = false
            told.append(.workersChanged(snapshots()))
        }
        guard !told.isEmpty else { return }
        let events = told
        told.removeAll(keepingCapacity: true)
        tell(events)
    }

    /// The workers that are processes already, in the order of their starts.
    func snapshots() -> [WorkerSnapshot] {
        let now = RoostModel::Clock.now()
        return workers.keys.sorted().compactMap { token in
            guard let pid = workers[token]?.processID, pid > 0 else { return nil }
            if workers[token]?.memory.map({ now - $0.at >= Self.memoryAge }) ?? true {
                workers[token]?.memory = ResidentMemory.bytes(of: pid).map { ($0, now) }
            }
            return workers[token]?.snapshot(at: now)
        }
    }

    private func printed(_ token: UInt64, _ stream: OutputChunk.Stream, _ bytes: [UInt8]) {
        if stream == .stderr, let caught = CaughtSignal.line(in: bytes) { workers[token]?.caught = caught }
        // No copy of the run is held: what it printed would be copied with every piece, a megabyte for a line.
        let known = workers[token]?.run.map { run in
            (
                slot: run.slot, offset: run.offset(of: stream), isRunning: run.isRunning,
                isSent: run.start.streams && run.start.tasks.count == 1
            )
        }
        guard let known, known.isRunning else { return }
        if stream == .stdout { bytes.withUnsafeBytes { workers[token]?.run?.printed.append($0) } }
        if known.isSent {
            told.append(.workerPrinted(worker: known.slot, stream, offset: known.offset, bytes: bytes))
        }
        workers[token]?.run?.advance(stream, by: bytes.count)
    }

    private func received(_ token: UInt64, _ frame: WorkerFrame) {
        guard workers[token] != nil else { return }
        switch frame.kind {
        case RBatch.FromWorker.ready:
            isBroken = false
            haveWorkersChanged = true
            workers[token]?.isReady = true
            workers[token]?.memory = nil
            workers[token]?.since = RoostModel::Clock.now()
            advance(token)
        case RBatch.FromWorker.settled: settled(token, frame)
        case RBatch.FromWorker.condition: signalled(token, frame)
        case RBatch.FromWorker.done: done(token, frame)
        default: breakOff(token, "it sent a frame of unknown kind \(frame.kind)")
        }
    }

    /// A setup entry or a job's data is in force, or is not.
    private func settled(_ token: UInt64, _ frame: WorkerFrame) {
        guard let awaited = workers[token]?.awaited.popFirst() else {
            return breakOff(token, "it answered what nobody asked")
        }
        // What is wrong with a job's data its tasks will say.
        if case .setup(let number) = awaited {
            if let fault = Self.fault(in: frame.first) {
                setupFailed(token, number, fault)
            } else {
                workers[token]?.setup = number
            }
        }
        advance(token)
    }

    private static func fault(in stream: [UInt8]) -> String? {
        guard case .list(let list) = try? RValue(stream: stream), list.elements.count == 2 else { return "no answer" }
        guard case .string(let text) = list.elements[1] else { return nil }
        return text.elements.first?.text ?? "an error"
    }

    /// The tasks fail, and the worker with half a setup goes: the next one tries it from the start.
    private func setupFailed(_ token: UInt64, _ number: UInt32, _ fault: String) {
        guard let run = workers[token]?.run else { return end(token) }
        workers[token]?.run = nil
        workers[token]?.awaited.removeAll()
        ended(
            run.slot, token,
            WorkerEnd(
                end: .failed, payload: [],
                postMortem: PostMortem(
                    reason: "the session's setup (entry \(number)) failed on this node: \(fault)", node: node,
                    attempt: run.start.attempt)))
        if let worker = workers[token] {
            vacate(worker, token, because: "entry \(number) of the session's setup failed there: \(fault)")
            workers[token]?.waiting.removeAll()
        }
        end(token)
    }

    private func signalled(_ token: UInt64, _ frame: WorkerFrame) {
        guard let run = workers[token]?.run, run.isRunning, !frame.second.isEmpty,
            case .list(let list) = try? RValue(stream: frame.first),
            case .integer(let position) = list.elements.first, let task = position.elements.first,
            (1...run.start.arguments.count).contains(Int(task)), let item = try? RItem.fromStream(frame.second)
        else { return }
        told.append(.workerSignalled(worker: run.slot, position: Int(task) - 1, bytes: item))
    }

    private func done(_ token: UInt64, _ frame: WorkerFrame) {
        guard let run = workers[token]?.run, run.isRunning else { return breakOff(token, "it answered what nobody asked") }
        let nanoseconds = UInt64(max(0, (RoostModel::Clock.now() - run.began).wholeNanoseconds))
        var batch: OutcomeBatch
        do throws(RoostError) {
            batch = try RBatch.outcomes(
                of: run.start, frame, printed: run.start.tasks.count == 1 ? run.printed.captured : nil, node: node,
                nanoseconds: nanoseconds)
        } catch {
            return breakOff(token, error.cause)
        }
        if run.start.job.request.memoryBytes > 0 { batch.noteMemoryLimit(run.start.job.request.memoryBytes) }
        workers[token]?.run = nil
        turned(token)
        workers[token]?.tasksDone += batch.count
        if tokens[run.slot] == token { tokens[run.slot] = nil }
        shelf.end(token)
        told.append(.batchEnded(worker: run.slot, batch))
        if isUsedUp(token) { end(token) } else { beginNext(token) }
        noteSpare()
    }

    private func isUsedUp(_ token: UInt64) -> Bool {
        // What a seat's worker holds is what the seat is for.
        guard let worker = workers[token], worker.seat == 0 else { return false }
        if let most = configuration.maxTasks, worker.tasksDone >= most { return true }
        guard let most = configuration.maxMemoryBytes, worker.processID > 0 else { return false }
        return ResidentMemory.bytes(of: worker.processID).map { $0 > most } ?? false
    }

    /// The worker does what it must not: it is killed, and what it ran is charged as a crash.
    private func breakOff(_ token: UInt64, _ reason: String) {
        workers[token]?.fault = reason
        reactor.signal(token: token, SIGKILL)
    }

    // MARK: Ending

    /// Ends a worker that runs nothing.
    private func end(_ token: UInt64) {
        shelf.remove(token)
        haveWorkersChanged = true
        workers[token]?.isEnding = true
        workers[token]?.since = RoostModel::Clock.now()
        reactor.closeFrames(token: token)
    }

    private func forget(_ token: UInt64) -> RWorker? {
        shelf.remove(token)
        guard let worker = workers.removeValue(forKey: token) else { return nil }
        haveWorkersChanged = true
        if let scratch = worker.scratch { DirectoryTree.remove(scratch) }
        return worker
    }

    func signal(_ slot: Int, _ signal: WorkerSignal) {
        guard let token = tokens[slot] else { return }
        if let position = workers[token]?.waiting.firstIndex(where: { $0.slot == slot }) {
            // It only waits: whoever runs there is not meant.
            tokens[slot] = nil
            if let run = workers[token]?.waiting.remove(at: position) {
                var end = failure(of: run, "it waited for the worker of seat \(run.start.job.seat)")
                end.end = .cancelled
                told.append(.workerEnded(worker: slot, end))
            }
            return
        }
        switch signal {
        case .interrupt: reactor.signal(token: token, SIGINT)
        case .terminate: reactor.signal(token: token, SIGTERM)
        case .kill: reactor.signal(token: token, SIGKILL)
        }
    }

    /// Sends a signal to a worker, and to no other process.
    func signal(processID: Int32, _ signal: Int32) {
        guard let token = workers.first(where: { $0.value.processID == processID })?.key, processID > 0 else { return }
        reactor.signal(token: token, signal)
    }

    /// A server that does not keep up makes tasks that print wait.
    func pauseOutput(isLinkFull: Bool) {
        // All go on, also those whose batch has ended meanwhile: the next would print into a pipe that nobody reads.
        guard isLinkFull else { return workers.keys.forEach { reactor.resumeOutput(token: $0) } }
        for (token, worker) in workers where worker.run?.start.streams == true { reactor.pauseOutput(token: token) }
    }

    // MARK: Sessions and jobs

    func add(_ entry: SetupEntry) throws(RoostError) { try setups.add(entry) }

    func forget(_ job: JobID) {
        for token in workers.keys {
            for handle in workers[token]?.jobs.remove(job) ?? [] {
                reactor.send(token: token, RBatch.control(RBatch.ToWorker.forget, handle))
            }
        }
    }

    /// The session is over: its workers end. One that still runs something was told to drop it.
    func forget(_ session: SessionID) {
        setups.forget(session)
        seats.forget(session)
        for token in shelf.workers(of: session) {
            if workers[token]?.run != nil { reactor.signal(token: token, SIGKILL) } else { end(token) }
        }
    }
}
