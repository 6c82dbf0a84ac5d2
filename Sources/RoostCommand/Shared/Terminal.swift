import Glibc

/// Standard output and standard error, written at once and whole.
enum Terminal {
    static func print(_ text: String) { write(Array(text.utf8), to: STDOUT_FILENO) }

    static func print(_ bytes: [UInt8]) { write(bytes, to: STDOUT_FILENO) }

    /// For people, beside the output: what a pipe should not get.
    static func note(_ text: String) { write(Array("\(text)\n".utf8), to: STDERR_FILENO) }

    static func printError(_ bytes: [UInt8]) { write(bytes, to: STDERR_FILENO) }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var position = 0
        while position < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress.map { $0 + position }, $0.count - position) }
            if count < 0 && errno == EINTR { continue }
            if count < 0 && errno == EAGAIN {
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&waiting, 1, -1)
                continue
            }
            if count <= 0 {
                // A reader that went away (`… | head`) ends us as quietly as it ends other tools; a log without a
                // reader ends nothing.
                if descriptor == STDOUT_FILENO && errno == EPIPE { _exit(128 + SIGPIPE) }
                return
            }
            position += count
        }
    }

    /// How wide a table may be; nil when nobody looks.
    static var width: Int? {
        guard isatty(STDOUT_FILENO) == 1 else { return nil }
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }
}
