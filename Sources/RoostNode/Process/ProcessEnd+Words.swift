import Glibc
import RoostModel

extension ProcessEnd {
    /// How the process ended, in words that follow a subject: "exit status 3", "killed by signal 9 (SIGKILL)".
    var words: String {
        switch exit {
        case .exited(let status): return "exit status \(status)"
        case .signalled(let signal, let dumped):
            if outOfMemoryKilled == true { return "killed by the kernel for want of memory" }
            return "killed by signal \(signal) (\(SignalName.of(signal)))\(dumped ? ", core dumped" : "")"
        }
    }
}

extension PostMortem {
    /// The evidence that a process left; its reason is ``ProcessEnd/words``.
    init(of end: ProcessEnd, node: String = "", attempt: UInt32 = 0) {
        self.init(
            reason: end.words, node: node, attempt: attempt, peakMemoryBytes: end.peakMemoryBytes,
            outOfMemoryKilled: end.outOfMemoryKilled, lastOutput: LastLines.of(end.stderr, else: end.stdout))
        switch end.exit {
        case .exited(let status): exitStatus = status
        case .signalled(let signal, _): self.signal = signal
        }
    }
}

/// The last lines of what a command printed: of its errors, or, when it printed none, of its output.
enum LastLines {
    static func of(
        _ stderr: CapturedOutput, else stdout: CapturedOutput, atMost limit: Int = Limits.postMortemOutputBytes
    ) -> String {
        let shown = stderr.totalBytes > 0 ? stderr : stdout
        let bytes = shown.tail.isEmpty ? shown.head : shown.tail
        return String(decoding: bytes.suffix(limit), as: UTF8.self)
    }
}

/// Signals by name.
enum SignalName {
    private static let names: [Int32: String] = [
        SIGHUP: "SIGHUP", SIGINT: "SIGINT", SIGQUIT: "SIGQUIT", SIGILL: "SIGILL", SIGTRAP: "SIGTRAP",
        SIGABRT: "SIGABRT", SIGBUS: "SIGBUS", SIGFPE: "SIGFPE", SIGKILL: "SIGKILL", SIGUSR1: "SIGUSR1",
        SIGSEGV: "SIGSEGV", SIGUSR2: "SIGUSR2", SIGPIPE: "SIGPIPE", SIGALRM: "SIGALRM", SIGTERM: "SIGTERM",
        SIGXCPU: "SIGXCPU", SIGXFSZ: "SIGXFSZ", SIGSYS: "SIGSYS",
    ]

    static func of(_ signal: Int32) -> String { names[signal] ?? "signal \(signal)" }
}
