import Glibc
import Roost
import RoostModel
import RoostWire

/// How this account reaches its pool without flags: small files that only their owner reads.
///
///     ~/.config/roost/            0700
///       url          roost://HOST:PORT
///       token        for jobs
///       admin-token  for what only an administrator may do; only where the server was first started
///       node-token   for nodes on this account's machines
struct ClientConfiguration {
    let directory: String

    init(directory: String = Environment.configDirectory) { self.directory = directory }

    /// Which file holds the token for what a command wants to do.
    enum Need { case client, admin, node }

    var url: String? {
        get throws(RoostError) { try line("url") }
    }

    /// The token for this need. An administrator's will do for a client; a client's is tried where an
    /// administrator's is missing, and the server then says what it lacks.
    func token(for need: Need) throws(RoostError) -> String? {
        switch need {
        case .client: return try firstLine("token", "admin-token")
        case .admin: return try firstLine("admin-token", "token")
        case .node: return try line("node-token")
        }
    }

    func path(for need: Need) -> String {
        switch need {
        case .client: "\(directory)/token"
        case .admin: "\(directory)/admin-token"
        case .node: "\(directory)/node-token"
        }
    }

    private func firstLine(_ names: String...) throws(RoostError) -> String? {
        for name in names {
            if let text = try line(name) { return text }
        }
        return nil
    }

    private func line(_ name: String) throws(RoostError) -> String? {
        guard let bytes = try PrivateFiles.read("\(directory)/\(name)") else { return nil }
        let text = String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
        return text.isEmpty ? nil : text
    }

    /// Writes all of it, unless this account has a pool already. Whether it did.
    func writeIfAbsent(url: String, client: PoolToken, admin: PoolToken, node: PoolToken) throws(RoostError) -> Bool {
        guard try self.url == nil, try token(for: .client) == nil else { return false }
        try PrivateFiles.ensureDirectory(directory)
        for (name, text) in [
            ("token", client.text), ("admin-token", admin.text), ("node-token", node.text), ("url", url),
        ] {
            try PrivateFiles.write(Array("\(text)\n".utf8), to: "\(directory)/\(name)")
        }
        return true
    }
}
