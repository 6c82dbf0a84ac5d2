/// An error a person may meet: what went wrong, why, and what to do about it.
public struct RoostError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of error it is, for programs. More kinds may come.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String, Hashable {
            case usage, unreachable, refused, limit, notFound, conflict, io, damaged, protocolViolation, cancelled, lost
            case `internal`
        }
        private var kind: Kind
        private init(_ kind: Kind) { self.kind = kind }

        /// The caller asked for something that makes no sense.
        public static let usage = Code(.usage)
        /// The pool could not be reached.
        public static let unreachable = Code(.unreachable)
        /// The pool does not let this peer do this.
        public static let refused = Code(.refused)
        /// Something is larger or more than the limits allow.
        public static let limit = Code(.limit)
        /// No such job, task, node or token.
        public static let notFound = Code(.notFound)
        /// It exists already, and differs.
        public static let conflict = Code(.conflict)
        /// A file, a disk or a process could not be used.
        public static let io = Code(.io)
        /// What was read from a disk is not what was written there.
        public static let damaged = Code(.damaged)
        /// The peer sent something it must not send.
        public static let protocolViolation = Code(.protocolViolation)
        /// Somebody asked for it to stop.
        public static let cancelled = Code(.cancelled)
        /// The connection is gone.
        public static let lost = Code(.lost)
        /// A defect of Roost.
        public static let `internal` = Code(.internal)

        /// The code's name on the wire and in JSON.
        public var description: String { kind.rawValue }

        /// The code of this name; ``internal`` for names this version does not know.
        public init(name: String) { kind = Kind(rawValue: name) ?? .internal }
    }

    public var code: Code
    /// One sentence: what went wrong, with the names and numbers involved.
    public var message: String
    /// What the person can do; may be empty.
    public var remedy: String
    /// The error beneath, in words; may be empty.
    public var cause: String

    public init(_ code: Code, _ message: String, remedy: String = "", cause: String = "") {
        self.code = code
        self.message = message
        self.remedy = remedy
        self.cause = cause
    }

    public var description: String {
        var text = message
        if !cause.isEmpty { text += ": \(cause)" }
        if !remedy.isEmpty { text += "\n  \(remedy)" }
        return text
    }
}
