package import RoostModel

/// The decisions of `roost map`: facts in, actions out. No clock, no file, no pool.
///
///     reading ──inputsEnded──▶ waiting ──last outcome──▶ finished
///        └──Ctrl-C, halt──────────┴─▶ stopping ──last outcome, second Ctrl-C──▶ finished
///
/// Tasks are numbered twice: the *sequence* counts all inputs from 1 (`{#}`, job log), the *index* counts what was
/// submitted from 0; they differ when a run is resumed.
package struct MapSession: Sendable {
    /// What is remembered of a task between its submission and the printing of its output.
    struct Pending: Sendable {
        var sequence: Int
        var values: [[UInt8]]
        /// What it counts for against ``MapLimits/outstandingBytes``.
        var cost: Int
        /// Bytes of its results files that came while it ran, of which attempt.
        var streamedAttempt = 0
        var streamed: [OutputChunk.Stream: Int] = [:]
        /// Its line of the job log, once it has ended, until its output is printed.
        var logLine: [UInt8]?
    }

    enum Phase: Sendable {
        /// Inputs may still come. Moves to `waiting` or `stopping`.
        case reading
        /// All inputs are read. Moves to `stopping` or `finished`.
        case waiting
        /// No more inputs are wanted and the job is being stopped. Moves to `finished`.
        case stopping
        case finished
    }

    let plan: MapPlan
    var phase = Phase.reading
    /// The job is the pool's, complete and on its disk: nothing of ours ends it any more.
    package private(set) var isGivenAway = false
    var pending: [Int: Pending] = [:]
    var nextIndex = 0
    /// Tasks without an outcome, and the bytes of their inputs.
    var outstanding = 0
    var outstandingBytes = 0
    var isPaused = false
    var arranger: OutputArranger
    var progress: ProgressState
    var renderer: ProgressRenderer
    var halt: HaltWatch?
    var interrupts = 0
    var hasHungUp = false
    /// Set when something of ours went wrong and only the remaining outcomes are waited for.
    var overridingStatus: ExitStatus?
    var failuresNamed: [String] = []
    /// Whether our output stands in the middle of a line, where a progress line would spoil it.
    var isMidLine = false
    var width = 80

    package init(plan: MapPlan, at now: Instant) {
        self.plan = plan
        let isGrouped = plan.output.isJSON || plan.output.results != nil
        arranger = OutputArranger(mode: isGrouped ? .grouped : plan.output.mode, isOrdered: plan.output.isOrdered)
        progress = ProgressState(start: now)
        renderer = ProgressRenderer(mode: plan.progress)
        halt = plan.policy.halt.map(HaltWatch.init)
    }

    /// Takes one fact and appends what is to be done. `width` is the terminal's.
    package mutating func handle(_ fact: MapFact, at now: Instant, width: Int = 80, into actions: inout [MapAction]) {
        if case .finished = phase { return }
        self.width = width
        switch fact {
        case .tasksRead(let tasks): submit(tasks, into: &actions)
        case .inputsEnded: inputsEnded(at: now, into: &actions)
        case .inputsFailed(let error): inputsFailed(error, at: now, into: &actions)
        case .inputsWarned(let text): note(text, into: &actions)
        case .submitted(let job, let id):
            if plan.detaches {
                isGivenAway = true
                note(
                    "job \(job) (id \(id)) is durable, on the server's disk: 'roost job attach \(job)' shows it from anywhere",
                    into: &actions)
                write([OutputWrite(.stdout, [UInt8](job + "\n"))], into: &actions)
                finish(.success, into: &actions)
            }
        case .running(let count): progress.running = count
        case .retried(let count): progress.retried += count
        case .lost(let count): progress.lost += count
        case .wanting(let want): note("the job waits: \(want)", into: &actions)
        case .chunk(let chunk): take(chunk, into: &actions)
        case .outcomes(let outcomes):
            for outcome in outcomes { take(outcome, at: now, into: &actions) }
            finishIfDone(at: now, into: &actions)
        case .interrupted where plan.detaches, .hungUp where plan.detaches:
            stop(into: &actions)
            note("interrupted; what has arrived of the job is cancelled", into: &actions)
            finish(.interrupted, into: &actions)
        case .interrupted: interrupted(at: now, into: &actions)
        case .hungUp: hungUp(at: now, into: &actions)
        case .outputClosed:
            stop(into: &actions)
            actions.append(.cancelJob)
            finish(ExitStatus(rawValue: 128 + 13), into: &actions)
        case .failed(let error):
            stop(into: &actions)
            note(error.description, into: &actions)
            actions.append(.cancelJob)
            summarize(at: now, into: &actions)
            finish(error.status, into: &actions)
        case .ticked: break
        }
        draw(at: now, into: &actions)
    }

    // MARK: Inputs

    mutating func submit(_ tasks: [MapTask], into actions: inout [MapAction]) {
        guard case .reading = phase, !tasks.isEmpty else { return }
        if plan.isDryRun { return show(tasks, into: &actions) }
        let firstIndex = nextIndex
        for task in tasks {
            let cost = task.input.values.reduce(64) { $0 + $1.count }
            outstandingBytes += cost
            pending[nextIndex] = Pending(
                sequence: task.input.sequence, values: plan.remembersInputs ? task.input.values : [], cost: cost)
            nextIndex += 1
        }
        outstanding += tasks.count
        progress.known += tasks.count
        actions.append(.submit(firstIndex: firstIndex, commands: tasks.map(\.command)))
        if !isPaused, outstanding >= MapLimits.outstandingTasks || outstandingBytes >= MapLimits.outstandingBytes {
            isPaused = true
            actions.append(.pauseInputs)
        }
    }

    mutating func show(_ tasks: [MapTask], into actions: inout [MapAction]) {
        var writes: [OutputWrite] = []
        for task in tasks {
            var line = tag(task.input.sequence, task.input.values)
            line += commandLine(task.input.sequence, task.input.values, slot: nil)
            line.append(UInt8(ascii: "\n"))
            writes.add(.stdout, line[...])
        }
        write(writes, into: &actions)
    }

    mutating func inputsEnded(at now: Instant, into actions: inout [MapAction]) {
        guard case .reading = phase else { return }
        phase = .waiting
        progress.totalIsKnown = true
        if nextIndex > 0 { actions.append(.closeJob) }
        if halt?.check(total: progress.known) == true { halted(nil, into: &actions) }
        if !plan.detaches || nextIndex == 0 { finishIfDone(at: now, into: &actions) }
    }

    mutating func inputsFailed(_ error: MapError, at now: Instant, into actions: inout [MapAction]) {
        guard case .reading = phase else { return }
        note(error.description, into: &actions)
        overridingStatus = error.status
        inputsEnded(at: now, into: &actions)
    }

    // MARK: Stopping

    mutating func interrupted(at now: Instant, into actions: inout [MapAction]) {
        interrupts += 1
        if interrupts == 1 {
            stop(into: &actions)
            if outstanding > 0 {
                note("cancelling; press Ctrl-C again to kill what still runs", into: &actions)
                actions.append(.cancelJob)
            }
            finishIfDone(at: now, into: &actions)
        } else {
            actions.append(.killJob)
            summarize(at: now, into: &actions)
            finish(.interrupted, into: &actions)
        }
    }

    mutating func hungUp(at now: Instant, into actions: inout [MapAction]) {
        guard !hasHungUp else { return }
        hasHungUp = true
        stop(into: &actions)
        if outstanding > 0 {
            note("hung up; starting nothing more", into: &actions)
            actions.append(.drainJob)
        }
        finishIfDone(at: now, into: &actions)
    }

    /// Reads nothing more.
    mutating func stop(into actions: inout [MapAction]) {
        if case .reading = phase {
            actions.append(.stopInputs)
            if nextIndex > 0 { actions.append(.closeJob) }
        }
        phase = .stopping
    }

    mutating func finishIfDone(at now: Instant, into actions: inout [MapAction]) {
        switch phase {
        case .reading, .finished: return
        case .waiting, .stopping: break
        }
        guard outstanding == 0 else { return }
        progress.running = 0
        summarize(at: now, into: &actions)
        finish(status, into: &actions)
    }

    var status: ExitStatus {
        if interrupts > 0 { return .interrupted }
        if hasHungUp { return ExitStatus(rawValue: 128 + 1) }
        if let overridingStatus { return overridingStatus }
        if let halt { return halt.status(total: progress.known) }
        return .failures(progress.failed)
    }

    mutating func finish(_ status: ExitStatus, into actions: inout [MapAction]) {
        clearProgress(into: &actions)
        phase = .finished
        actions.append(.finish(status))
    }
}
