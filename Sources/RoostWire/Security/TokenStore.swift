package import RoostModel
import Synchronization

/// The pool's tokens: a file in the data directory that only its owner reads, with secrets hashed.
///
/// Several processes share the file: the server looks at its stamp before each check and reads it again when it
/// changed, so that `roost token create` beside a running server works at once; changes are made under a lock file
/// and replace the file whole.
package final class TokenStore: Sendable {
    private let path: String
    private let lockPath: String
    private let cache = Mutex(Cache())

    private struct Cache {
        var stamp: PrivateFiles.Stamp?
        var records: [TokenID: TokenRecord] = [:]
    }

    private static let header = "roost-tokens 1"

    /// The most tokens one pool keeps.
    private static let mostTokens = 100_000

    package init(directory: String) throws(RoostError) {
        try PrivateFiles.ensureDirectory(directory)
        path = "\(directory)/tokens"
        lockPath = "\(directory)/tokens.lock"
        _ = try current()
    }

    /// Makes a token; the only moment its secret can be seen.
    package func create(
        role: Role, user: String, lifetime: Duration?, weight: UInt32 = 1, authority: CertificateFingerprint,
        at now: WallTime
    ) throws(RoostError) -> PoolToken {
        guard TokenRecord.isValid(user: user) else {
            throw RoostError(.usage, "'\(user)' cannot be a user's name: 1 to 64 bytes without spaces")
        }
        if let lifetime, lifetime <= .zero { throw RoostError(.usage, "a token's time to live must be more than 0") }
        guard (1...Limits.userWeight).contains(weight) else {
            throw RoostError(.usage, "a token's weight must be from 1 to \(Limits.userWeight), not \(weight)")
        }
        let credential = TokenCredential.random()
        let record = TokenRecord(
            id: credential.id, role: role, user: user, weight: weight, created: now, expires: lifetime.map { now + $0 }, revoked: nil,
            secretHash: Hashes.sha256(credential.secret))
        try change { records throws(RoostError) in
            guard records.count < Self.mostTokens else {
                throw RoostError(.limit, "the pool has \(records.count) tokens, the most it keeps")
            }
            records[record.id] = record
        }
        return PoolToken(credential: credential, role: role, user: user, authority: authority)
    }

    /// All tokens, the oldest first.
    package func list() throws(RoostError) -> [TokenRecord] { Self.sorted(try current()) }

    /// Revokes the token of this id, or all tokens of this user. How many were revoked that were not before.
    @discardableResult
    package func revoke(_ name: String, at now: WallTime) throws(RoostError) -> Int {
        var count = 0
        try change { records throws(RoostError) in
            let id = TokenID(text: name)
            let matching = records.values.filter { $0.id == id || $0.user == name }
            guard !matching.isEmpty else {
                throw RoostError(
                    .notFound, "no token has the id and no user the name '\(name)'", remedy: "see: roost token list")
            }
            for var record in matching where record.revoked == nil {
                record.revoked = now
                records[record.id] = record
                count += 1
            }
        }
        return count
    }

    /// Who shows this credential; or why it is refused.
    package func principal(for credential: TokenCredential, at now: WallTime) throws(RoostError) -> Principal {
        guard let record = try current()[credential.id],
            Hashes.equal(record.secretHash, Hashes.sha256(credential.secret))
        else {
            throw RoostError(
                .refused, "the server does not know the token \(credential.id)",
                remedy: "make one on the server's host: roost token create")
        }
        if let revoked = record.revoked {
            throw RoostError(.refused, "the token \(record.id) of \(record.user) was revoked on \(revoked)")
        }
        if let expires = record.expires, expires <= now {
            throw RoostError(
                .refused, "the token \(record.id) of \(record.user) expired on \(expires)",
                remedy: "make a new one on the server's host: roost token create")
        }
        return Principal(role: record.role, user: record.user, weight: record.weight)
    }

    /// Whether a token that was good when its peer connected still is.
    package func isGood(_ id: TokenID, at now: WallTime) throws(RoostError) -> Bool {
        guard let record = try current()[id], record.revoked == nil else { return false }
        return record.expires.map { $0 > now } ?? true
    }

    // MARK: The file

    /// The records, read again if the file has changed since they were read.
    private func current() throws(RoostError) -> [TokenID: TokenRecord] {
        let stamp = PrivateFiles.stamp(of: path)
        if let known = cache.withLock({ $0.stamp == stamp ? $0.records : nil }) { return known }
        let records = try read()
        cache.withLock { $0 = Cache(stamp: stamp, records: records) }
        return records
    }

    private func read() throws(RoostError) -> [TokenID: TokenRecord] {
        guard let bytes = try PrivateFiles.read(path) else { return [:] }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        guard lines.first == Self.header[...] else {
            throw RoostError(.io, "\(path) is not a token file of this version")
        }
        var records: [TokenID: TokenRecord] = [:]
        for (number, line) in lines.enumerated().dropFirst() {
            guard let record = TokenRecord(line: line) else {
                throw RoostError(
                    .io, "line \(number + 1) of \(path) is damaged", remedy: "restore it, or remove the line")
            }
            records[record.id] = record
        }
        return records
    }

    private func change(_ body: (inout [TokenID: TokenRecord]) throws(RoostError) -> Void) throws(RoostError) {
        try PrivateFiles.withLock(lockPath) { () throws(RoostError) in
            var records = try read()
            try body(&records)
            let lines = [Self.header] + Self.sorted(records).map(\.line)
            try PrivateFiles.write(Array((lines.joined(separator: "\n") + "\n").utf8), to: path)
        }
    }

    private static func sorted(_ records: [TokenID: TokenRecord]) -> [TokenRecord] {
        records.values.sorted { ($0.created, $0.id.description) < ($1.created, $1.id.description) }
    }
}
