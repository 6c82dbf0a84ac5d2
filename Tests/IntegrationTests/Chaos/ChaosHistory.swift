import Foundation

/// What clients were told and what workers did, and whether that is what was promised.
struct ChaosHistory {
    /// A durable job whose submission returned.
    struct DurableJob {
        var number: String
        var tag: String
        var tasks: Int
        /// Its results as they were first read; nil before.
        var results: String?
    }

    var acknowledged: [DurableJob] = []
    /// Durable jobs that were read, found right, and forgotten.
    var forgotten = 0
    var submissionsFailed = 0
    /// Maps that did not find the pool, and why: none of their tasks ran, or it is no excuse.
    var mapsFailed: [(tag: String, status: Int32, errors: String)] = []
    /// Maps that ended well, their tasks, and how many outcomes they printed.
    var maps = 0
    var mapTasks = 0
    var durableTasks = 0
    /// Commands that failed while things went wrong and were tried again.
    var triedAgain = 0
    /// Why commands failed, and how often.
    var reasons: [String: Int] = [:]
    var broken: [String] = []

    mutating func noteFailure(_ process: RoostProcess) {
        let words = process.arguments.prefix(2).joined(separator: " ")
        let line = process.errors.split(separator: "\n").first { $0.hasPrefix("roost: ") } ?? "it said nothing"
        // Ports and numbers are nobody's concern.
        let reason = line.split(separator: " ").map { $0.contains(where: \.isNumber) ? "#" : $0 }.joined(separator: " ")
        reasons["\(words): \(reason)", default: 0] += 1
    }

    /// The log that tasks append to: `S TAG INPUT ID` at their start, `E TAG INPUT ID` at their end.
    struct Executions {
        var starts: [Substring: Int] = [:]
        var ends: Set<Substring> = []
        var startsOfTask: [String: Int] = [:]
        var lines = 0

        init(file: String) {
            let text = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
            for line in text.split(separator: "\n") {
                lines += 1
                let rest = line.dropFirst(2)
                if line.hasPrefix("S ") {
                    starts[rest, default: 0] += 1
                    let words = rest.split(separator: " ")
                    if words.count == 3 { startsOfTask["\(words[0]) \(words[1])", default: 0] += 1 }
                } else {
                    ends.insert(rest)
                }
            }
        }

        var tasksRunMoreThanOnce: [String] { startsOfTask.filter { $0.value > 1 }.map(\.key).sorted() }
    }

    /// One line for each task, `TAG INPUT ID`: each input once, in order if that is promised.
    mutating func check(_ output: String, tag: String, tasks: Int, inOrder: Bool) {
        let lines = output.split(separator: "\n")
        var seen: [Int: Int] = [:]
        var last = 0
        for line in lines {
            let words = line.split(separator: " ")
            guard words.count == 3, words[0] == tag, let input = Int(words[1]), (1...tasks).contains(input) else {
                broken.append("\(tag): a result that nobody wrote: \(line)")
                continue
            }
            seen[input, default: 0] += 1
            if inOrder && input < last { broken.append("\(tag): \(input) came behind \(last)") }
            last = input
        }
        for input in 1...tasks where seen[input] != 1 {
            broken.append("\(tag): task \(input) has \(seen[input] ?? 0) outcomes")
        }
        outputs.append(output)
    }

    /// All results that were read, to be compared with what ran.
    private var outputs: [String] = []

    /// Every result is of an attempt that ran to its end; no attempt ran twice.
    mutating func compare(with executions: Executions) {
        for output in outputs {
            for line in output.split(separator: "\n") where executions.starts[line] == nil || !executions.ends.contains(line) {
                broken.append("the result '\(line)' is of no attempt that ran to its end")
            }
        }
        let ran = Set(executions.startsOfTask.keys.compactMap { $0.split(separator: " ").first.map(String.init) })
        for (tag, status, errors) in mapsFailed where status != 69 || ran.contains(tag) {
            broken.append("the map \(tag) failed with status \(status): \(errors)")
        }
        for (attempt, count) in executions.starts where count > 1 {
            broken.append("the attempt '\(attempt)' was started \(count) times")
        }
    }
}
