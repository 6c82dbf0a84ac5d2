import Glibc
import RoostCommand

// `roost map` polls on the program's first thread, where it also takes its signals; an asynchronous main would
// move it to another. A guard waits there too, and needs no other thread until it has something to tell.
if CommandLine.arguments.dropFirst().first == "map" {
    _exit(Map.run(Array(RawArguments.current.dropFirst())).rawValue)
}
let finding = GuardReporter.isAsked(CommandLine.arguments) ? GuardReporter.watch(CommandLine.arguments) : nil
Task.detached {
    if let finding {
        await GuardReporter.report(finding)
        _exit(0)
    }
    await RoostProgram.start()
}
while true { pause() }
