import ArgumentParser

/// `roost job`: work that the server keeps.
struct JobCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "job",
        abstract: "Submit work that the server keeps, and see to it.",
        subcommands: [])
}
