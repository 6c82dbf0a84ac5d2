import ArgumentParser
import Glibc
import Roost
import RoostModel
import RoostServer
import RoostWire

/// `roost server start`.
struct ServerStart: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Start a pool's server, here and now, in the foreground.",
        discussion: """
            The first start makes the pool: its certificates and tokens, in a directory that only you can read, and \
            ~/.config/roost, so that roost on this machine finds the pool without flags. Later starts take up the \
            same pool.

            SIGTERM or Ctrl-C stops it; nodes and clients wait for the next start and go on: tasks that run go on \
            running. Durable jobs ('roost job submit', 'roost map --detach') are on its disk, in the data directory; \
            attached ones (roost map) are sent again by their clients. If the disk fails or is full, the server stops, \
            says so, and loses nothing that it has acknowledged.

            EXAMPLES
              roost server start
              roost server start --listen 10.0.0.5:7117 --data /srv/roost
              roost server start --listen 127.0.0.1:0 --ready-file /tmp/ready
            """)

    @Option(help: ArgumentHelp("Where to listen; port 0 takes a free one.", valueName: "host:port"))
    var listen = "0.0.0.0:7117"

    @Option(
        help: ArgumentHelp(
            "The pool's certificates, tokens and durable jobs. Default: ~/.local/share/roost.", valueName: "dir"),
        completion: .directory)
    var data: String?

    @Option(
        help: ArgumentHelp(
            "How long durable jobs are kept after their end: 90s, 12h, 30d; 'forever'.", valueName: "time"))
    var keep: String?

    @Flag(help: "Without TLS and tokens, on loopback only: everybody on this machine may do everything.")
    var plain = false

    @Option(
        help: ArgumentHelp("Write HOST:PORT there once the server listens.", valueName: "file"), completion: .file())
    var readyFile: String?

    @Option(help: ArgumentHelp("What to log to standard error.", valueName: "level"))
    var logLevel = LogLevel.info

    func run() async throws {
        let where_ = try ListenAddress(parsing: listen)
        var configuration = ServerConfiguration(dataDirectory: data ?? Environment.dataDirectory)
        configuration.host = where_.host
        configuration.port = where_.port
        configuration.isPlain = plain
        configuration.version = RoostVersion.text
        configuration.storeFaults = Environment.value("ROOST_STORE_FAULT")
        if let keep { configuration.keep = try DurationText.keep(keep) }
        let log = logLevel.logger("roost.server")
        let directory = configuration.dataDirectory
        let welcome = FirstStart(asked: where_, isPlain: plain, readyFile: readyFile)
        let server = try await PoolServer.make(configuration, log: log) { (host, port) throws(RoostError) in
            try welcome.announce(host: host, port: port, dataDirectory: directory)
        }
        let watcher = await Signals.watch(
            first: { server.requestStop("\($0) was received") },
            second: { _ in _exit(ExitStatus.interrupted.rawValue) })
        try await server.run()
        watcher.cancel()
    }
}

/// `HOST:PORT`, `HOST` or `:PORT`.
struct ListenAddress: Hashable {
    var host: String
    var port: Int

    init(parsing text: String) throws(RoostError) {
        let wrong = RoostError(
            .usage, "--listen takes HOST:PORT, not '\(text)'", remedy: "For example --listen 0.0.0.0:7117; port 0 takes a free one.")
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { throw wrong }
            host = String(text[text.index(after: text.startIndex)..<end])
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.first == ":" else { throw wrong }
            port = try Self.port(rest.dropFirst(), wrong)
        } else if let colon = text.lastIndex(of: ":") {
            host = String(text[..<colon])
            port = try Self.port(text[text.index(after: colon)...], wrong)
        } else {
            host = text
            port = PoolAddress.defaultPort
        }
        if host.isEmpty { host = "0.0.0.0" }
    }

    private static func port(_ text: Substring, _ wrong: RoostError) throws(RoostError) -> Int {
        if text.isEmpty { return PoolAddress.defaultPort }
        guard let port = Int(text), (0...65_535).contains(port) else { throw wrong }
        return port
    }
}
