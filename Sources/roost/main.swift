import Glibc
import RoostCommand

// `roost map` polls on the program's first thread, where it also takes its signals; an asynchronous main would
// move it to another. Everything else, a guard included, is asynchronous.
if CommandLine.arguments.dropFirst().first == "map" {
    _exit(Map.run(Array(RawArguments.current.dropFirst())).rawValue)
}
Task.detached {
    if GuardReporter.isAsked(CommandLine.arguments) {
        await GuardReporter.run(CommandLine.arguments)
        exit(0)
    }
    await RoostProgram.start()
}
while true { pause() }
