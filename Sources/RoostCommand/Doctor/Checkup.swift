import NIOCore
import NIOPosix
import Roost
import RoostModel
import RoostNode
import RoostWire

/// One examination: each step says what it found; the first that fails ends it.
struct Checkup {
    /// What a step found.
    struct Finding {
        enum Grade: String { case ok, warning, failed }
        var grade: Grade
        var check: String
        var text: String
        var remedy = ""
    }

    private let isJSON: Bool
    private var findings: [Finding] = []

    /// More than this, and times in logs and certificates mislead.
    private static let clockTolerance: Duration = .seconds(5)

    init(isJSON: Bool) { self.isJSON = isJSON }

    /// Why the examination could not go on; nil when it came to its end.
    mutating func run(_ options: PoolOptions, isArgument: Bool) async -> RoostError? {
        var check = "program"
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do throws(RoostError) {
            ok(check, "roost \(RoostVersion.text), \(Environment.executable() ?? "?"), \(MachineFacts.current().platform)")
            check = "pool"
            let address = try options.address()
            ok(check, "\(address), from \(options.poolOrigin(isArgument: isArgument))")
            check = "token"
            let (security, token) = try self.token(options, address)
            check = "name"
            let addresses = try await WireProbe.resolve(host: address.host, port: address.port, on: group.any())
            let words = addresses.map { "\($0)" }.joined(separator: ", ")
            ok(check, "\(address.host) is \(words)")
            check = "connection"
            try await connect(addresses, on: group.any())
            check = "welcome"
            let dialer = WireDialer(host: address.host, port: address.port, security: security)
            let began = Clock.now()
            let welcome = try await Self.greet(dialer, role: token?.role, on: group.any())
            let took = Clock.now() - began
            ok(
                check,
                address.isPlain
                    ? "the server lets us in, without TLS"
                    : "TLS and the pool's certificate are good, and the token is accepted")
            check = "clock"
            compareClocks(welcome, took: took)
            check = "version"
            compareVersions(welcome)
            check = "nodes"
            if token?.role != .node { try await lookForNodes(options) }
        } catch {
            findings.append(Finding(grade: .failed, check: check, text: Self.words(error), remedy: error.remedy))
            try? await group.shutdownGracefully()
            return error
        }
        try? await group.shutdownGracefully()
        return nil
    }

    private static func words(_ error: RoostError) -> String {
        error.cause.isEmpty ? error.message : "\(error.message): \(error.cause)"
    }

    private mutating func ok(_ check: String, _ text: String) {
        findings.append(Finding(grade: .ok, check: check, text: text))
    }

    private mutating func warn(_ check: String, _ text: String, _ remedy: String) {
        findings.append(Finding(grade: .warning, check: check, text: text, remedy: remedy))
    }

    // MARK: Steps

    private mutating func token(
        _ options: PoolOptions, _ address: PoolAddress
    ) throws(RoostError) -> (WireDialer.Security, PoolToken?) {
        guard let text = try options.tokenText(for: .client) else {
            guard address.isPlain else {
                throw RoostError(
                    .refused, "no token: none in --token, ROOST_TOKEN or \(Environment.configDirectory)",
                    remedy: "Make one on the server's host: roost token create --role client")
            }
            ok("token", "none, and a plain server needs none")
            return (.plain(nil), nil)
        }
        let token = try PoolToken(parsing: text)
        ok("token", "\(token.credential.id), for a \(token.role.name), user \(token.user), from \(options.tokenOrigin)")
        return (try Pool.security(of: address, token: text), token)
    }

    private mutating func connect(_ addresses: [WireProbe.Address], on loop: any EventLoop) async throws(RoostError) {
        var failures: [String] = []
        for address in addresses {
            do throws(RoostError) {
                let time = try await WireProbe.connect(to: address, on: loop)
                let tenths = time.wholeNanoseconds / 100_000
                ok("connection", "\(address) answers within \(tenths / 10).\(tenths % 10) ms")
                return
            } catch {
                failures.append(Self.words(error))
            }
        }
        throw RoostError(
            .unreachable, failures.joined(separator: "; "),
            remedy: "Is the server running there, on that port? Does a firewall stand between?")
    }

    /// A node's token is tried by a report about a node that does not exist: joining would get it work.
    private static func greet(
        _ dialer: WireDialer, role: Role?, on loop: any EventLoop
    ) async throws(RoostError) -> Welcome {
        if role == .node {
            let report = GuardReport(node: NodeID(rawValue: 0), incarnation: Incarnation(rawValue: 0))
            return try await dialer.connect(hello: .guardReport(report), on: loop) {
                (_: Welcome, _: any Link<NodeToServer>) -> any LinkDelegate<ServerToNode> in Deaf<ServerToNode>()
            }.welcome
        }
        let hello = ClientHello(session: SessionID(rawValue: .random(in: .min ... .max)), description: "roost doctor")
        return try await dialer.connect(hello: .client(hello), on: loop) {
            (_: Welcome, link: any Link<ClientToServer>) -> any LinkDelegate<ServerToClient> in
            link.send(.goodbye)
            link.close(nil)
            return Deaf<ServerToClient>()
        }.welcome
    }

