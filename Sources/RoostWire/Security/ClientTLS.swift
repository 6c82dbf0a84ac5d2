import FoundationEssentials
import NIOCore
import NIOSSL
package import RoostModel
import SwiftASN1
import X509

/// The client's side of TLS: one context per process; who may be at the other end is checked per connection.
enum ClientTLS {
    private static let shared: Result<NIOSSLContext, RoostError> = {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv13
        configuration.maximumTLSVersion = .tlsv13
        // The system's roots have no say: only the token's fingerprint does (and they would cost 2 MB).
        configuration.trustRoots = .certificates([])
        configuration.certificateVerification = .noHostnameVerification
        configuration.shutdownTimeout = TLSTimes.shutdown
        do {
            return .success(try NIOSSLContext(configuration: configuration))
        } catch {
            return .failure(RoostError(.internal, "cannot set up TLS", cause: "\(error)"))
        }
    }()

    static func context() throws(RoostError) -> NIOSSLContext { try shared.get() }

    /// A handler that lets the handshake succeed only with a server of the pool with this fingerprint, and tells
    /// `onRefusal`, on the event loop, why it did not.
    static func makeHandler(
        authority: CertificateFingerprint, now: WallTime, onRefusal: @escaping (RoostError) -> Void
    ) throws(RoostError) -> NIOSSLClientHandler {
        let context = try context()
        do {
            return try NIOSSLClientHandler(
                context: context, serverHostname: nil,
                customVerificationCallback: { chain, verdict in
                    if let error = ServerIdentity.refusal(of: chain, authority: authority, at: now) {
                        onRefusal(error)
                        verdict.succeed(.failed)
                    } else {
                        verdict.succeed(.certificateVerified)
                    }
                })
        } catch {
            throw RoostError(.internal, "cannot set up TLS", cause: "\(error)")
        }
    }
}

/// Whether a server belongs to the pool of a token: leaf ← CA ← fingerprint. Host names have no say, so any address
/// and any tunnel works.
package enum ServerIdentity {
    /// Why this chain (the leaf first) is not the pool's; nil when it is.
    static func refusal(
        of chain: [NIOSSLCertificate], authority: CertificateFingerprint, at now: WallTime
    ) -> RoostError? {
        do {
            return refusal(of: try chain.map { try $0.toDERBytes() }, authority: authority, at: now)
        } catch {
            return RoostError(.refused, "the server's certificates cannot be read", cause: "\(error)")
        }
    }

    /// The same for certificates in DER.
    package static func refusal(
        of chain: [[UInt8]], authority wanted: CertificateFingerprint, at now: WallTime
    ) -> RoostError? {
        guard chain.count >= 2 else {
            return RoostError(
                .refused, "the server does not show a certificate authority: it is not a Roost server",
                remedy: "check host and port of the pool's URL")
        }
        guard
            let authorityBytes = chain.dropFirst().first(where: { CertificateFingerprint(ofCertificate: $0) == wanted })
        else {
            let found = CertificateFingerprint(ofCertificate: chain[chain.count - 1])
            return RoostError(
                .refused, "the server belongs to another pool: its CA is \(found), the token's is \(wanted)",
                remedy: "check host and port, or use a token of that pool")
        }
        do {
            let authority = try Certificate(derEncoded: authorityBytes)
            let leaf = try Certificate(derEncoded: chain[0])
            guard leaf.issuer == authority.subject, authority.publicKey.isValidSignature(leaf.signature, for: leaf)
            else {
                return RoostError(.refused, "the server's certificate is not signed by its pool's CA \(wanted)")
            }
            return refusal(leafFrom: leaf.notValidBefore, until: leaf.notValidAfter, at: now)
        } catch {
            return RoostError(.refused, "the server's certificates cannot be read", cause: "\(error)")
        }
    }

    private static func refusal(leafFrom first: Date, until last: Date, at now: WallTime) -> RoostError? {
        let from = WallTime(unixSeconds: Int64(first.timeIntervalSince1970))
        let until = WallTime(unixSeconds: Int64(last.timeIntervalSince1970))
        if now > until {
            return RoostError(
                .refused, "the server's certificate ended on \(until); this machine's clock says \(now)",
                remedy: "check the clock here; if it is right, restart the server: it renews its certificate")
        }
        if now < from {
            return RoostError(
                .refused, "the server's certificate begins on \(from); this machine's clock says \(now)",
                remedy: "set the clock of this machine")
        }
        return nil
    }
}
