import RoostModel

/// The lines of a job log, in GNU parallel's columns, so that tools made for its logs read ours:
///
///     Seq  Host  Starttime  JobRuntime  Send  Receive  Exitval  Signal  Command       (tabs between them)
package enum JoblogLine {
    package static let header = Array(
        "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n".utf8)

    /// One task's line. A newline in the command becomes a NUL byte, so that a task stays one line.
    package static func format(sequence: Int, outcome: MapOutcome, command: [UInt8]) -> [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(64 + command.count)
        let tab = UInt8(ascii: "\t")
        line.append(decimal: sequence)
        line.append(tab)
        line.append(contentsOf: outcome.host.utf8)
        line.append(tab)
        line.append(thousandths: outcome.startSeconds, width: 10)
        line.append(tab)
        line.append(thousandths: outcome.runSeconds, width: 10)
        // Nothing is sent to a task's standard input.
        line.append(contentsOf: [tab, UInt8(ascii: "0"), tab])
        line.append(decimal: outcome.stdout.count)
        line.append(tab)
        // A task that ended badly without a status of its own must not look like a success to --resume-failed.
        let hasStatus = outcome.kind == .succeeded || outcome.exitStatus != 0 || outcome.signal != 0
        line.append(decimal: hasStatus ? Int(outcome.exitStatus) : -1)
        line.append(tab)
        line.append(decimal: Int(outcome.signal))
        line.append(tab)
        for byte in command { line.append(byte == UInt8(ascii: "\n") ? 0 : byte) }
        line.append(UInt8(ascii: "\n"))
        return line
    }

    /// What a log says about one task.
    package struct Entry: Hashable, Sendable {
        package var sequence: Int
        package var succeeded: Bool
    }

    /// Reads a line of a log; nil for the header and for lines that are cut off.
    package static func parse(_ line: ArraySlice<UInt8>) -> Entry? {
        let fields = line.split(separator: UInt8(ascii: "\t"), maxSplits: 8, omittingEmptySubsequences: false)
        guard fields.count == 9, let sequence = number(fields[0]), sequence > 0, let exit = number(fields[6]),
            let signal = number(fields[7])
        else { return nil }
        return Entry(sequence: sequence, succeeded: exit == 0 && signal == 0)
    }

    private static func number(_ field: ArraySlice<UInt8>) -> Int? { Int(String(decoding: field, as: UTF8.self)) }
}

/// Which tasks of an earlier run need not run again.
package struct ResumeState: Hashable, Sendable {
    /// What `--resume` and `--resume-failed` skip.
    package enum Policy: Hashable, Sendable {
        /// Run everything.
        case nothing
        /// Skip every task that ended, well or badly.
        case ended
        /// Skip only what succeeded.
        case succeeded
    }

    private var finished: Set<Int> = []

    package init() {}

    /// Reads a log. The last line about a task decides, because a resumed run appends.
    package init(joblog: [UInt8], policy: Policy) {
        guard policy != .nothing else { return }
        for line in joblog.split(separator: UInt8(ascii: "\n")) {
            guard let entry = JoblogLine.parse(line) else { continue }
            if policy == .ended || entry.succeeded {
                finished.insert(entry.sequence)
            } else {
                finished.remove(entry.sequence)
            }
        }
    }

    package func skips(_ sequence: Int) -> Bool { finished.contains(sequence) }
    package var count: Int { finished.count }
}
