import Glibc
import NIOCore
import NIOPosix
import Roost
import RoostModel
import RoostNode
import RoostWire

/// `roost guard …`: the process that outlives an agent by a moment, ends what it left, and tells the server, so
/// that its tasks move at once.
///
///     roost guard [NODE INCARNATION URL] TAG      the agent's pipe on descriptor 0
///
/// The node's token comes in the environment, where other users cannot see it; workers never get it.
package enum GuardReporter {
    static let tokenVariable = "ROOST_GUARD_TOKEN"

    /// The words after NODE and INCARNATION.
    static func arguments(_ address: PoolAddress) -> [String] { ["\(address)"] }

    /// Leaves the token where the guard that is started next, or again, finds it.
    static func prepare(token: String?) { setenv(tokenVariable, token ?? "", 1) }

    /// Whether this process is meant to be a guard.
    package static func isAsked(_ arguments: [String]) -> Bool {
        (arguments.count == 3 || arguments.count >= 5) && arguments[1] == "guard"
    }

    /// Watches, on the program's first thread and before it has any other; what is to be done when it has ended.
    ///
    /// Nothing may have been started before: a guard closes every descriptor that it finds.
    package static func watch(_ arguments: [String]) -> Finding {
        var hasDied = false
        runGuard(tag: arguments[arguments.count - 1], input: 0) { hasDied = true }
        guard hasDied, arguments.count == 6, let report = GuardReport(arguments),
            let address = try? PoolAddress(parsing: arguments[4])
        else { return Finding() }
        return Finding(report: report, address: address)
    }

    /// What a guard has seen: nothing worth telling, or a death and whom to tell.
    package struct Finding: Sendable {
        fileprivate var report: GuardReport?
        fileprivate var address: PoolAddress?
    }

    /// Tells the server, if the agent died without a word.
    package static func report(_ finding: Finding) async {
        guard let report = finding.report, let address = finding.address else { return }
        await tell(report, to: address)
    }

    /// Tries until the lease, which then says the same, is over.
    private static func tell(_ report: GuardReport, to address: PoolAddress) async {
        guard let security = try? Pool.security(of: address, token: Environment.value(tokenVariable)) else { return }
        let dialer = WireDialer(host: address.host, port: address.port, security: security)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let end = Clock.now() + Limits.lease
        var wait = Limits.reconnectFirst
        while Clock.now() < end {
            do throws(RoostError) {
                _ = try await dialer.connect(hello: .guardReport(report), on: group.next()) {
                    (_: Welcome, _: any Link<NodeToServer>) -> any LinkDelegate<ServerToNode> in Deaf<ServerToNode>()
                }
                break
            } catch {
                guard error.code == .unreachable || error.code == .lost else { break }
            }
            do { try await Task.sleep(for: wait) } catch { break }
            wait = min(wait * 2, Limits.reconnectMost)
        }
        try? await group.shutdownGracefully()
    }
}

extension GuardReport {
    fileprivate init?(_ arguments: [String]) {
        guard let node = UInt64(arguments[2]), let incarnation = UInt64(arguments[3]) else { return nil }
        self.init(node: NodeID(rawValue: node), incarnation: Incarnation(rawValue: incarnation))
    }
}
