package import RoostModel

/// Decides what of the tasks' output is printed when.
///
///     grouped            a task's output at its end, stdout before stderr
///     lines              whole lines as they come (--line-buffer)
///     raw                everything as it comes (--ungroup)
///     … and in order     a task's output only when all tasks before it have been printed (--keep-order)
///
/// Live pieces are printed when they come and it is their task's turn, and *kept* before that: in a file, as they will
/// be printed, once they are many. At the end the rest is printed from what was captured, from the first byte that was
/// neither printed nor kept. So a piece that comes twice, or was lost on the way, costs nothing.
package struct OutputArranger: Sendable {
    package enum Mode: Hashable, Sendable { case grouped, lines, raw }

    private struct Stream: Sendable {
        /// Bytes of this attempt's stream that were printed or are in `partialLine`.
        var position = 0
        /// The beginning of a line whose end has not come.
        var partialLine: [UInt8] = []
        var isAtLineStart = true
        /// The last byte that was kept; nil when none is.
        var lastKept: UInt8?
    }

    private struct Live: Sendable {
        var index: Int
        var tag: [UInt8] = []
        var attempt = 1
        var stdout = Stream()
        var stderr = Stream()
        /// Pieces that came before the task's turn.
        var held: [MapChunk] = []
        /// Whether its pieces are kept instead of printed.
        var isKept = false
        var end: (sequence: Int, stdout: CapturedOutput, stderr: CapturedOutput)?

        var place: OutputWrite.Place { isKept ? .kept(task: index) : .output }
    }

    private let mode: Mode
    private let isOrdered: Bool
    private var live: [Int: Live] = [:]
    /// In order: whose turn it is.
    private var turn = 0
    /// Bytes in `held` of all tasks together.
    package private(set) var heldBytes = 0

    package init(mode: Mode, isOrdered: Bool) {
        self.mode = mode
        self.isOrdered = isOrdered
    }

    /// A piece of a running task's output. `tag` is empty when lines are not tagged.
    package mutating func chunk(_ chunk: MapChunk, tag: [UInt8], into writes: inout [OutputWrite]) {
        guard !isOrdered || chunk.index >= turn else { return }
        var task = live.removeValue(forKey: chunk.index) ?? newTask(chunk.index)
        task.tag = tag
        if isOrdered && chunk.index != turn && !task.isKept {
            hold(chunk, of: &task, into: &writes)
        } else {
            print(chunk, of: &task, into: &writes)
        }
        live[chunk.index] = task
    }

    /// A task has ended. Returns the indices of the tasks whose output is now printed to its end, in order.
    package mutating func ended(
        index: Int, sequence: Int, attempt: Int, tag: [UInt8], stdout: CapturedOutput, stderr: CapturedOutput,
        into writes: inout [OutputWrite]
    ) -> [Int] {
        var task = live.removeValue(forKey: index) ?? newTask(index)
        task.tag = tag
        if task.attempt != attempt { restart(&task, attempt: attempt, into: &writes) }
        task.end = (sequence, stdout, stderr)
        guard isOrdered else {
            finish(task, into: &writes)
            return [index]
        }
        live[index] = task
        return takeTurns(into: &writes)
    }

    private func newTask(_ index: Int) -> Live { Live(index: index, isKept: mode == .grouped) }

    private mutating func takeTurns(into writes: inout [OutputWrite]) -> [Int] {
        var printed: [Int] = []
        while var task = live.removeValue(forKey: turn) {
            if mode != .grouped {
                printKept(&task, into: &writes)
                task.isKept = false
            }
            printHeld(&task, into: &writes)
            guard task.end != nil else {
                live[turn] = task
                break
            }
            finish(task, into: &writes)
            printed.append(turn)
            turn += 1
        }
        return printed
    }

    private mutating func hold(_ chunk: MapChunk, of task: inout Live, into writes: inout [OutputWrite]) {
        heldBytes += chunk.bytes.count
        task.held.append(chunk)
        if heldBytes <= MapLimits.heldOutputBytes { return }
        task.isKept = true
        printHeld(&task, into: &writes)
    }

    private mutating func printHeld(_ task: inout Live, into writes: inout [OutputWrite]) {
        let held = task.held
        task.held = []
        for chunk in held {
            heldBytes -= chunk.bytes.count
            print(chunk, of: &task, into: &writes)
        }
    }

    private func printKept(_ task: inout Live, into writes: inout [OutputWrite]) {
        printKept(&task.stdout, .stdout, task.index, into: &writes)
        printKept(&task.stderr, .stderr, task.index, into: &writes)
    }

    private func printKept(
        _ stream: inout Stream, _ name: OutputChunk.Stream, _ index: Int, into writes: inout [OutputWrite]
    ) {
        guard let last = stream.lastKept else { return }
        stream.lastKept = nil
        writes.append(OutputWrite(name, [], .printKept(task: index, endsLine: last == UInt8(ascii: "\n"))))
    }

    /// A later attempt begins from nothing; what an earlier one printed stays, what was kept of it is not printed.
    private func restart(_ task: inout Live, attempt: Int, into writes: inout [OutputWrite]) {
        if task.isKept {
            for (stream, name) in [(task.stdout, OutputChunk.Stream.stdout), (task.stderr, .stderr)]
            where stream.lastKept != nil {
                writes.append(OutputWrite(name, [], .dropKept(task: task.index)))
            }
        } else {
            flush(&task.stdout, .stdout, task.tag, task.place, into: &writes)
            flush(&task.stderr, .stderr, task.tag, task.place, into: &writes)
        }
        task.attempt = attempt
        task.stdout = Stream()
        task.stderr = Stream()
    }

    private func print(_ chunk: MapChunk, of task: inout Live, into writes: inout [OutputWrite]) {
        if chunk.attempt < task.attempt { return }
        if chunk.attempt > task.attempt { restart(&task, attempt: chunk.attempt, into: &writes) }
        let (tag, place) = (task.tag, task.place)
        switch chunk.stream {
        case .stdout: print(chunk.bytes, at: chunk.offset, of: &task.stdout, .stdout, tag, place, into: &writes)
        case .stderr: print(chunk.bytes, at: chunk.offset, of: &task.stderr, .stderr, tag, place, into: &writes)
        }
    }

    private func print(
        _ bytes: [UInt8], at offset: Int, of stream: inout Stream, _ name: OutputChunk.Stream, _ tag: [UInt8],
        _ place: OutputWrite.Place, into writes: inout [OutputWrite]
    ) {
        // What was printed from a hole on would come too early: it is left to the end.
        guard offset <= stream.position, offset + bytes.count > stream.position else { return }
        let fresh = bytes[(stream.position - offset)...]
        stream.position += fresh.count
        if mode != .lines {
            write(fresh, of: &stream, name, mode == .raw ? [] : tag, place, into: &writes)
        } else if let lineEnd = fresh.lastIndex(of: UInt8(ascii: "\n")) {
            let begun = stream.partialLine
            stream.partialLine = []
            write(begun[...], of: &stream, name, tag, place, into: &writes)
            write(fresh[...lineEnd], of: &stream, name, tag, place, into: &writes)
            stream.partialLine = Array(fresh[(lineEnd + 1)...])
        } else {
            stream.partialLine.append(contentsOf: fresh)
        }
        if stream.partialLine.count > MapLimits.lineBytes { flush(&stream, name, tag, place, into: &writes) }
    }

    private func flush(
        _ stream: inout Stream, _ name: OutputChunk.Stream, _ tag: [UInt8], _ place: OutputWrite.Place,
        into writes: inout [OutputWrite]
    ) {
        let rest = stream.partialLine
        stream.partialLine = []
        write(rest[...], of: &stream, name, tag, place, into: &writes)
    }

    /// Prints what was captured and not yet printed.
    private func finish(_ task: Live, into writes: inout [OutputWrite]) {
        guard let end = task.end else { return }
        var task = task
        printKept(&task.stdout, .stdout, task.index, into: &writes)
        finish(&task.stdout, .stdout, end.stdout, end.sequence, task.tag, into: &writes)
        printKept(&task.stderr, .stderr, task.index, into: &writes)
        finish(&task.stderr, .stderr, end.stderr, end.sequence, task.tag, into: &writes)
    }

    private func finish(
        _ stream: inout Stream, _ name: OutputChunk.Stream, _ captured: CapturedOutput, _ sequence: Int, _ tag: [UInt8],
        into writes: inout [OutputWrite]
    ) {
        flush(&stream, name, tag, .output, into: &writes)
        let tag = mode == .raw ? [] : tag
        if stream.position < captured.head.count {
            write(captured.head[stream.position...], of: &stream, name, tag, .output, into: &writes)
            stream.position = captured.head.count
        }
        let tailStart = captured.count - captured.tail.count
        if tailStart > stream.position {
            let gap = tailStart - stream.position
            stream.position = tailStart
            writes.add(
                .stderr,
                [UInt8](
                    "roost: task \(sequence): \(gap) bytes of its \(name) are left out here; "
                        + "--results DIR keeps everything\n")[...])
        }
        if captured.count > stream.position {
            write(captured.tail[(stream.position - tailStart)...], of: &stream, name, tag, .output, into: &writes)
        }
    }

    /// Writes `bytes`, the tag before each line that has something in it. A carriage return begins a line too, as
    /// in GNU parallel.
    private func write(
        _ bytes: ArraySlice<UInt8>, of stream: inout Stream, _ name: OutputChunk.Stream, _ tag: [UInt8],
        _ place: OutputWrite.Place, into writes: inout [OutputWrite]
    ) {
        guard let last = bytes.last else { return }
        if place != .output { stream.lastKept = last }
        if tag.isEmpty { return writes.add(name, bytes, place) }
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count + 4 * tag.count)
        for byte in bytes {
            if stream.isAtLineStart { text.append(contentsOf: tag) }
            text.append(byte)
            stream.isAtLineStart = byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r")
        }
        writes.add(name, text[...], place)
    }
}

extension [OutputWrite] {
    /// Appends bytes, to the last write if it goes to the same place.
    package mutating func add(
        _ stream: OutputChunk.Stream, _ bytes: ArraySlice<UInt8>, _ place: OutputWrite.Place = .output
    ) {
        if bytes.isEmpty { return }
        if last?.stream == stream && last?.place == place {
            self[count - 1].bytes.append(contentsOf: bytes)
        } else {
            append(OutputWrite(stream, [UInt8](bytes), place))
        }
    }
}
