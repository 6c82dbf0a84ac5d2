import Crypto
import FoundationEssentials
import RoostModel
import SwiftASN1
import X509

extension CertificateAuthority {
    /// A certificate and the key that belongs to it.
    struct Identity: Sendable {
        var certificate: Certificate
        var key: P256.Signing.PrivateKey

        var expires: WallTime { WallTime(unixSeconds: Int64(certificate.notValidAfter.timeIntervalSince1970)) }

        func derBytes() throws(RoostError) -> [UInt8] {
            do {
                var serializer = DER.Serializer()
                try serializer.serialize(certificate)
                return serializer.serializedBytes
            } catch {
                throw RoostError(.internal, "cannot write a certificate", cause: "\(error)")
            }
        }

        /// Whether `other` was signed by this identity's key and carries this identity's name as its issuer.
        func hasIssued(_ other: Identity) -> Bool {
            other.certificate.issuer == certificate.subject
                && certificate.publicKey.isValidSignature(other.certificate.signature, for: other.certificate)
        }

        /// Reads certificate and key from one file; nil when there is none.
        static func load(_ path: String) throws(RoostError) -> Identity? {
            guard let bytes = try PrivateFiles.read(path) else { return nil }
            do {
                let documents = try PEMDocument.parseMultiple(pemString: String(decoding: bytes, as: UTF8.self))
                guard documents.count == 2 else {
                    throw RoostError(.io, "\(path) must hold a certificate and its key")
                }
                let certificate = try Certificate(pemDocument: documents[0])
                let key = try P256.Signing.PrivateKey(pemRepresentation: documents[1].pemString)
                guard certificate.publicKey == .init(key.publicKey) else {
                    throw RoostError(.io, "the certificate and the key in \(path) do not belong together")
                }
                return Identity(certificate: certificate, key: key)
            } catch let error as RoostError {
                throw error
            } catch {
                throw RoostError(.io, "\(path) is damaged", remedy: "restore it from a backup", cause: "\(error)")
            }
        }

        func store(_ path: String) throws(RoostError) {
            let text: String
            do {
                text = try certificate.serializeAsPEM().pemString + "\n" + key.pemRepresentation + "\n"
            } catch {
                throw RoostError(.internal, "cannot write a certificate", cause: "\(error)")
            }
            try PrivateFiles.write(Array(text.utf8), to: path)
        }
    }
}
