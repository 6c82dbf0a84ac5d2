/// The exit statuses of `roost`: GNU parallel's for what the tasks did, sysexits' for what we could not do.
package struct ExitStatus: RawRepresentable, Hashable, Sendable {
    package var rawValue: Int32
    package init(rawValue: Int32) { self.rawValue = rawValue }

    package static let success = ExitStatus(rawValue: 0)
    /// Wrong usage (EX_USAGE).
    package static let usage = ExitStatus(rawValue: 64)
    /// The pool cannot be reached (EX_UNAVAILABLE).
    package static let unavailable = ExitStatus(rawValue: 69)
    /// The pool refused: wrong, expired or revoked token, or a role without the right (EX_NOPERM).
    package static let refused = ExitStatus(rawValue: 77)
    /// Ctrl-C.
    package static let interrupted = ExitStatus(rawValue: 130)
    /// Roost itself could not go on: a full disk, an unreadable input.
    package static let roostFailed = ExitStatus(rawValue: 255)

    /// That many tasks failed: 1–100, and 101 for more.
    package static func failures(_ count: Int) -> ExitStatus { ExitStatus(rawValue: Int32(min(max(count, 0), 101))) }
}
