import Roost
import RoostModel
import RoostNode
import RoostWire

/// What a server does once it listens: says where, and, at a pool's first start, makes its tokens.
struct FirstStart: Sendable {
    let asked: ListenAddress
    let isPlain: Bool
    let readyFile: String?

    func announce(host: String, port: Int, dataDirectory: String) throws(RoostError) {
        let store = try TokenStore(directory: dataDirectory)
        if try store.list().isEmpty, !isPlain {
            try makeTokens(store, host: host, port: port, dataDirectory: dataDirectory)
        }
        if let readyFile { try ReadyFile.write("\(Self.shown(host)):\(port)", to: readyFile) }
    }

    private func makeTokens(
        _ store: TokenStore, host: String, port: Int, dataDirectory: String
    ) throws(RoostError) {
        let now = WallTime.now()
        let authority = try CertificateAuthority.open(directory: dataDirectory, at: now).fingerprint
        func token(_ role: Role) throws(RoostError) -> PoolToken {
            try store.create(role: role, user: Environment.userName, lifetime: nil, authority: authority, at: now)
        }
        let tokens = (client: try token(.client), admin: try token(.admin), node: try token(.node))
        let local = PoolAddress(host: Self.isWildcard(host) ? "127.0.0.1" : host, port: port)
        // A port that the system chose is another one tomorrow: nothing to remember.
        var isConfigured = false
        let configuration = ClientConfiguration()
        if asked.port != 0 {
            isConfigured = try configuration.writeIfAbsent(
                url: "\(local)", client: tokens.client, admin: tokens.admin, node: tokens.node)
        }
        let reachable = Self.isWildcard(host) ? MachineFacts.current().hostName : host
        let elsewhere = PoolAddress(host: reachable, port: port)
        Terminal.note(
            Self.text(
                data: dataDirectory, configuration: isConfigured ? configuration.directory : nil, local: local,
                elsewhere: elsewhere, isDefaultData: dataDirectory == Environment.dataDirectory))
    }

    /// What a person does next.
    static func text(
        data: String, configuration: String?, local: PoolAddress, elsewhere: PoolAddress, isDefaultData: Bool
    ) -> String {
        let dataFlag = isDefaultData ? "" : " --data \(data)"
        var lines = ["", "A new pool: its certificates and tokens are in \(data), for your eyes only."]
        if let configuration {
            lines += [
                "roost on this machine finds it through \(configuration).", "",
                "  a node here        roost node start",
                "  work for it        roost map --pool \(local) COMMAND ::: INPUTS",
            ]
        } else {
            lines += [
                "", "  a token for work   export ROOST_TOKEN=$(roost token create --role client\(dataFlag))",
                "  work for it        roost map --pool \(local) COMMAND ::: INPUTS",
            ]
        }
        lines += [
            "  a node elsewhere   roost token create --role node\(dataFlag)      (here: prints its TOKEN)",
            "                     roost node start --pool \(elsewhere) --token TOKEN", "",
        ]
        return lines.joined(separator: "\n")
    }

    private static func isWildcard(_ host: String) -> Bool { host == "0.0.0.0" || host == "::" }

    private static func shown(_ host: String) -> String {
        let reachable = host == "0.0.0.0" ? "127.0.0.1" : host == "::" ? "::1" : host
        return reachable.contains(":") ? "[\(reachable)]" : reachable
    }
}
