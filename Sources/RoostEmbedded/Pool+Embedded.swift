public import Roost
public import RoostModel

extension Pool {
    /// A pool inside this process: server, node and client joined without a socket, TLS or files.
    ///
    /// - Parameters:
    ///   - slots: How many tasks run at once. Default: the CPUs this process may really use.
    ///   - guardExecutable: The `roost` binary, which then ends running commands even if this process is killed
    ///     with -9. Default: none.
    /// - Throws: `.io` when the system refuses what is needed.
    public static func embedded(
        slots: Int? = nil, guardExecutable: String? = nil
    ) async throws(RoostError) -> Pool {
        try await EmbeddedPool.open(slots: slots, guardExecutable: guardExecutable).pool
    }
}
