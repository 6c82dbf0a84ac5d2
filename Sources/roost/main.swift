import Glibc
import RoostNode

// The guard's own start, before anything else is set up: `roost guard TAG`, its pipe on descriptor 0.
if CommandLine.arguments.count == 3, CommandLine.arguments[1] == "guard" {
    runGuard(tag: CommandLine.arguments[2], input: 0, onDeath: {})
}
