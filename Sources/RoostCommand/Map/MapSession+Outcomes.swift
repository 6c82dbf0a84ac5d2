import RoostModel

/// What a session does with the tasks' output and their ends.
extension MapSession {
    mutating func take(_ chunk: MapChunk, into actions: inout [MapAction]) {
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

    mutating func take(_ outcome: MapOutcome, at now: Instant, into actions: inout [MapAction]) {
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

    mutating func count(_ outcome: MapOutcome, _ task: Pending, into actions: inout [MapAction]) {
        progress.done += 1
        outstanding -= 1
        outstandingBytes -= task.cost
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

    mutating func halted(_ sequence: Int?, into actions: inout [MapAction]) {
        guard let halt, let trigger = halt.trigger else { return }
        let end = trigger.kind == .succeeded ? "succeeded" : "failed: \(trigger.reason)"
        note("stopping, as --halt says: \(sequence.map { "task \($0)" } ?? "a task") \(end)", into: &actions)
        stop(into: &actions)
        if halt.urgency == .now { actions.append(.cancelJob) }
    }

    mutating func print(_ outcome: MapOutcome, _ task: Pending, into actions: inout [MapAction]) {
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
}