    private mutating func compareClocks(_ welcome: Welcome, took: Duration) {
        // The server looked at its clock at some moment of the greeting.
        let apart = Duration.nanoseconds(welcome.unixNanoseconds - Clock.unixNanoseconds()) + took / 2
        let distance = apart < .zero ? .zero - apart : apart
        let tenths = distance.wholeNanoseconds / 100_000_000
        let text = "the server's clock is \(tenths / 10).\(tenths % 10) s \(apart < .zero ? "behind" : "ahead of") ours"
        if distance > Self.clockTolerance {
            warn("clock", text, "Set both clocks, best by NTP: times in logs and certificates mislead.")
        } else {
            ok("clock", text)
        }
    }

    private mutating func compareVersions(_ welcome: Welcome) {
        let text = "the server is Roost \(welcome.serverVersion), pool \(Hex.of(welcome.pool)), epoch \(welcome.epoch)"
        if welcome.serverVersion == RoostVersion.text {
            ok("version", text)
        } else {
            warn("version", "\(text); this is \(RoostVersion.text)", "It may work; use one version everywhere when you can.")
        }
    }

    private mutating func lookForNodes(_ options: PoolOptions) async throws(RoostError) {
        let nodes = try await options.withPool { (pool) throws(RoostError) in
            guard case .pool(let snapshot) = try await pool.ask(.pool, within: Limits.connectTimeout) else {
                throw Pool.unexpected
            }
            return snapshot.nodes
        }
        let good = nodes.filter { $0.state == .connected }
        let slots = good.reduce(0) { $0 + $1.offer.milliCPUs / 1000 }
        let away = nodes.count { $0.state == .suspect || $0.state == .lost }
        if good.isEmpty {
            warn(
                "nodes", nodes.isEmpty ? "no node is in the pool" : "no node takes work: \(nodes.count) drain or are out of contact",
                "Start one: roost node start, with a token of role node.")
        } else if away > 0 {
            warn("nodes", "\(good.count) with \(slots) slots; \(away) out of contact", "See: roost node list")
        } else {
            ok("nodes", "\(good.count) with \(slots) slots")
        }
    }

    // MARK: The report

    func finish(_ failure: RoostError?) {
        if isJSON { return Terminal.print(json(failure)) }
        var text = ""
        for finding in findings {
            let mark =
                switch finding.grade {
                case .ok: "ok      "
                case .warning: "warning "
                case .failed: "FAILED  "
                }
            text += "\(mark)\(finding.check.padded(to: 11)) \(finding.text)\n"
            if !finding.remedy.isEmpty { text += String(repeating: " ", count: 20) + finding.remedy + "\n" }
        }
        if failure == nil {
            let warnings = findings.count { $0.grade == .warning }
            text += warnings == 0 ? "All is well.\n" : "The pool can be reached; \(warnings) thing\(warnings == 1 ? "" : "s") to look at.\n"
        }
        Terminal.print(text)
    }

    private func json(_ failure: RoostError?) -> [UInt8] {
        JSONWriter.document { json in
            json.object { json in
                json.member("ok", failure == nil)
                json.key("checks")
                json.beginArray()
                for finding in findings {
                    json.object { json in
                        json.member("check", finding.check)
                        json.member("grade", finding.grade.rawValue)
                        json.member("text", finding.text)
                        json.member("remedy", finding.remedy)
                    }
                }
                json.endArray()
            }
        }
    }
}

extension PoolOptions {
    /// Where the URL came from.
    func poolOrigin(isArgument: Bool) -> String {
        if isArgument { return "the command line" }
        if pool != nil { return "--pool" }
        return Environment.value("ROOST_POOL") != nil ? "ROOST_POOL" : "\(Environment.configDirectory)/url"
    }

    /// Where the token came from.
    var tokenOrigin: String {
        if token != nil { return "--token" }
        return Environment.value("ROOST_TOKEN") != nil ? "ROOST_TOKEN" : Environment.configDirectory
    }
}

/// Hears a connection that nothing is expected of.
final class Deaf<Incoming: WireMessage>: LinkDelegate {
    func linkReceived(_ messages: [Incoming]) {}
    func linkWritabilityChanged(_ isWritable: Bool) {}
    func linkClosed(_ reason: RoostError) {}
}
