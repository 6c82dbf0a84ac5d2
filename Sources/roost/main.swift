import RoostCommand

// A guard is not a command for people: it starts before anything else is set up.
if GuardReporter.isAsked(CommandLine.arguments) {
    await GuardReporter.run(CommandLine.arguments)
} else {
    await RoostProgram.start()
}
