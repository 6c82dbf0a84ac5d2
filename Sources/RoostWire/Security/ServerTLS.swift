import Crypto
import NIOCore
import NIOSSL
package import RoostModel
import Synchronization

/// The server's side of TLS: one context for all connections, replaced when the leaf is renewed.
package final class ServerTLS: Sendable {
    private let state: Mutex<State>

    private struct State {
        var authority: CertificateAuthority
        var context: NIOSSLContext
    }

    package init(authority: CertificateAuthority) throws(RoostError) {
        state = Mutex(State(authority: authority, context: try Self.makeContext(authority)))
    }

    /// The pool's id, as its data directory names it.
    package var pool: UInt64 { state.withLock { $0.authority.pool } }

    /// What this pool's tokens carry.
    package var fingerprint: CertificateFingerprint { state.withLock { $0.authority.fingerprint } }

    /// The context for a new connection.
    var context: NIOSSLContext { state.withLock { $0.context } }

    /// Renews the leaf when little of its time is left; call it once a day. Whether it did.
    @discardableResult
    package func renewIfNeeded(at now: WallTime) throws(RoostError) -> Bool {
        var authority = state.withLock { $0.authority }
        guard try authority.renewIfNeeded(at: now) else { return false }
        let renewed = State(authority: authority, context: try Self.makeContext(authority))
        state.withLock { $0 = renewed }
        return true
    }

    /// TLS 1.3 and nothing older; the leaf goes out with its authority, so that peers can check the fingerprint.
    private static func makeContext(_ authority: CertificateAuthority) throws(RoostError) -> NIOSSLContext {
        do {
            let chain = try authority.chain().map {
                NIOSSLCertificateSource.certificate(try NIOSSLCertificate(bytes: $0, format: .der))
            }
            let key = try NIOSSLPrivateKey(bytes: Array(authority.leaf.key.derRepresentation), format: .der)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain, privateKey: .privateKey(key))
            configuration.minimumTLSVersion = .tlsv13
            configuration.maximumTLSVersion = .tlsv13
            configuration.trustRoots = .certificates([])
            configuration.shutdownTimeout = TLSTimes.shutdown
            return try NIOSSLContext(configuration: configuration)
        } catch let error as RoostError {
            throw error
        } catch {
            throw RoostError(.internal, "cannot set up TLS", cause: "\(error)")
        }
    }
}

/// Times of the TLS layer.
enum TLSTimes {
    /// How long we wait for the peer's farewell before we close anyway.
    static let shutdown: TimeAmount = .seconds(1)
}
