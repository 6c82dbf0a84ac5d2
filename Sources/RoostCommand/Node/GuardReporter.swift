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

    /// Watches, if this process is meant to be a guard that reports to nobody, and says so when it has.
    package static func watchesOnly(_ arguments: [String]) -> Bool {
        guard isAsked(arguments), arguments.count < 6 else { return false }
        runGuard(tag: arguments[arguments.count - 1], input: 0) {}
        return true
    }

    /// Watches; afterwards, when the agent died without a word, reports it.
    package static func run(_ arguments: [String]) async {
        var hasDied = false
        runGuard(tag: arguments[arguments.count - 1], input: 0) { hasDied = true }
        guard hasDied, arguments.count == 6, let report = GuardReport(arguments),
            let address = try? PoolAddress(parsing: arguments[4])
        else { return }
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
