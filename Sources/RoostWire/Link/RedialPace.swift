package import RoostModel

/// How long to wait before a lost server is dialled again.
///
/// At once after a connection that had lasted, then longer and longer, from ``Limits/reconnectFirst`` to
/// ``Limits/reconnectMost``. A connection that ends as soon as it is there counts as a failed one, so that nobody
/// comes back a thousand times a second to be sent away.
package struct RedialPace: Sendable {
    private var wait = Limits.reconnectFirst
    private var connected: Instant

    /// A connection that has lasted this long was a good one.
    package static let steadyAfter: Duration = .seconds(5)

    package init(connectedAt now: Instant) { connected = now }

    package mutating func connected(at now: Instant) { connected = now }

    /// The connection is gone: how long to wait before the first attempt.
    package mutating func waitAfterCut(at now: Instant) -> Duration {
        guard now - connected < Self.steadyAfter else {
            wait = Limits.reconnectFirst
            return .zero
        }
        return waitAfterFailure()
    }

    /// An attempt has failed: how long to wait before the next.
    package mutating func waitAfterFailure() -> Duration {
        defer { wait = min(wait * 2, Limits.reconnectMost) }
        return wait
    }
}
