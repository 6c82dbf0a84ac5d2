import Crypto

/// Hashes of secrets and certificates, and comparisons that tell nothing.
enum Hashes {
    static func sha256(_ bytes: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: bytes)) }

    /// Whether two byte strings are equal, in a time that tells nothing about where they differ.
    static func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        guard a.count == b.count else { return false }
        var difference: UInt8 = 0
        for position in a.indices { difference |= a[position] ^ b[position] }
        return difference == 0
    }
}

/// The SHA-256 of a certificate, by which tokens name the pool they belong to.
package struct CertificateFingerprint: Hashable, Sendable, CustomStringConvertible {
    package var bytes: [UInt8]

    package init(bytes: [UInt8]) { self.bytes = bytes }

    init(ofCertificate derBytes: [UInt8]) { bytes = Hashes.sha256(derBytes) }

    /// The first eight bytes, enough for people to tell two pools apart.
    package var description: String { Hex.encode(bytes.prefix(8)) }
}
