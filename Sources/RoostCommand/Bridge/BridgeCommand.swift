import ArgumentParser
import Glibc
import RoostModel

/// `roost bridge`: what an R session talks to. People rarely type it; the R package does.
struct BridgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bridge",
        abstract: "Serve one R session: a pool behind a socket of this machine.",
        discussion: """
            The R package starts it. It connects to a pool (--pool), or makes one in this machine (--slots), then goes to the \
            background, in a session of its own, so that Ctrl-C reaches R only, and prints one line:

              roost-bridge 1 PORT SECRET PID

            Whoever says SECRET at 127.0.0.1:PORT may use the pool with this account's token. It ends, and leaves nothing \
            behind, when the process --parent ends, when R says bye, or when nobody connects within a minute. docs/bridge.md \
            has the protocol, for R and for any other language that can read a socket.

            EXAMPLES
              roost bridge --slots 4 --parent $$
              ROOST_TOKEN=@client-token roost bridge --pool roost://head:7117 --parent $$

            EXIT STATUS
              0 it serves; 64 wrong usage, 69 the pool cannot be reached, 77 the pool refused, 255 otherwise
            """)

    @OptionGroup var pool: PoolOptions

    @Option(
        help: ArgumentHelp(
            "A pool in this machine, with so many tasks at once; 0: as many as this process has CPUs.", valueName: "n"))
    var slots: Int?

    @Option(help: ArgumentHelp("The process to serve, and to end with.", valueName: "pid"))
    var parent: Int32

    @Option(
        name: .customLong("r"),
        help: ArgumentHelp("The R that runs tasks on this machine, with --slots. Default: R on the PATH.", valueName: "path"))
    var rPath: String?

    @Option(
        help: ArgumentHelp("Append what goes wrong later to this file. Default: nowhere.", valueName: "file"), completion: .file())
    var log: String?

    /// The half that stays; its secrets come by standard input.
    @Flag(help: .hidden) var serve = false

    func validate() throws {
        if let slots, !(0...4096).contains(slots) { throw ValidationError("--slots takes a number from 0 to 4096") }
        if slots != nil && pool.pool != nil { throw ValidationError("--pool and --slots exclude each other") }
        if parent <= 1 { throw ValidationError("--parent takes the id of a process") }
    }

    func run() async throws {
        if serve {
            await BridgeServing(self).run()
        } else {
            try BridgeLauncher(self).run()
        }
    }
}
