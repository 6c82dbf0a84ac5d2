import Foundation

/// What clients were told and what workers did, and whether that is what was promised.
struct ChaosHistory {
    /// A durable job whose submission returned.
    struct DurableJob {
        var number: String
        var tag: String
        var tasks: Int
        /// A hash of its results as they were first read; nil before.
        var results: Int?
    }

    var acknowledged: [DurableJob] = []
    /// Durable jobs that were read, found right, and forgotten.
    var forgotten = 0
    /// Durable jobs of clients that were killed before they could say the number; ended, and forgotten.
    var orphans = 0
    var submissionsFailed = 0
    /// Maps, and `lbapply` of R, that did not find the pool, and why: none of their tasks ran, or it is no excuse.
    var mapsFailed: [(tag: String, status: Int32, errors: String)] = []
    /// So many, and their tasks.
    struct Count {
        var jobs = 0
        var tasks = 0

        mutating func add(_ more: Int) {
            jobs += 1
            tasks += more
        }
    }

    /// Durable jobs that were acknowledged; maps, and `lbapply` of R, that ended well.
    var durable = Count()
    var maps = Count()
    var sessions = Count()
    /// Outcomes that were read and compared with what ran.
    private(set) var outcomes = 0
    /// Commands that failed while things went wrong and were tried again.
    var triedAgain = 0
    /// Why commands failed, and how often.
    var reasons: [String: Int] = [:]
    /// The first thousand are said at once: a long run need not end to be of use.
    var broken: [String] = [] {
        didSet { if broken.count > oldValue.count && broken.count < 1000 { print("chaos: broken: \(broken[broken.count - 1])") } }
    }
    var executions: ChaosExecutions

    let log: String

    init(log: String) {
        self.log = log
        executions = ChaosExecutions(file: log)
    }

    mutating func noteFailure(_ process: RoostProcess) {
        let words = process.arguments.prefix(2).joined(separator: " ")
        let line = process.errors.split(separator: "\n").first { $0.hasPrefix("roost: ") } ?? "it said nothing"
        // Ports and numbers are nobody's concern.
        let reason = line.split(separator: " ").map { $0.contains(where: \.isNumber) ? "#" : $0 }.joined(separator: " ")
        reasons["\(words): \(reason)", default: 0] += 1
    }

    /// One line for each task, `TAG INPUT ID`: each input once, in order if that is promised, and of an attempt that ran to its end.
    mutating func check(_ output: String, tag: String, tasks: Int, inOrder: Bool) {
        executions.read()
        var seen = [Int](repeating: 0, count: tasks + 1)
        var last = 0
        for line in output.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 3, words[0] == tag, let input = Int(words[1]), (1...tasks).contains(input) else {
                broken.append("\(tag): a result that nobody wrote: \(line)")
                continue
            }
            seen[input] += 1
            if inOrder && input < last { broken.append("\(tag): \(input) came behind \(last)") }
            last = input
            outcomes += 1
            if !executions.ranToItsEnd(line) { broken.append("the result '\(line)' is of no attempt that ran to its end") }
        }
        for input in 1...tasks where seen[input] != 1 {
            broken.append("\(tag): task \(input) has \(seen[input]) outcomes")
        }
    }

    /// What only the end shows: no attempt ran twice, and maps that failed never began.
    mutating func close() {
        executions.read()
        for (tag, status, errors) in mapsFailed where status != 69 || executions.tags.contains(tag) {
            broken.append("the map \(tag) failed with status \(status): \(errors)")
        }
        for attempt in executions.overlaps { broken.append("the strict attempt '\(attempt)' ended after another had begun") }
        for attempt in executions.attemptsStartedTwice { broken.append("the attempt '\(attempt)' was started again") }
    }
}
