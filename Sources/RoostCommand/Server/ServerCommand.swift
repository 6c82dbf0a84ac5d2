import ArgumentParser

/// `roost server`: the process that owns the queue.
struct ServerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server",
        abstract: "Run the process that owns the queue, or look at it.",
        subcommands: [
            ServerStart.self, ServerStatus.self, ServerStop.self, ServerBackup.self, ServerRestore.self, ServerCheck.self,
        ])
}
