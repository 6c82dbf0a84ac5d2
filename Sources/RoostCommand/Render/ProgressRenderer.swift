package import RoostModel

/// What there is to say about a running map.
package struct ProgressState: Hashable, Sendable {
    /// Tasks read so far.
    package var known = 0
    /// Whether all inputs have been read, so that `known` is the total.
    package var totalIsKnown = false
    /// Tasks with an outcome, of whatever kind.
    package var done = 0
    package var failed = 0
    package var running = 0
    /// Attempts that were made again.
    package var retried = 0
    /// Attempts lost with the nodes they ran on.
    package var lost = 0
    package var start: Instant

    package init(start: Instant) { self.start = start }
}

/// Turns a ``ProgressState`` into lines for people. Pure: when and how wide it is are told to it.
///
///     [=======>              ]  35% 3512/10000 · 118/s · ETA 55s · 8 running · 2 failed
///
/// On a terminal the line is drawn in place and removed before anything else is written. The rate is smoothed
/// over about ten seconds, so that the estimate neither jumps nor clings to the start.
package struct ProgressRenderer: Sendable {
    private let mode: ProgressMode
    private var isDrawn = false
    private var lastDrawn: Instant?
    /// The last plain line: when, and which tenth of the work it announced.
    private var lastPlain: Instant?
    private var lastTenth = 0
    private var rate = SmoothedRate()

    package init(mode: ProgressMode) { self.mode = mode }

    /// What to write now; empty when there is nothing new to say.
    package mutating func update(_ state: ProgressState, at now: Instant, width: Int) -> [UInt8] {
        rate.update(done: state.done, start: state.start, now: now)
        switch mode {
        case .quiet:
            return []
        case .bar:
            if let lastDrawn, now - lastDrawn < MapLimits.redrawInterval { return [] }
            lastDrawn = now
            isDrawn = true
            return [UInt8]("\r" + line(state, at: now, width: max(1, width - 1)) + "\u{1b}[K")
        case .plain(let after):
            return plain(state, at: now, after: after)
        }
    }

    /// Removes the drawn line, so that other output can be written; it comes back with the next update.
    package mutating func clear() -> [UInt8] {
        guard isDrawn else { return [] }
        isDrawn = false
        return [UInt8]("\r\u{1b}[K")
    }

    private mutating func plain(_ state: ProgressState, at now: Instant, after: Duration) -> [UInt8] {
        guard now - state.start >= after else { return [] }
        let tenth = state.totalIsKnown && state.known > 0 ? state.done * 10 / state.known : 0
        let isDue = now - (lastPlain ?? state.start) >= MapLimits.plainInterval
        // The end has a line of its own.
        guard (tenth > lastTenth && tenth < 10) || isDue else { return [] }
        lastTenth = tenth
        lastPlain = now
        return [UInt8]("roost: " + words(state, at: now).joined(separator: ", ") + "\n")
    }

    // MARK: Lines

    /// The line for a terminal, at most `width` characters: what matters least is left out first, and the bar
    /// takes the room that is left.
    package func line(_ state: ProgressState, at now: Instant, width: Int) -> String {
        var words = words(state, at: now)
        func text() -> String { words.joined(separator: " · ") }
        while words.count > 1 && text().count > width { words.removeLast() }
        let room = width - text().count - 3
        guard state.totalIsKnown, state.known > 0, room >= 10 else { return String(text().prefix(width)) }
        return Self.bar(state.done, of: state.known, width: min(room, 30)) + " " + text()
    }

    private static func bar(_ done: Int, of total: Int, width: Int) -> String {
        let inside = width
        let full = min(inside, inside * done / total)
        let head = full < inside ? ">" : ""
        return "[" + String(repeating: "=", count: full) + head
            + String(repeating: " ", count: max(0, inside - full - head.count)) + "]"
    }

    private func words(_ state: ProgressState, at now: Instant) -> [String] {
        var words: [String] = []
        if state.totalIsKnown {
            let percent = state.known == 0 ? 100 : state.done * 100 / state.known
            words.append("\(percent)% \(state.done)/\(state.known)")
        } else {
            words.append("\(state.done) done of \(state.known) so far")
        }
        if state.failed > 0 { words.append("\(state.failed) failed") }
        if let perSecond = rate.perSecond {
            words.append(Self.show(rate: perSecond))
            if state.totalIsKnown, state.done < state.known, perSecond > 0 {
                let left = Double(state.known - state.done) / perSecond
                words.append("ETA " + DurationText.show(.milliseconds(Int64(min(left, 1e9) * 1000))))
            }
        }
        if state.running > 0 { words.append("\(state.running) running") }
        if state.retried > 0 { words.append("\(state.retried) retried") }
        if state.lost > 0 { words.append("\(state.lost) lost with a node") }
        return words
    }

    /// The last line: what became of it all.
    package func summary(_ state: ProgressState, at now: Instant) -> String {
        let succeeded = state.done - state.failed
        var words = ["\(succeeded) of \(state.known) tasks succeeded"]
        if state.failed > 0 { words.append("\(state.failed) failed") }
        if state.done < state.known { words.append("\(state.known - state.done) not run") }
        if state.retried > 0 { words.append("\(state.retried) retried") }
        if state.lost > 0 { words.append("\(state.lost) lost with a node") }
        let elapsed = now - state.start
        words.append(DurationText.show(elapsed))
        let seconds = elapsed.inSeconds
        if seconds >= 1, state.done > 0 { words.append(Self.show(rate: Double(state.done) / seconds)) }
        return "roost: " + words.joined(separator: ", ")
    }

    private static func show(rate: Double) -> String {
        if rate >= 10 { return "\(Int(rate.rounded()))/s" }
        if rate >= 0.1 {
            let tenths = Int((rate * 10).rounded())
            return "\(tenths / 10).\(tenths % 10)/s"
        }
        let perHour = rate * 3600
        return "\(Int(perHour.rounded()))/h"
    }
}
