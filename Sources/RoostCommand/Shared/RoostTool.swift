import ArgumentParser
import Glibc
import RoostModel

/// The `roost` program: its commands, and how it ends.
struct RoostTool: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "roost",
        abstract: "An elastic compute pool: hand it jobs; nodes come and go, no task is ever lost.",
        discussion: """
            On this machine, with nothing to set up:

              roost map gzip -9 {} ::: *.log

            On several machines: start a server, let nodes join it, hand it work.

              roost server start                          on one machine
              roost token create --role node              there, for the others
              roost node start --pool roost://HOST:7117   on them, with ROOST_TOKEN
              roost map --pool roost://HOST:7117 gzip -9 {} ::: *.log

            When something does not work, 'roost doctor' says what and why.

            EXIT STATUS
              0    success
              64   wrong usage
              69   the pool cannot be reached
              77   the pool refused
              255  Roost itself could not go on
              'map' and 'job wait': 1 to 100 is how many tasks failed, 101 is more.

            ENVIRONMENT
              ROOST_POOL   the pool's URL, roost://HOST:PORT
              ROOST_TOKEN  the token, or @FILE
            """,
        version: RoostVersion.text,
        groupedSubcommands: [
            CommandGroup(name: "Work", subcommands: workCommands + [JobCommand.self, BridgeCommand.self]),
            CommandGroup(name: "Pool", subcommands: [ServerCommand.self, NodeCommand.self, TokenCommand.self]),
            CommandGroup(name: "Help", subcommands: [DoctorCommand.self] + measuringCommands),
        ])

    // `roost map` is started before this tree is, see ``Map``; its manual page belongs to it.
    private static let workCommands: [any ParsableCommand.Type] = [MapManual.self]
    private static let measuringCommands: [any ParsableCommand.Type] = [Bench.self]

}

/// The program's beginning and end.
package enum RoostProgram {
    /// Runs the command that the program's arguments name; ends the process.
    package static func start() async -> Never {
        // A pipe that closes is an error of `write`, not the end of a server.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try RoostTool.parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            Glibc.exit(0)
        } catch let quit as Quit {
            Glibc.exit(quit.status.rawValue)
        } catch let error as RoostError {
            Terminal.note(error.forPeople)
            Glibc.exit(ExitStatus(error.code).rawValue)
        } catch let error as MapError {
            Terminal.note("roost: \(error)")
            Glibc.exit(error.status.rawValue)
        } catch {
            RoostTool.exit(withError: error)
        }
    }
}
