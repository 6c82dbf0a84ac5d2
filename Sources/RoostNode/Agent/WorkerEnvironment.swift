import RoostModel

/// What workers see of the environment of their agent.
enum WorkerEnvironment {
    /// Enough to find programs, no secrets.
    private static let harmless = [
        "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SHELL", "LD_LIBRARY_PATH",
    ]
    /// What finds R's packages.
    private static let harmlessToR = ["R_LIBS", "R_LIBS_USER", "R_LIBS_SITE", "R_PROFILE", "R_PROFILE_USER", "R_ENVIRON", "R_ENVIRON_USER"]

    /// Only the caller's own agent gives all it has: a node's environment may name its token.
    static func base(
        _ spool: AgentConfiguration.Spool, inherited: [String], inheritsAll: Bool
    ) -> EnvironmentBlock {
        guard inheritsAll else { return EnvironmentBlock(inherited, names: harmless) }
        switch spool {
        case .here: return .ofThisProcess()
        case .freshUnder: return EnvironmentBlock(inherited)
        }
    }

    /// Of R workers: an R that started this process must not tell another R where its own files are.
    static func ofWorkers(_ spool: AgentConfiguration.Spool, inherited: [String], node: String) -> CStringBlock {
        var variables: EnvironmentBlock
        switch spool {
        case .here: variables = .ofThisProcess()
        case .freshUnder: variables = EnvironmentBlock(inherited, names: harmless + harmlessToR)
        }
        for name in ["R_HOME", "R_SHARE_DIR", "R_INCLUDE_DIR", "R_DOC_DIR", "R_SESSION_TMPDIR", "R_ARCH"] + secrets {
            variables.remove(name)
        }
        setThreads(1, in: &variables)
        variables.set("ROOST_NODE", node)
        return variables.block
    }

    private static let secrets = ["ROOST_TOKEN", "ROOST_GUARD_TOKEN", "ROOST_BRIDGE_SECRET"]

    /// How many threads libraries may start in a task.
    static func setThreads(_ threads: Int, in variables: inout EnvironmentBlock) {
        for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"] {
            variables.set(name, "\(threads)")
        }
    }
}
