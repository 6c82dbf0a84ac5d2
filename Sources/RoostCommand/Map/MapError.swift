/// What `roost map` says when it cannot do what it was asked: which status it ends with, what is wrong and
/// what to do about it.
package struct MapError: Error, Hashable, CustomStringConvertible {
    package var status: ExitStatus
    /// What is wrong, in one sentence without a final stop.
    package var problem: String
    /// What to do about it; empty when there is nothing to advise.
    package var remedy: String

    package init(_ status: ExitStatus, _ problem: String, remedy: String = "") {
        self.status = status
        self.problem = problem
        self.remedy = remedy
    }

    /// Wrong usage of one flag.
    package static func usage(_ flag: String, _ problem: String, remedy: String) -> MapError {
        MapError(.usage, "\(flag): \(problem)", remedy: remedy)
    }

    package var description: String { remedy.isEmpty ? problem : "\(problem); \(remedy)" }
}
