import ArgumentParser

/// `roost doctor`.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "doctor", abstract: "x")
}
