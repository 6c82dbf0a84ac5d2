import ArgumentParser
import Glibc
import Roost
import RoostModel
import RoostWire

/// Which pool, and who we are: `--pool`, `--token`, their variables, the account's configuration.
struct PoolOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The pool's URL. Default: ROOST_POOL, then ~/.config/roost/url.", valueName: "roost://host:port"))
    var pool: String?

    @Option(
        help: ArgumentHelp(
            "A token, or @FILE to read it from. Default: ROOST_TOKEN, then ~/.config/roost/. Others on this machine can see flags: prefer the others.",
            valueName: "token"))
    var token: String?

    /// Where the pool is.
    func address() throws(RoostError) -> PoolAddress {
        var text = pool ?? Environment.value("ROOST_POOL")
        if text == nil { text = try ClientConfiguration().url }
        guard let text else {
            throw RoostError(
                .usage, "no pool is named",
                remedy: "Give --pool roost://HOST:PORT or ROOST_POOL, or start one here: roost server start")
        }
        return try PoolAddress(parsing: text)
    }

    /// The token for what the command wants to do; nil where none can be found.
    func tokenText(for need: ClientConfiguration.Need) throws(RoostError) -> String? {
        if let token { return try Self.read(token) }
        if let token = Environment.value("ROOST_TOKEN") { return try Self.read(token) }
        // The account's own tokens belong to the account's own pool.
        return try ClientConfiguration().token(for: need)
    }

    /// `@FILE` names a file whose text is the token.
    private static func read(_ text: String) throws(RoostError) -> String {
        guard text.first == "@" else { return text }
        let path = String(text.dropFirst())
        guard let bytes = try PrivateFiles.read(path) else { throw RoostError(.usage, "there is no file \(path) with a token") }
        return String(decoding: bytes.filter { $0 > 0x20 }, as: UTF8.self)
    }

    /// How to dial the pool as a peer of this kind.
    func dialer(for need: ClientConfiguration.Need) throws(RoostError) -> (dialer: WireDialer, address: PoolAddress) {
        let address = try address()
        let token = try tokenText(for: need)
        if token == nil && !address.isPlain {
            let role = need == .node ? "node" : need == .admin ? "admin" : "client"
            throw RoostError(
                .refused, "a token is needed to reach \(address)",
                remedy: "Make one on the server's host with 'roost token create --role \(role)', and give it in ROOST_TOKEN or --token.")
        }
        let security = try Pool.security(of: address, token: token)
        return (WireDialer(host: address.host, port: address.port, security: security), address)
    }

    /// Connects, lets `body` use the pool, and leaves it.
    func withPool<Result: Sendable>(
        for need: ClientConfiguration.Need = .client,
        _ body: (Pool) async throws(RoostError) -> Result
    ) async throws(RoostError) -> Result {
        let address = try address()
        let token = try tokenText(for: need)
        let pool = try await Pool.connect(address, token: token, description: Self.description)
        do throws(RoostError) {
            let result = try await body(pool)
            await pool.close()
            return result
        } catch {
            await pool.close()
            throw error
        }
    }

    /// Who we are, for the people who run the pool.
    static var description: String {
        var buffer = [CChar](repeating: 0, count: 256)
        gethostname(&buffer, buffer.count - 1)
        let host = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return "roost \(RoostVersion.text), \(Environment.userName)@\(host), process \(getpid())"
    }
}

extension Pool {
    /// Asks the server, and does not wait for ever: a server that is cut off for longer is an error.
    func ask(_ query: Query, within limit: Duration = .seconds(30)) async throws(RoostError) -> Reply {
        // Ends with this function: it is cancelled below.
        let alarm = Task { [self] in
            do { try await Task.sleep(for: limit) } catch { return }
            giveUp(RoostError(.unreachable, "the server did not answer within \(limit.components.seconds) s"))
        }
        let reply = await self.query(query)
        alarm.cancel()
        if case .failed(let error) = reply { throw error }
        return reply
    }

    /// How many things the query changed.
    func change(_ query: Query) async throws(RoostError) -> Int {
        guard case .done(let count) = try await ask(query) else { throw Self.unexpected }
        return Int(count)
    }

    static var unexpected: RoostError {
        RoostError(
            .protocolViolation, "the server gave an unexpected answer",
            remedy: "Use the same version of roost on both sides.")
    }
}
