import Crypto
import FoundationEssentials
package import RoostModel
import SwiftASN1
import X509

/// The pool's own certificate authority and the server's certificate, kept in the data directory.
///
///     pool-id       16 hexadecimal digits: the pool's name for ever
///     ca.pem        the authority: certificate and key, 10 years; its fingerprint stands in every token
///     server.pem    the leaf the server shows: certificate and key, 90 days, renewed under the same authority
///
/// Each file holds a certificate together with its key, so no crash leaves one without the other.
package struct CertificateAuthority: Sendable {
    /// Names the pool for ever.
    package let pool: UInt64
    /// What tokens carry.
    package let fingerprint: CertificateFingerprint
    let authority: Identity
    private(set) var leaf: Identity
    private let directory: String

    static let authorityLifetime: Duration = .seconds(3650 * 86_400)
    static let leafLifetime: Duration = .seconds(90 * 86_400)
    /// A leaf with less left than this is renewed.
    static let leafReserve: Duration = .seconds(30 * 86_400)
    /// Certificates begin in the past, for peers whose clocks are behind.
    private static let clockTolerance: Duration = .seconds(86_400)

    /// Opens the authority in `directory`, making what is not there yet.
    package static func open(directory: String, at now: WallTime) throws(RoostError) -> CertificateAuthority {
        try PrivateFiles.ensureDirectory(directory)
        return try PrivateFiles.withLock("\(directory)/ca.lock") { () throws(RoostError) in
            try CertificateAuthority(directory: directory, at: now)
        }
    }

    private init(directory: String, at now: WallTime) throws(RoostError) {
        self.directory = directory
        pool = try Self.poolID(directory)
        let name = "Roost pool \(Self.text(pool))"
        if let stored = try Identity.load("\(directory)/ca.pem") {
            authority = stored
        } else {
            authority = try Self.makeAuthority(name: name, at: now)
            try authority.store("\(directory)/ca.pem")
        }
        fingerprint = try CertificateFingerprint(ofCertificate: authority.derBytes())
        if let stored = try Identity.load("\(directory)/server.pem") {
            leaf = stored
        } else {
            leaf = try Self.makeLeaf(under: authority, at: now)
            try leaf.store("\(directory)/server.pem")
        }
        guard authority.hasIssued(leaf) else {
            throw RoostError(
                .io, "\(directory)/server.pem does not belong to \(directory)/ca.pem",
                remedy: "remove server.pem and start the server again: it makes a new one")
        }
        try renewIfNeeded(at: now)
    }

    /// Replaces the leaf when little of its time is left. Whether it did.
    @discardableResult
    package mutating func renewIfNeeded(at now: WallTime) throws(RoostError) -> Bool {
        guard leaf.expires < now + Self.leafReserve else { return false }
        guard authority.expires > now else {
            throw RoostError(
                .io, "the pool's certificate authority expired on \(authority.expires)",
                remedy: "remove \(directory)/ca.pem and server.pem, start the server, and make new tokens")
        }
        leaf = try Self.makeLeaf(under: authority, at: now)
        try leaf.store("\(directory)/server.pem")
        return true
    }

    /// When the server's certificate ends, if nobody renews it.
    package var leafExpires: WallTime { leaf.expires }

    /// What the server shows, in DER: leaf, then authority.
    package func chain() throws(RoostError) -> [[UInt8]] { [try leaf.derBytes(), try authority.derBytes()] }

    // MARK: Making

    private static func makeAuthority(name: String, at now: WallTime) throws(RoostError) -> Identity {
        try making("the pool's certificate authority") {
            let key = P256.Signing.PrivateKey()
            let subject = try DistinguishedName { CommonName(name) }
            let extensions = try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                Critical(KeyUsage(keyCertSign: true))
            }
            return try identity(
                subject: subject, key: key, issuer: subject, issuerKey: key, extensions: extensions,
                lifetime: authorityLifetime, at: now)
        }
    }

    private static func makeLeaf(under authority: Identity, at now: WallTime) throws(RoostError) -> Identity {
        try making("the server's certificate") {
            let extensions = try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth])
                SubjectAlternativeNames([.dnsName("roost")])
            }
            return try identity(
                subject: try DistinguishedName { CommonName("Roost server") }, key: P256.Signing.PrivateKey(),
                issuer: authority.certificate.subject, issuerKey: authority.key, extensions: extensions,
                lifetime: leafLifetime, at: now)
        }
    }

    private static func identity(
        subject: DistinguishedName, key: P256.Signing.PrivateKey, issuer: DistinguishedName,
        issuerKey: P256.Signing.PrivateKey, extensions: Certificate.Extensions, lifetime: Duration, at now: WallTime
    ) throws -> Identity {
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(key.publicKey),
            notValidBefore: (now - clockTolerance).date, notValidAfter: (now + lifetime).date, issuer: issuer,
            subject: subject, signatureAlgorithm: .ecdsaWithSHA256, extensions: extensions,
            issuerPrivateKey: .init(issuerKey))
        return Identity(certificate: certificate, key: key)
    }

    private static func making(_ what: String, _ body: () throws -> Identity) throws(RoostError) -> Identity {
        do { return try body() } catch { throw RoostError(.internal, "cannot make \(what)", cause: "\(error)") }
    }

    // MARK: The pool's name

    private static func poolID(_ directory: String) throws(RoostError) -> UInt64 {
        let path = "\(directory)/pool-id"
        if let bytes = try PrivateFiles.read(path) {
            let text = String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
            guard let id = UInt64(text, radix: 16) else { throw RoostError(.io, "\(path) does not hold a pool's id") }
            return id
        }
        let id = UInt64.random(in: 1 ... .max)
        try PrivateFiles.write(Array("\(text(id))\n".utf8), to: path)
        return id
    }

    private static func text(_ id: UInt64) -> String {
        let digits = String(id, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension WallTime {
    fileprivate var date: Date { Date(timeIntervalSince1970: Double(unixSeconds)) }
}
