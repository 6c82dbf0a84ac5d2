import Glibc
import UnixSignals

/// SIGTERM and SIGINT as a person means them: the first asks, the second insists.
enum Signals {
    /// Ends the process as shells expect of one that this signal ended.
    static func end(by signal: String) -> Never { _exit(128 + (signal == "SIGINT" ? SIGINT : SIGTERM)) }

    /// Calls `first` at the first signal, `second` at the second and ends the process at the third, until the
    /// answer is cancelled.
    static func watch(
        first: @escaping @Sendable (String) -> Void, second: @escaping @Sendable (String) -> Void
    ) async -> Task<Void, Never> {
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        return Task {
            var count = 0
            for await signal in signals {
                count += 1
                switch count {
                case 1: first("\(signal)")
                case 2: second("\(signal)")
                default: end(by: "\(signal)")
                }
            }
        }
    }
}
