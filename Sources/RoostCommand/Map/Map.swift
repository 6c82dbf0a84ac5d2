import ArgumentParser
import Glibc

/// `roost map`: the whole of it.
package enum Map {
    /// Runs `roost map` with what follows these two words, on the calling thread, which should be the program's
    /// first and only one: signals are blocked here for all threads to come.
    package static func run(_ arguments: [[UInt8]]) -> ExitStatus {
        do {
            let surroundings = MapPlan.Surroundings(
                environmentNames: Environ.names, outputIsTerminal: isatty(STDOUT_FILENO) == 1,
                errorIsTerminal: isatty(STDERR_FILENO) == 1)
            var plan = try MapPlan(arguments: arguments, surroundings: surroundings)
            let signals = try MapSignals()
            if plan.readsStandardInput && isatty(STDIN_FILENO) == 1 {
                say("roost: reading inputs from the terminal, one a line; Ctrl-D ends them\n")
                // What is typed and a bar that is drawn over it do not go together.
                plan.progress = .quiet
            }
            return try MapRunner(plan, signals: signals).run()
        } catch let error as MapError {
            say("roost: \(error)\n")
            return error.status
        } catch let help as CleanExit {
            try? FileWriting.writeAll(Array("\(MapManual.message(for: help))\n".utf8), to: STDOUT_FILENO)
            return .success
        } catch {
            say("roost: \(error)\n")
            return .roostFailed
        }
    }

    private static func say(_ text: String) { try? FileWriting.writeAll(Array(text.utf8), to: STDERR_FILENO) }
}
