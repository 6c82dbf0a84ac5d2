import RoostModel

/// How a server is to run. Reading it from flags is the command line's business.
package struct ServerConfiguration: Sendable {
    /// The host or address to listen on.
    package var host = "0.0.0.0"
    /// The port; 0 lets the system choose.
    package var port = 7117
    /// Where the pool's secrets are; only its owner may read it.
    package var dataDirectory: String
    /// Whether to listen without TLS and tokens; loopback only.
    package var isPlain = false
    package var version = ""
    /// How long a durable job is kept after its end, unless it says otherwise itself; nil: until it is forgotten.
    package var keep: Duration? = Limits.keep
    /// How often tokens of open connections are looked at.
    package var tokenCheck: Duration = .seconds(5)
    /// Faults for tests, in data directories that permit them: see `StoreFaultPlan`.
    package var storeFaults: String?

    package init(dataDirectory: String) { self.dataDirectory = dataDirectory }
}
