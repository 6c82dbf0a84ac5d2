import ArgumentParser
import Roost
import RoostModel
import Synchronization

/// `roost job logs`.
struct JobLogs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Look at what tasks printed and how they ended.",
        discussion: """
            Each task has a headline, its output and its errors, and, when it did not succeed, its post-mortem. \
            With -f, output comes while tasks run: of one task as it is, of a whole job in lines that begin with \
            the task's index.

            EXAMPLES
              roost job logs 5
              roost job logs 5 17
              roost job logs -f last
            """)

    @Argument(help: JobSelection.helpOfOne)
    var job: JobSelection

    @Argument(help: ArgumentHelp("A task's index, from 0.", valueName: "task"))
    var task: UInt32?

    @Flag(name: [.customShort("f"), .customLong("follow")], help: "Go on with what running tasks print, until they end.")
    var follow = false

    @OptionGroup var pool: PoolOptions

    func run() async throws {
        let (job, task, follow) = (job, task, follow)
        try await pool.withPool { (pool) throws(RoostError) in
            let found = try await pool.job(job)
            let reader = JobReader(pool: pool, job: found)
            if let task, let outcome = try await reader.outcome(of: task) { return Self.print(outcome, found.number) }
            if follow && !found.progress.isEnded { return try await Self.follow(found, task, pool) }
            if let task {
                return Terminal.note("roost: task \(task) of job \(found.number) has not ended; -f shows what it prints")
            }
            try await reader.read(follows: false) { Self.print($0, found.number) }
        }
    }

    private static func print(_ outcome: TaskOutcome, _ number: UInt32) {
        Terminal.print("== \(outcome.headline(number: number))\n")
        if let result = outcome.command {
            Terminal.print(result.stdout.shown)
            Terminal.printError(result.stderr.shown)
        }
        if let postMortem = outcome.postMortem { Terminal.print(PostMortemText.lines(postMortem, indent: "   ")) }
    }

    private static func follow(_ job: JobSnapshot, _ task: UInt32?, _ pool: Pool) async throws(RoostError) {
        let follower = LogFollower(task: task)
        let handle = pool.attach(job.id)
        // Whoever prints too slowly slows the connection, and with it the tasks that print too fast.
        handle.onOutput { follower.show($0) }
        pool.tell(.watch(job.id, task: task, on: true))
        var outcomes = handle.results.makeAsyncIterator()
        while let outcome = try await outcomes.next() {
            guard task == nil || outcome.task == Int(task ?? 0) else { continue }
            follower.end(outcome, number: job.number)
            if task != nil { return }
        }
    }
}

/// Puts together what comes while tasks run and what their outcomes say, each byte once.
final class LogFollower: Sendable {
    /// nil: of many tasks, each line with its task's index.
    private let task: UInt32?
    private let streams = Mutex<[UInt32: Shown]>([:])

    /// How far a task's streams have been shown.
    private struct Shown {
        var attempt: UInt32
        var offsets: [UInt64] = [0, 0]
        var partialLines: [[UInt8]] = [[], []]
    }

    init(task: UInt32?) { self.task = task }

    func show(_ chunk: OutputChunk) {
        guard task == nil || chunk.task == task else { return }
        streams.withLock { streams in
            var shown = Self.current(streams[chunk.task], attempt: chunk.attempt)
            write(chunk.bytes, at: chunk.offset, chunk.stream, of: chunk.task, &shown)
            streams[chunk.task] = shown
        }
    }

    /// The rest of what a task printed, as its outcome has it, and how it ended.
    func end(_ outcome: TaskOutcome, number: UInt32) {
        let index = UInt32(outcome.task)
        streams.withLock { streams in
            var shown = Self.current(streams.removeValue(forKey: index), attempt: UInt32(outcome.attempt))
            if let result = outcome.command {
                for (stream, kept) in [(OutputChunk.Stream.stdout, result.stdout), (.stderr, result.stderr)] {
                    write(kept.head, at: 0, stream, of: index, &shown)
                    write(kept.tail, at: kept.totalBytes - UInt64(kept.tail.count), stream, of: index, &shown)
                    endLine(stream, of: index, &shown)
                }
            }
        }
        guard task == nil || !outcome.isSuccess else { return }
        Terminal.note("roost: \(outcome.headline(number: number))")
        if let postMortem = outcome.postMortem, outcome.command == nil {
            Terminal.note(PostMortemText.lines(postMortem, indent: "   "))
        }
    }

    private static func current(_ known: Shown?, attempt: UInt32) -> Shown {
        if let known, known.attempt == attempt { return known }
        return Shown(attempt: attempt)
    }

    /// Shows the part of `bytes`, which stand at `offset` of their stream, that is new.
    private func write(
        _ bytes: [UInt8], at offset: UInt64, _ stream: OutputChunk.Stream, of index: UInt32, _ shown: inout Shown
    ) {
        let which = stream == .stdout ? 0 : 1
        let end = offset + UInt64(bytes.count)
        guard end > shown.offsets[which] else { return }
        let skip = shown.offsets[which] > offset ? Int(shown.offsets[which] - offset) : 0
        let missing = offset > shown.offsets[which] ? offset - shown.offsets[which] : 0
        shown.offsets[which] = end
        var new = Array(bytes[skip...])
        if missing > 0 { new = Array("\n[… \(missing) bytes not kept …]\n".utf8) + new }
        if task != nil { return Self.put(new, stream) }
        var lines: [UInt8] = []
        shown.partialLines[which] += new
        while let newline = shown.partialLines[which].firstIndex(of: UInt8(ascii: "\n")) {
            lines += Array("[\(index)] ".utf8) + shown.partialLines[which][...newline]
            shown.partialLines[which].removeSubrange(...newline)
        }
        if !lines.isEmpty { Self.put(lines, stream) }
    }

    private func endLine(_ stream: OutputChunk.Stream, of index: UInt32, _ shown: inout Shown) {
        let which = stream == .stdout ? 0 : 1
        guard !shown.partialLines[which].isEmpty else { return }
        Self.put(Array("[\(index)] ".utf8) + shown.partialLines[which] + [UInt8(ascii: "\n")], stream)
        shown.partialLines[which] = []
    }

    private static func put(_ bytes: [UInt8], _ stream: OutputChunk.Stream) {
        switch stream {
        case .stdout: Terminal.print(bytes)
        case .stderr: Terminal.printError(bytes)
        }
    }
}
