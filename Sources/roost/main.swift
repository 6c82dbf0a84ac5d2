import Glibc
import RoostCommand
import RoostNode

// The guard's own start, before anything else is set up: `roost guard … TAG`, its pipe on descriptor 0.
// `roost map` needs no asynchronous main: its first thread polls.
switch CommandLine.arguments.dropFirst().first {
case "guard":
    if CommandLine.arguments.count >= 3, let tag = CommandLine.arguments.last { runGuard(tag: tag, input: 0, onDeath: {}) }
case "map":
    _exit(Map.run(Array(RawArguments.current.dropFirst())).rawValue)
default:
    break
}
