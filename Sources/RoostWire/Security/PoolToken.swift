package import RoostModel

/// One string that is all a node or client needs: who it is, the secret that proves it, and which pool it belongs to.
///
///     roost_ + base32( version | role | id (5) | secret (32) | CA fingerprint (32) | user length | user | checksum (4) )
///
/// Letters, digits and one underscore: a double click selects all of it, and no shell or URL minds it. The checksum
/// tells a mistyped token before anything is sent. Printing a token never shows its secret: only ``text`` does.
package struct PoolToken: Hashable, Sendable {
    package var credential: TokenCredential
    package var role: Role
    package var user: String
    /// What the pool's CA certificate must hash to.
    package var authority: CertificateFingerprint

    package init(credential: TokenCredential, role: Role, user: String, authority: CertificateFingerprint) {
        self.credential = credential
        self.role = role
        self.user = user
        self.authority = authority
    }

    private static let prefix = "roost_"
    private static let version: UInt8 = 1
    private static let checksumBytes = 4
    private static let fixedBytes = 2 + TokenCredential.idBytes + TokenCredential.secretBytes + 32 + 1

    /// The whole token, secret included: to print once, when it is made, and to store where only its owner reads.
    package var text: String {
        var bytes = [Self.version, role.rawValue]
        bytes += credential.id.bytes
        bytes += credential.secret
        bytes += authority.bytes
        bytes.append(UInt8(user.utf8.count))
        bytes += Array(user.utf8)
        bytes += Self.checksum(bytes)
        return Self.prefix + Base32.encode(bytes)
    }

    /// Reads a token as a person pasted it: white space around and inside it (line breaks of a terminal) is ignored.
    package init(parsing text: String) throws(RoostError) {
        let characters = text.utf8.filter { $0 > 0x20 }
        guard String(decoding: characters.prefix(Self.prefix.utf8.count), as: UTF8.self).lowercased() == Self.prefix
        else {
            throw RoostError(
                .usage, "this is not a Roost token: one begins with \(Self.prefix)",
                remedy: "make one on the server's host: roost token create --role client --name USER")
        }
        let mistyped = RoostError(
            .usage, "the token is mistyped or incomplete: its checksum does not fit",
            remedy: "copy it again, from \(Self.prefix) to its end")
        guard let bytes = Base32.decode(characters.dropFirst(Self.prefix.utf8.count)),
            bytes.count >= Self.fixedBytes + Self.checksumBytes,
            Array(bytes.suffix(Self.checksumBytes)) == Self.checksum(bytes.dropLast(Self.checksumBytes))
        else { throw mistyped }
        guard bytes[0] == Self.version else {
            throw RoostError(
                .usage, "the token is of version \(bytes[0]); this program reads version \(Self.version)",
                remedy: "use the server's version of roost here")
        }
        var rest = bytes.dropFirst(2).dropLast(Self.checksumBytes)
        func take(_ count: Int) -> [UInt8] {
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        let id = take(TokenCredential.idBytes)
        let secret = take(TokenCredential.secretBytes)
        let fingerprint = take(32)
        let length = Int(take(1)[0])
        let name = take(length)
        guard let role = Role(rawValue: bytes[1]), rest.isEmpty, name.count == length,
            let credential = TokenCredential(id: id, secret: secret)
        else { throw mistyped }
        self.init(
            credential: credential, role: role, user: String(decoding: name, as: UTF8.self),
            authority: CertificateFingerprint(bytes: fingerprint))
    }

    private static func checksum(_ bytes: some Collection<UInt8>) -> [UInt8] {
        Array(Hashes.sha256(Array("roost token".utf8) + bytes).prefix(checksumBytes))
    }
}

extension PoolToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "token \(credential.id) (\(role.name), \(user))" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["token": description]) }
}

/// A token's name for people and files: eight letters and digits. No secret.
package struct TokenID: Hashable, Sendable, CustomStringConvertible {
    package var bytes: [UInt8]

    package init?(bytes: [UInt8]) {
        guard bytes.count == TokenCredential.idBytes else { return nil }
        self.bytes = bytes
    }

    package init?(text: String) {
        guard let bytes = Base32.decode(text.utf8) else { return nil }
        self.init(bytes: bytes)
    }

    package var description: String { Base32.encode(bytes) }
}

/// What a peer shows the server: which token, and the secret that proves it.
package struct TokenCredential: Hashable, Sendable {
    static let idBytes = 5
    static let secretBytes = 32

    package let id: TokenID
    let secret: [UInt8]

    package init?(id: [UInt8], secret: [UInt8]) {
        guard let id = TokenID(bytes: id), secret.count == Self.secretBytes else { return nil }
        self.id = id
        self.secret = secret
    }

    /// A new one, from the system's cryptographic generator.
    static func random() -> TokenCredential {
        var generator = SystemRandomNumberGenerator()
        func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) } }
        guard let credential = TokenCredential(id: bytes(idBytes), secret: bytes(secretBytes)) else {
            preconditionFailure("a credential is made of as many bytes as it needs")
        }
        return credential
    }
}

extension TokenCredential: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "credential \(id) (secret not shown)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["credential": description]) }
}
