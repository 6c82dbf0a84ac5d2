package import RoostModel

/// What happened to a process that was asked for.
///
/// For each token: either one `couldNotStart`, or `started`, any number of `output`, and one `ended`.
package enum ProcessEvent: Sendable {
    case started(token: UInt64, pid: Int32)
    /// New output, `offset` bytes after the stream's beginning. What a stream had kept before streaming was switched on
    /// comes again from its own offsets, so a reader goes by them.
    case output(token: UInt64, stream: OutputChunk.Stream, offset: UInt64, bytes: [UInt8])
    /// A worker that speaks in frames sent one. What it printed before has come as `output` before.
    case frame(token: UInt64, WorkerFrame)
    /// The worker sent what is no frame. It is left running.
    case framesBroken(token: UInt64, reason: String)
    /// The worker's end of its frames is closed: it is about to end, or will never be heard again.
    case framesClosed(token: UInt64)
    case ended(token: UInt64, ProcessEnd)
    /// The program never ran. `message` names what is missing, in words.
    case couldNotStart(token: UInt64, errno: Int32, message: String)

    package var token: UInt64 {
        switch self {
        case .started(let token, _), .output(let token, _, _, _), .frame(let token, _), .framesBroken(let token, _),
            .framesClosed(let token), .ended(let token, _), .couldNotStart(let token, _, _):
            token
        }
    }
}

/// How a process ended and what it used.
package struct ProcessEnd: Sendable {
    package enum Exit: Equatable, Sendable {
        /// Left by itself. The status is -1 when another part of this program took it from the kernel before us.
        case exited(Int32)
        case signalled(Int32, coreDumped: Bool)
    }

    package var exit: Exit
    /// When it was started: nanoseconds since 1970.
    package var startNanoseconds: Int64
    /// How long it ran, on the monotonic clock.
    package var runNanoseconds: Int64
    /// CPU time of the process and of the children it waited for.
    package var userMicroseconds: Int64
    package var systemMicroseconds: Int64
    /// The most memory that it, or a child it waited for, had resident at once. nil: less than the agent itself
    /// ever had, which the kernel counts into the number of everything the agent starts.
    package var peakMemoryBytes: UInt64?
    /// Whether the kernel killed it, or a process it started, for lack of memory. nil: the system does not tell.
    package var outOfMemoryKilled: Bool?
    package var stdout: CapturedOutput
    package var stderr: CapturedOutput
}
