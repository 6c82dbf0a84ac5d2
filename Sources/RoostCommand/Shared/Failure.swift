package import RoostModel

/// A command that did what it could and ends with a status of its own, having said all there is to say.
struct Quit: Error {
    var status: ExitStatus
}

extension ExitStatus {
    /// What the program ends with after this error.
    package init(_ code: RoostError.Code) {
        self =
            switch code {
            case .usage: .usage
            case .unreachable, .lost: .unavailable
            case .refused: .refused
            default: .roostFailed
            }
    }
}

extension RoostError {
    /// As people read it: `roost: what: why`, and on the next line what to do.
    var forPeople: String { "roost: \(self)" }
}
