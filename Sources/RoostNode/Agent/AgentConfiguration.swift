import Glibc
package import RoostModel

/// How a node's agent is to run. Reading it from flags is the command line's business.
package struct AgentConfiguration: Sendable {
    package var node: NodeID
    /// For people; the host's name by default.
    package var name: String
    package var offer: Resources
    package var labels: [Label] = []
    package var version = ""
    package var platform = ""
    /// What it runs; without ``RuntimeName/command`` it needs no processes.
    package var runtimes: [RuntimeName] = [.command, .digest]
    /// How R workers run; nil: this node has no R.
    package var r: RConfiguration?
    /// Where commands run that name no directory: the caller's (embedded), or a fresh one each under this path.
    package var spool: Spool
    /// Where results wait that the server has not acknowledged, beyond ``resultsInMemory``; nil: all stay in memory.
    package var resultDirectory: String?
    /// Bytes of such results that stay in memory.
    package var resultsInMemory = Limits.resultsInMemory
    /// Environment of commands whose job inherits it.
    package var environment: [String]
    /// The `roost` binary, to start the guard with; nil: no guard.
    package var guardExecutable: String?
    /// Start the guard only before the first process: for an agent in somebody's short program.
    package var guardWaitsForProcess = false
    /// More words for the guard: where to report this agent's death.
    package var guardArguments: [String] = []

    /// Where commands run.
    package enum Spool: Sendable {
        case here(String)
        case freshUnder(String)

        /// The directory of one process, and, when it is a fresh one, what to remove after it.
        /// - Throws: `.io`.
        func directory(_ name: @autoclosure () -> String) throws(RoostError) -> (path: String, scratch: String?) {
            switch self {
            case .here(let path): return (path, nil)
            case .freshUnder(let path):
                let scratch = "\(path)/\(name())"
                guard mkdir(scratch, 0o700) == 0 else {
                    throw RoostError(
                        .io, "cannot make the directory \(scratch) for a worker",
                        remedy: "Give the node another --state directory.", cause: String(cString: strerror(errno)))
                }
                return (scratch, scratch)
            }
        }
    }

    package init(node: NodeID, name: String, offer: Resources, spool: Spool, environment: [String]) {
        self.node = node
        self.name = name
        self.offer = offer
        self.spool = spool
        self.environment = environment
    }
}
