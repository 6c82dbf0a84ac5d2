import ArgumentParser
import Roost
import RoostModel
import RoostWire

/// `roost token`: who may do what in the pool.
struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Make, list and revoke tokens.",
        discussion: """
            On the server's host these work on the server's directory (--data, whether the server runs or not); \
            elsewhere they ask the server, with an administrator's token.
            """,
        subcommands: [TokenCreate.self, TokenList.self, TokenRevoke.self])
}

/// Where a token command works: on a data directory of this machine, or over the wire.
struct TokenPlace: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The server's directory on this machine. Default: ~/.local/share/roost if it is there and no --pool is given.",
            valueName: "dir"), completion: .directory)
    var data: String?

    @OptionGroup var pool: PoolOptions

    /// The directory to work on; nil: ask the server.
    func directory() throws(RoostError) -> String? {
        if let data {
            guard try PrivateFiles.read("\(data)/pool-id") != nil else {
                throw RoostError(
                    .notFound, "there is no pool in \(data)", remedy: "A pool is made by the first: roost server start --data \(data)")
            }
            return data
        }
        guard pool.pool == nil, pool.token == nil, try !mayAskServer() else { return nil }
        let usual = Environment.dataDirectory
        return try PrivateFiles.read("\(usual)/pool-id") == nil ? nil : usual
    }

    /// Whether the environment names a pool and has an administrator's token for it.
    private func mayAskServer() throws(RoostError) -> Bool {
        guard Environment.value("ROOST_POOL") != nil, let text = try pool.tokenText(for: .admin) else { return false }
        return try PoolToken(parsing: text).role == .admin
    }
}

/// A role as people write it.
enum RoleName: String, ExpressibleByArgument, CaseIterable {
    case node, client, observer, admin

    var role: Role {
        switch self {
        case .node: .node
        case .client: .client
        case .observer: .observer
        case .admin: .admin
        }
    }
}

/// `roost token create`.
struct TokenCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a token and print it.",
        discussion: """
            The token alone goes to standard output; it is the only time that it can be seen. One string is all \
            that a node or client needs: role, user, secret and the fingerprint of the pool's certificate.

              node      joins the pool with 'roost node start'
              client    submits jobs and sees to its own
              observer  looks, and changes nothing
              admin     may do everything, also to others' jobs

            EXAMPLES
              roost token create --role client --name alice
              roost token create --role client --name bob --weight 3
              roost token create --role node --ttl 30d > node-token
            """)

    @Option(help: ArgumentHelp("What it may do.", valueName: "role"))
    var role: RoleName

    @Option(help: ArgumentHelp("Whose it is. Default: you.", valueName: "user"))
    var name: String?

    @Option(help: ArgumentHelp("How long it is good, for example 12h or 30d. Default: until it is revoked.", valueName: "time"))
    var ttl: String?

    @Option(
        help: ArgumentHelp(
            "The user's share of the pool when several want it: 3 gets three times what 1 gets. 1 to 1000.", valueName: "w"))
    var weight: UInt32 = 1

    @OptionGroup var place: TokenPlace

    func run() async throws {
        guard (1...Limits.userWeight).contains(weight) else {
            throw RoostError(.usage, "--weight takes a whole number from 1 to \(Limits.userWeight), not \(weight)")
        }
        let lifetime = try ttl.map { (text) throws(RoostError) -> Duration in
            guard let time = DurationText.parse(text), time > .zero else {
                throw RoostError(.usage, "--ttl takes a time such as 12h or 30d, not '\(text)'")
            }
            return time
        }
        let user = name ?? Environment.userName
        if let directory = try place.directory() {
            let now = WallTime.now()
            let store = try TokenStore(directory: directory)
            let authority = try CertificateAuthority.open(directory: directory, at: now).fingerprint
            let token = try store.create(
                role: role.role, user: user, lifetime: lifetime, weight: weight, authority: authority, at: now)
            return Terminal.print("\(token.text)\n")
        }
        let (role, weight) = (role.role, weight)
        let text = try await place.pool.withPool(for: .admin) { (pool) throws(RoostError) in
            guard
                case .token(let text) = try await pool.ask(
                    .createToken(role: role, user: user, lifetime: lifetime, weight: weight))
            else { throw Pool.unexpected }
            return text
        }
        Terminal.print("\(text)\n")
    }
}

/// `roost token list`.
struct TokenList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the pool's tokens, without their secrets.")

    @OptionGroup var place: TokenPlace
    @OptionGroup var format: OutputOptions

    func run() async throws {
        let tokens: [TokenSnapshot]
        if let directory = try place.directory() {
            tokens = try TokenStore(directory: directory).list().map(\.snapshot)
        } else {
            tokens = try await place.pool.withPool(for: .admin) { (pool) throws(RoostError) in
                guard case .tokens(let tokens) = try await pool.ask(.listTokens) else { throw Pool.unexpected }
                return tokens
            }
        }
        if format.isJSON { return Terminal.print(Self.json(tokens)) }
        var table = Table([.init("TOKEN"), .init("ROLE"), .init("USER"), .init("WEIGHT"), .init("MADE"), .init("ENDS"), .init("STATE")])
        let now = WallTime.now()
        for token in tokens {
            let expires = token.expires.map { WallTime(unixSeconds: $0) }
            let state = token.isRevoked ? "revoked" : expires.map { $0 <= now } == true ? "expired" : "good"
            table.add([
                token.id, token.role.name, token.user, "\(token.weight)", "\(WallTime(unixSeconds: token.created))",
                expires.map { "\($0)" } ?? "never", state,
            ])
        }
        Terminal.print(table.render(width: Terminal.width))
    }

    static func json(_ tokens: [TokenSnapshot]) -> [UInt8] {
        JSONWriter.document { json in
            json.beginArray()
            for token in tokens {
                json.object { json in
                    json.member("id", token.id)
                    json.member("role", token.role.name)
                    json.member("user", token.user)
                    json.member("weight", token.weight)
                    json.member("created", token.created)
                    json.member("expires", token.expires)
                    json.member("revoked", token.isRevoked)
                }
            }
            json.endArray()
        }
    }
}

/// `roost token revoke`.
struct TokenRevoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        abstract: "Revoke a token, or all tokens of a user.",
        discussion: """
            Connections that showed it are closed within seconds.

            EXAMPLES
              roost token revoke k3v9q2ma
              roost token revoke alice
            """)

    @Argument(help: ArgumentHelp("A token's id, as 'roost token list' shows it, or a user's name.", valueName: "id|user"))
    var name: String

    @OptionGroup var place: TokenPlace

    func run() async throws {
        let count: Int
        if let directory = try place.directory() {
            count = try TokenStore(directory: directory).revoke(name, at: .now())
        } else {
            let name = name
            count = try await place.pool.withPool(for: .admin) { (pool) throws(RoostError) in
                try await pool.change(.revokeToken(name: name))
            }
        }
        Terminal.note(count == 0 ? "roost: nothing to revoke: already revoked" : "roost: revoked \(count) token\(count == 1 ? "" : "s")")
    }
}
