package import RoostModel

/// What the server keeps of a token: everything but the secret, of which it has a hash.
package struct TokenRecord: Hashable, Sendable {
    package var id: TokenID
    package var role: Role
    package var user: String
    /// The user's share of the pool relative to other users'.
    package var weight: UInt32
    package var created: WallTime
    package var expires: WallTime?
    package var revoked: WallTime?
    /// SHA-256 of the secret. The secret has 256 random bits, so a slow hash would add nothing.
    var secretHash: [UInt8]

    /// For answers to people and programs.
    package var snapshot: TokenSnapshot {
        TokenSnapshot(
            id: id.description, role: role, user: user, created: created.unixSeconds, expires: expires?.unixSeconds,
            isRevoked: revoked != nil, weight: weight)
    }

    /// One line of the token file: `id role created expires revoked hash user [weight]`, `-` for what is not there.
    var line: String {
        let times = "\(created.unixSeconds) \(expires.text) \(revoked.text)"
        let line = "\(id) \(role.name) \(times) \(Hex.encode(secretHash)) \(user)"
        return weight == 1 ? line : "\(line) \(weight)"
    }

    init(
        id: TokenID, role: Role, user: String, weight: UInt32 = 1, created: WallTime, expires: WallTime?,
        revoked: WallTime?, secretHash: [UInt8]
    ) {
        self.id = id
        self.role = role
        self.user = user
        self.weight = weight
        self.created = created
        self.expires = expires
        self.revoked = revoked
        self.secretHash = secretHash
    }

    init?(line: Substring) {
        let fields = line.split(separator: " ", omittingEmptySubsequences: false)
        guard fields.count == 7 || fields.count == 8, let weight = fields.count == 7 ? 1 : UInt32(fields[7]),
            let id = TokenID(text: String(fields[0])),
            let role = Role.allCases.first(where: { $0.name == fields[1] }), let created = Int64(fields[2]),
            let expires = WallTime?(field: fields[3]), let revoked = WallTime?(field: fields[4]),
            let hash = Hex.decode(fields[5]), hash.count == 32
        else { return nil }
        self.init(
            id: id, role: role, user: String(fields[6]), weight: weight, created: WallTime(unixSeconds: created), expires: expires,
            revoked: revoked, secretHash: hash)
    }

    /// Whether `name` can be a user's name: printable, without white space, short.
    static func isValid(user name: String) -> Bool {
        (1...64).contains(name.utf8.count)
            && name.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F && !$0.properties.isWhitespace }
    }
}

extension WallTime? {
    fileprivate var text: String { map { "\($0.unixSeconds)" } ?? "-" }

    /// `-` is no time; anything that is neither that nor a number is nil.
    fileprivate init?(field: Substring) {
        if field == "-" {
            self = .none
        } else if let seconds = Int64(field) {
            self = WallTime(unixSeconds: seconds)
        } else {
            return nil
        }
    }
}
