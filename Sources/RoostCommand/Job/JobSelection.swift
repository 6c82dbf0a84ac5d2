import ArgumentParser
import Roost
import RoostModel

/// JOB as people write it: `5`, `2-9`, `5,7`, `last`, `all`, or a job's id: 16 hexadecimal digits.
struct JobSelection: ExpressibleByArgument {
    var selector: JobSelector

    static var helpOfOne: ArgumentHelp {
        ArgumentHelp("A job's number, its id (16 hexadecimal digits), or 'last'.", valueName: "job")
    }

    static var help: ArgumentHelp {
        ArgumentHelp("Numbers (5, 2-9, 5,7), an id (16 hexadecimal digits), last or all.", valueName: "job")
    }

    init?(argument: String) {
        switch argument {
        case "last": selector = .last
        case "all": selector = .all
        default:
            if argument.utf8.count == 16, argument.utf8.allSatisfy({ $0 != UInt8(ascii: "-") }), let id = UInt64(argument, radix: 16) {
                selector = .id(JobID(rawValue: id))
                return
            }
            guard let ranges = NumberRanges.parse(argument) else { return nil }
            selector = .numbers(ranges)
        }
    }
}

/// TASKS as people write them: `3`, `0-9`, `1,4`.
struct TaskSelection: ExpressibleByArgument {
    var ranges: [TaskRange]

    init?(argument: String) {
        guard let ranges = NumberRanges.parse(argument) else { return nil }
        self.ranges = ranges.compactMap { range in
            guard range.upperBound < Limits.tasksPerJob else { return nil }
            return TaskRange(first: range.lowerBound, count: range.upperBound - range.lowerBound + 1)
        }
        guard self.ranges.count == ranges.count else { return nil }
    }
}

/// `2-9,12`.
enum NumberRanges {
    static func parse(_ text: String) -> [ClosedRange<UInt32>]? {
        var ranges: [ClosedRange<UInt32>] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { UInt32($0) }
            guard let first = ends[0], let last = ends[ends.count - 1], first <= last else { return nil }
            ranges.append(first...last)
        }
        return ranges
    }
}

extension Pool {
    /// The jobs that are meant; at least one.
    func jobs(_ selection: JobSelection) async throws(RoostError) -> [JobSnapshot] {
        guard case .jobs(let jobs) = try await ask(.job(selection.selector)) else { throw Self.unexpected }
        return jobs
    }

    /// The one job that is meant.
    func job(_ selection: JobSelection) async throws(RoostError) -> JobSnapshot {
        let jobs = try await jobs(selection)
        guard jobs.count == 1 else {
            throw RoostError(.usage, "\(jobs.count) jobs are meant, this command takes one", remedy: "Give one job's number, or 'last'.")
        }
        return jobs[0]
    }
}
