package import RoostModel

/// The decisions of `roost map`: facts in, actions out. No clock, no file, no pool.
///
///     reading ──inputsEnded──▶ waiting ──last outcome──▶ finished
///        │                        │
///        └──Ctrl-C, halt──────────┴─▶ stopping ──last outcome, or second Ctrl-C──▶ finished
///
/// Tasks are numbered twice: the *sequence* counts all inputs from 1 (`{#}`, job log), the *index* counts what was
/// submitted from 0; they differ when a run is resumed.
package struct MapSession: Sendable {
    /// What is remembered of a task between its submission and the printing of its output.
    struct Pending: Sendable {
        var sequence: Int
        var values: [[UInt8]]
        /// Bytes of its results files that came while it ran, of which attempt.
        var streamedAttempt = 0
        var streamed: [OutputStream: Int] = [:]
        /// Its line of the job log, once it has ended, until its output is printed.
        var logLine: [UInt8]?
    }

    private enum Phase: Sendable {
        /// Inputs may still come. Moves to `waiting` or `stopping`.
        case reading
        /// All inputs are read. Moves to `stopping` or `finished`.
        case waiting
        /// No more inputs are wanted and the job is being stopped. Moves to `finished`.
        case stopping
        case finished
    }

    let plan: MapPlan
    private var phase = Phase.reading
    var pending: [Int: Pending] = [:]
    private var nextIndex = 0
    /// Tasks without an outcome, and the bytes of their inputs.
    private var outstanding = 0
    private var outstandingBytes = 0
    private var isPaused = false
    var arranger: OutputArranger
    private var progress: ProgressState
    private var renderer: ProgressRenderer
    private var halt: HaltWatch?
    private var interrupts = 0
    /// Set when something of ours went wrong and only the remaining outcomes are waited for.
    private var overridingStatus: ExitStatus?
    private var failuresNamed: [String] = []
    /// Whether our output stands in the middle of a line, where a progress line would spoil it.
    private var isMidLine = false
    private var width = 80

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
        case .submitted(let job):
            if plan.detaches {
                write([OutputWrite(.stdout, [UInt8](job + "\n"))], into: &actions)
                finish(.success, into: &actions)
            }
        case .running(let count): progress.running = count
        case .retried(let count): progress.retried += count
        case .nodesLost(let count): progress.lost += count
        case .chunk(let chunk): take(chunk, into: &actions)
        case .outcomes(let outcomes):
            for outcome in outcomes { take(outcome, at: now, into: &actions) }
            finishIfDone(at: now, into: &actions)
        case .interrupted: interrupted(at: now, into: &actions)
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

    private mutating func submit(_ tasks: [MapTask], into actions: inout [MapAction]) {
        guard case .reading = phase, !tasks.isEmpty else { return }
        if plan.isDryRun { return show(tasks, into: &actions) }
        let firstIndex = nextIndex
        for task in tasks {
            let bytes = task.input.values.reduce(64) { $0 + $1.count }
            outstandingBytes += bytes
            pending[nextIndex] = Pending(
                sequence: task.input.sequence, values: plan.remembersInputs ? task.input.values : [])
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

    private mutating func show(_ tasks: [MapTask], into actions: inout [MapAction]) {
        var writes: [OutputWrite] = []
        for task in tasks {
            var line = tag(task.input.sequence, task.input.values)
            line += commandLine(task.input.sequence, task.input.values, slot: nil)
            line.append(UInt8(ascii: "\n"))
            writes.add(.stdout, line[...])
        }
        write(writes, into: &actions)
    }

    private mutating func inputsEnded(at now: Instant, into actions: inout [MapAction]) {
        guard case .reading = phase else { return }
        phase = .waiting
        progress.totalIsKnown = true
        if nextIndex > 0 { actions.append(.closeJob) }
        if halt?.check(total: progress.known) == true { halted(nil, into: &actions) }
        if !plan.detaches || nextIndex == 0 { finishIfDone(at: now, into: &actions) }
    }

    private mutating func inputsFailed(_ error: MapError, at now: Instant, into actions: inout [MapAction]) {
        guard case .reading = phase else { return }
        note(error.description, into: &actions)
        overridingStatus = error.status
        inputsEnded(at: now, into: &actions)
    }

    // MARK: Output and outcomes

    private mutating func take(_ chunk: MapChunk, into actions: inout [MapAction]) {
        guard var task = pending[chunk.index] else { return }
        if let layout = plan.output.results {
            if task.streamedAttempt != chunk.attempt {
                guard chunk.attempt > task.streamedAttempt else { return }
                task.streamedAttempt = chunk.attempt
                task.streamed = [:]
            }
            // A piece after a hole waits for the end, when the whole is written.
            let position = task.streamed[chunk.stream] ?? 0
            guard chunk.offset == position else { return }
            task.streamed[chunk.stream] = position + chunk.bytes.count
            pending[chunk.index] = task
            let path = layout.path(
                of: chunk.stream == .stdout ? .stdout : .stderr, values: task.values, sequence: task.sequence)
            actions.append(.writeResult(path: path, offset: chunk.offset, bytes: chunk.bytes))
        } else if !plan.output.isJSON {
            var writes: [OutputWrite] = []
            arranger.chunk(chunk, tag: tag(task.sequence, task.values), into: &writes)
            write(writes, into: &actions)
        }
    }

    private mutating func take(_ outcome: MapOutcome, at now: Instant, into actions: inout [MapAction]) {
        // An outcome that is told twice, or of a task that was never ours, changes nothing.
        guard var task = pending[outcome.index], task.logLine == nil else { return }
        count(outcome, task, into: &actions)
        if plan.joblog != nil, outcome.kind != .cancelled {
            task.logLine = JoblogLine.format(
                sequence: task.sequence, outcome: outcome,
                command: commandLine(task.sequence, task.values, slot: outcome.slot))
        } else {
            task.logLine = []
        }
        if let layout = plan.output.results, outcome.kind != .cancelled {
            writeResults(outcome, task, layout, into: &actions)
        }
        pending[outcome.index] = task
        print(outcome, task, into: &actions)
        if outcome.kind == .held || (outcome.kind == .failed && outcome.exitStatus <= 0) {
            note("task \(task.sequence): \(outcome.reason)", into: &actions)
        } else if outcome.kind == .failed, failuresNamed.count < MapLimits.failuresNamed {
            failuresNamed.append("task \(task.sequence): \(outcome.reason)")
        }
    }

    private mutating func count(_ outcome: MapOutcome, _ task: Pending, into actions: inout [MapAction]) {
        progress.done += 1
        outstanding -= 1
        outstandingBytes -= min(outstandingBytes, task.values.reduce(64) { $0 + $1.count })
        switch outcome.kind {
        case .succeeded: break
        case .failed, .held: progress.failed += 1
        case .cancelled:
            // Cancelled by us or by --halt: not run. By somebody else: failed.
            if case .stopping = phase { progress.done -= 1 } else { progress.failed += 1 }
        }
        if isPaused, outstanding <= MapLimits.outstandingTasks * 3 / 4,
            outstandingBytes <= MapLimits.outstandingBytes * 3 / 4
        {
            isPaused = false
            actions.append(.resumeInputs)
        }
        let total = progress.totalIsKnown ? progress.known : nil
        if halt?.count(outcome, total: total) == true { halted(task.sequence, into: &actions) }
    }

    private mutating func halted(_ sequence: Int?, into actions: inout [MapAction]) {
        guard let halt, let trigger = halt.trigger else { return }
        let end = trigger.kind == .succeeded ? "succeeded" : "failed: \(trigger.reason)"
        note("stopping, as --halt says: \(sequence.map { "task \($0)" } ?? "a task") \(end)", into: &actions)
        stop(into: &actions)
        if halt.urgency == .now { actions.append(.cancelJob) }
    }

    private mutating func print(_ outcome: MapOutcome, _ task: Pending, into actions: inout [MapAction]) {
        var stdout = outcome.stdout
        var stderr = outcome.stderr
        if plan.output.isJSON {
            let line = json(outcome, task)
            stdout = CapturedOutput(head: line)
            stderr = CapturedOutput()
        } else if plan.output.results != nil {
            stdout = CapturedOutput()
            stderr = CapturedOutput()
        }
        var writes: [OutputWrite] = []
        let printed = arranger.ended(
            index: outcome.index, sequence: task.sequence, attempt: outcome.attempt,
            tag: plan.output.isJSON ? [] : tag(task.sequence, task.values), stdout: stdout, stderr: stderr,
            into: &writes)
        write(writes, into: &actions)
        // With --keep-order the log follows the output: what it names as done has been printed.
        for index in printed {
            if let line = pending.removeValue(forKey: index)?.logLine, !line.isEmpty {
                actions.append(.appendJoblog(line))
            }
        }
    }

    private func json(_ outcome: MapOutcome, _ task: Pending) -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.key("task")
        json.number(task.sequence)
        json.key("inputs")
        json.beginArray()
        for value in task.values { json.string(value) }
        json.endArray()
        json.key("command")
        json.string(commandLine(task.sequence, task.values, slot: outcome.slot))
        json.key("outcome")
        json.string("\(outcome.kind)")
        json.key("reason")
        json.string(outcome.reason)
        json.key("node")
        json.string(outcome.host)
        json.key("attempt")
        json.number(outcome.attempt)
        json.key("start")
        json.number(outcome.startSeconds)
        json.key("seconds")
        json.number(outcome.runSeconds)
        json.key("exit_status")
        json.number(Int(outcome.exitStatus))
        json.key("signal")
        json.number(Int(outcome.signal))
        json.key("stdout")
        json.string(outcome.stdout.head + outcome.stdout.tail)
        json.key("stderr")
        json.string(outcome.stderr.head + outcome.stderr.tail)
        json.key("omitted_bytes")
        json.number(outcome.stdout.omitted + outcome.stderr.omitted)
        json.endObject()
        json.newline()
        return json.bytes
    }

    // MARK: Stopping

    private mutating func interrupted(at now: Instant, into actions: inout [MapAction]) {
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

    /// Reads nothing more.
    private mutating func stop(into actions: inout [MapAction]) {
        if case .reading = phase {
            actions.append(.stopInputs)
            if nextIndex > 0 { actions.append(.closeJob) }
        }
        phase = .stopping
    }

    private mutating func finishIfDone(at now: Instant, into actions: inout [MapAction]) {
        switch phase {
        case .reading, .finished: return
        case .waiting, .stopping: break
        }
        guard outstanding == 0 else { return }
        progress.running = 0
        summarize(at: now, into: &actions)
        finish(status, into: &actions)
    }

    private var status: ExitStatus {
        if interrupts > 0 { return .interrupted }
        if let overridingStatus { return overridingStatus }
        if let halt { return halt.status(total: progress.known) }
        return .failures(progress.failed)
    }

    private mutating func finish(_ status: ExitStatus, into actions: inout [MapAction]) {
        clearProgress(into: &actions)
        phase = .finished
        actions.append(.finish(status))
    }

    // MARK: Showing

    private mutating func summarize(at now: Instant, into actions: inout [MapAction]) {
        let isWanted =
            switch plan.progress {
            case .quiet: interrupts > 0
            case .bar: nextIndex > 0 || interrupts > 0
            case .plain(let after):
                progress.failed > 0 || interrupts > 0 || (nextIndex > 0 && now - progress.start >= after)
            }
        guard isWanted, !plan.isDryRun else { return }
        for failure in failuresNamed { note(failure, into: &actions) }
        if failuresNamed.count == MapLimits.failuresNamed, progress.failed > failuresNamed.count {
            note("… and others; --joblog FILE lists all", into: &actions)
        }
        failuresNamed = []
        let summary = renderer.summary(progress, at: now)
        write([OutputWrite(.stderr, [UInt8](summary + "\n"))], startsLine: true, into: &actions)
    }

    private mutating func note(_ text: String, into actions: inout [MapAction]) {
        write([OutputWrite(.stderr, [UInt8]("roost: " + text + "\n"))], startsLine: true, into: &actions)
    }

    private mutating func write(_ writes: [OutputWrite], startsLine: Bool = false, into actions: inout [MapAction]) {
        guard !writes.isEmpty else { return }
        clearProgress(into: &actions)
        if startsLine && isMidLine && plan.output.isTerminal {
            actions.append(.write(OutputWrite(.stderr, [UInt8(ascii: "\n")])))
        }
        for write in writes { actions.append(.write(write)) }
        isMidLine = writes.last?.bytes.last != UInt8(ascii: "\n")
    }

    private mutating func clearProgress(into actions: inout [MapAction]) {
        let bytes = renderer.clear()
        if !bytes.isEmpty { actions.append(.write(OutputWrite(.stderr, bytes))) }
    }

    private mutating func draw(at now: Instant, into actions: inout [MapAction]) {
        if case .finished = phase { return }
        if isMidLine && plan.output.isTerminal { return }
        let bytes = renderer.update(progress, at: now, width: width)
        if !bytes.isEmpty { actions.append(.write(OutputWrite(.stderr, bytes))) }
    }

    private func tag(_ sequence: Int, _ values: [[UInt8]]) -> [UInt8] {
        guard let template = plan.output.tag else { return [] }
        return template.raw(values: values, sequence: sequence)
    }

    /// The task's command for people, the slot's number in it where it is known.
    func commandLine(_ sequence: Int, _ values: [[UInt8]], slot: Int?) -> [UInt8] {
        let line = plan.template.line(values: values, sequence: sequence)
        guard line.contains(CommandTemplate.slotMarker[0]) else { return line }
        let shown = [UInt8](slot.map { "\($0)" } ?? "{%}")
        var result: [UInt8] = []
        var rest = line[...]
        while let range = rest.firstRange(of: CommandTemplate.slotMarker) {
            result += rest[..<range.lowerBound] + shown
            rest = rest[range.upperBound...]
        }
        return result + rest
    }
}
