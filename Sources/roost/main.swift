import Glibc
import RoostCommand

// `roost map` polls on the program's first thread, where it also takes its signals; an asynchronous main would
// move it to another. Its guard, which nobody told whom to report to, needs no more than that thread either.
if CommandLine.arguments.dropFirst().first == "map" {
    _exit(Map.run(Array(RawArguments.current.dropFirst())).rawValue)
}
if GuardReporter.watchesOnly(CommandLine.arguments) { _exit(0) }
Task.detached {
    if GuardReporter.isAsked(CommandLine.arguments) {
        await GuardReporter.run(CommandLine.arguments)
        exit(0)
    }
    await RoostProgram.start()
}
while true { pause() }
