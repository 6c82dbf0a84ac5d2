import ArgumentParser
import RoostModel

/// `roost doctor`.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Find out why a pool cannot be reached or does not work.",
        discussion: """
            Checks, in order: this program, which pool is meant, the token, the host's name, the connection, TLS \
            and the pool's certificate, whether the token is accepted, clocks, versions, nodes. The first thing \
            that is wrong is named, with what to do about it. No check takes longer than ten seconds.

            EXIT STATUS
              0 when all is well, otherwise that of the error: 64, 69, 77, 255.

            EXAMPLES
              roost doctor
              roost doctor roost://head:7117
              ROOST_TOKEN=@node-token roost doctor       why a node cannot join
            """)

    @Argument(help: ArgumentHelp("The pool's URL; else as everywhere.", valueName: "url"))
    var url: String?

    @OptionGroup var pool: PoolOptions
    @OptionGroup var format: OutputOptions

    func run() async throws {
        var checkup = Checkup(isJSON: format.isJSON)
        var options = pool
        if let url { options.pool = url }
        let failure = await checkup.run(options, isArgument: url != nil)
        checkup.finish(failure)
        if let failure { throw Quit(status: ExitStatus(failure.code)) }
    }
}
