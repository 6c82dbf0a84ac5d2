import Glibc
package import RoostModel
import Synchronization

/// Faults that a test asks a server's store for: at the n-th time that a point is reached, the process dies or the disk fails.
///
///     ROOST_STORE_FAULT=afterCommit:3:kill,beforePayloadSync:1:fail
///
/// Nobody meets them by accident: they are for data directories in which somebody has put a file named
/// ``permission``, which Roost itself never makes. For every other directory the plan is refused, and the server with it.
package final class StoreFaultPlan: Sendable {
    /// The file whose presence in a data directory says that its content may be risked.
    package static let permission = "this-data-may-be-lost"

    private struct Fault {
        var point: StorePoint
        /// The how many-th time, from 1.
        var occurrence: Int
        var kills: Bool
    }

    private let planned: [Fault]
    private let reached = Mutex<[StorePoint: Int]>([:])

    /// - Throws: `.usage` for text that is no plan, `.refused` for a data directory that does not permit it.
    package init(parsing text: String, directory: String) throws(RoostError) {
        guard access("\(directory)/\(Self.permission)", F_OK) == 0 else {
            throw RoostError(
                .refused, "ROOST_STORE_FAULT asks for faults, and \(directory) is no data directory for tests",
                remedy: "Unset the variable; it is for tests of Roost itself.")
        }
        var faults: [Fault] = []
        for part in text.split(separator: ",") {
            let words = part.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard words.count == 3, let point = StorePoint(rawValue: words[0]), let occurrence = Int(words[1]),
                occurrence > 0, words[2] == "kill" || words[2] == "fail"
            else {
                throw RoostError(
                    .usage, "ROOST_STORE_FAULT takes POINT:N:kill or POINT:N:fail, not '\(part)'",
                    remedy: "Points: \(StorePoint.allCases.map(\.rawValue).joined(separator: ", ")).")
            }
            faults.append(Fault(point: point, occurrence: occurrence, kills: words[2] == "kill"))
        }
        planned = faults
    }

    /// A store with these faults; small, so that its log is copied, and what is forgotten deleted, in many steps.
    package var options: StoreOptions {
        var options = StoreOptions()
        options.checkpointPages = 16
        options.forgetRows = 3
        options.faults = { [self] point in fault(at: point) }
        return options
    }

    private func fault(at point: StorePoint) -> RoostError? {
        let count = reached.withLock { reached in
            reached[point, default: 0] += 1
            return reached[point, default: 0]
        }
        guard let fault = planned.first(where: { $0.point == point && $0.occurrence == count }) else { return nil }
        if fault.kills { kill(getpid(), SIGKILL) }
        return RoostError(.io, "the disk failed at \(point.rawValue), as ROOST_STORE_FAULT asked")
    }
}
