import DequeModule
import Glibc
import NIOCore
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

    let reactor: ProcessReactor
    let loop: any EventLoop
    let configuration: RConfiguration
    let node: String
    private let environment: CStringBlock
    private let spool: AgentConfiguration.Spool
    let setups = SetupStore()
    var shelf: WorkerShelf
    var seats = SeatTable()
    var workers: [UInt64: RWorker] = [:]
    /// Processes by the machine's number of the worker that runs there.
    var tokens: [Int: UInt64] = [:]
    private var nextToken = RRuntime.firstToken
    private var programFile: MemoryFile?
    /// What the machine is to hear, in order.
    var told: [NodeEvent] = []
    /// Workers came, went, changed their session or ended something long.
    var haveWorkersChanged = false
    let tell: ([NodeEvent]) -> Void
    private var isSpareDue = false
    /// The last start failed: no spares until one succeeds.
    var isBroken = false

    /// How long nothing may have begun before a spare is started: a start takes a CPU from those who work.
    static let calm = TimeAmount.seconds(1)
    /// How old what is known of a worker's memory may be.
    static let memoryAge = Duration.seconds(1)

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
                let seat = SeatID(session: start.job.session, number: start.job.seat)
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

    func failure(of run: RWorker.Run, _ reason: String) -> WorkerEnd {
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

    private func bind(_ token: UInt64, to seat: SeatID) {
        seats[seat] = .taken(by: token)
        shelf.bind(token, to: seat.number)
        workers[token]?.seat = seat.number
        haveWorkersChanged = true
    }

    /// The worker goes, and with it what its seat's tasks left there. They are told so, those that wait and those to come.
    func vacate(_ worker: RWorker, _ token: UInt64, because reason: String) {
        guard worker.seat != 0, let session = worker.session else { return }
        let words =
            "the worker of seat \(worker.seat) (pid \(worker.processID) on node \(node)) has ended: \(reason); cloneNode() gives the seat another"
        let seat = SeatID(session: session, number: worker.seat)
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
        let (directory, scratch) = try spool.directory("r-\(getpid())-\(token - Self.firstToken)")
        var request = ProcessRequest(
            executable: configuration.program.executable, arguments: arguments, environment: environment,
            workingDirectory: directory, headBytes: 0, tailBytes: 4096, streamsOutput: true)
        request.framesProgram = programFile?.descriptor
        workers[token] = RWorker(scratch: scratch, at: RoostModel::Clock.now())
        shelf.add(token)
        reactor.start(token: token, request)
        return token
    }

    /// Starts a spare when nothing has begun for a moment.
    func noteSpare() {
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
    func advance(_ token: UInt64) {
        guard var worker = workers[token], let run = worker.run else { return }
        let job = run.start.job
        if worker.isReady, !run.isRunning, worker.memoryLimit != job.request.memoryBytes {
            worker.memoryLimit = job.request.memoryBytes
            workers[token]?.memoryLimit = worker.memoryLimit
            ProcessMemory.limit(worker.processID, to: worker.memoryLimit)
        }
        let handle: Int32
        var isKnown = true
        switch worker.nextStep() {
        case .none: return
        case .setup(let numbers):
            do throws(RoostError) {
                for number in numbers {
                    reactor.send(token: token, try setups.frame(number, of: job.session))
                    worker.awaited.append(.setup(number))
                }
                workers[token] = worker
            } catch {
                giveUp(run, of: &worker, token, error)
            }
            return
        case .jobThenBatch:
            handle = worker.jobs.add(job)
            isKnown = false
        case .batch(let known):
            handle = known
        }
        do throws(RoostError) {
            // Made first: the worker answers a job's data with the batch behind it.
            let frame = try RBatch.frame(run.start, handle: handle)
            if !isKnown {
                worker.awaited.append(.job(handle: handle))
                reactor.send(token: token, RBatch.control(RBatch.ToWorker.job, handle, second: job.common))
            }
            worker.run?.isRunning = true
            worker.run?.began = RoostModel::Clock.now()
            workers[token] = worker
            if let lease = job.policy.leaseAtNode { reactor.limit(token: token, to: lease) }
            reactor.send(token: token, frame)
        } catch {
            if !isKnown { worker.jobs.drop(handle) }
            giveUp(run, of: &worker, token, error)
        }
    }

    /// The worker cannot be told what it would need for its batch.
    private func giveUp(_ run: RWorker.Run, of worker: inout RWorker, _ token: UInt64, _ error: RoostError) {
        worker.run = nil
        workers[token] = worker
        ended(run.slot, token, failure(of: run, error.description))
        beginNext(token)
    }

    func ended(_ slot: Int, _ token: UInt64, _ end: WorkerEnd) {
        if tokens[slot] == token { tokens[slot] = nil }
        shelf.end(token)
        turned(token)
        told.append(.workerEnded(worker: slot, end))
    }

    /// The worker is free: its seat's next batch.
    func beginNext(_ token: UInt64) {
        guard workers[token]?.isEnding == false, let next = workers[token]?.waiting.popFirst() else { return }
        told.append(.workerBegan(worker: next.slot))
        begin(next, on: token)
    }

    /// The worker has ended its batch.
    func turned(_ token: UInt64) {
        let now = RoostModel::Clock.now()
        guard let since = workers[token]?.since else { return }
        if now - since >= NodeMachine.reportRunningAfter { haveWorkersChanged = true }
        workers[token]?.since = now
    }
}
