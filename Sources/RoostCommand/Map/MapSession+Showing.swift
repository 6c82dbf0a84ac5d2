import RoostModel

/// What a session writes: tasks' output, notes, progress, the summary.
extension MapSession {
    mutating func summarize(at now: Instant, into actions: inout [MapAction]) {
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

    mutating func note(_ text: String, into actions: inout [MapAction]) {
        write([OutputWrite(.stderr, [UInt8]("roost: " + text + "\n"))], startsLine: true, into: &actions)
    }

    mutating func write(_ writes: [OutputWrite], startsLine: Bool = false, into actions: inout [MapAction]) {
        // What is only kept is not seen.
        guard writes.contains(where: { $0.leavesMidLine != nil }) else {
            for write in writes { actions.append(.write(write)) }
            return
        }
        clearProgress(into: &actions)
        if startsLine && isMidLine && plan.output.isTerminal {
            actions.append(.write(OutputWrite(.stderr, [UInt8(ascii: "\n")])))
        }
        for write in writes { actions.append(.write(write)) }
        isMidLine = writes.lazy.compactMap(\.leavesMidLine).last ?? isMidLine
    }

    mutating func clearProgress(into actions: inout [MapAction]) {
        let bytes = renderer.clear()
        if !bytes.isEmpty { actions.append(.write(OutputWrite(.stderr, bytes))) }
    }

    mutating func draw(at now: Instant, into actions: inout [MapAction]) {
        if case .finished = phase { return }
        if isMidLine && plan.output.isTerminal { return }
        let bytes = renderer.update(progress, at: now, width: width)
        if !bytes.isEmpty { actions.append(.write(OutputWrite(.stderr, bytes))) }
    }

    func tag(_ sequence: Int, _ values: [[UInt8]]) -> [UInt8] {
        guard let template = plan.output.tag else { return [] }
        return template.raw(values: values, sequence: sequence)
    }

    /// The task's command for people, the slot's number in it where it is known.
    func commandLine(_ sequence: Int, _ values: [[UInt8]], slot: Int?) -> [UInt8] {
        let line = plan.template.line(values: values, sequence: sequence)
        guard line.contains(CommandArgument.slotMarker[0]) else { return line }
        let shown = [UInt8](slot.map { "\($0)" } ?? "{%}")
        var result: [UInt8] = []
        var rest = line[...]
        while let range = rest.firstRange(of: CommandArgument.slotMarker) {
            result += rest[..<range.lowerBound] + shown
            rest = rest[range.upperBound...]
        }
        return result + rest
    }
}
