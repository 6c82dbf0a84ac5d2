/// The numbers that bound what `roost map` holds on the client's side.
package enum MapLimits {
    /// The longest single input, in bytes: a longer one means that the delimiter is wrong.
    package static let recordBytes = 16 << 20
    /// How much is read from a file or a pipe at once, in bytes.
    package static let readBytes = 64 << 10
    /// Tasks read and submitted, but without an outcome, before reading pauses; it resumes at three quarters.
    package static let outstandingTasks = 200_000
    /// The same in bytes of remembered inputs.
    package static let outstandingBytes = 256 << 20
    /// Tasks read and not yet taken by the session, before the reader waits.
    package static let waitingTasks = 8192
    /// Pieces of output not yet taken by the session, in bytes. From a quarter of it on, tasks that print wait; beyond
    /// it pieces are dropped and printed from what was captured.
    package static let waitingOutputBytes = 64 << 20
    /// How much output is gathered, in bytes, before it is written in the middle of a burst.
    package static let writeBytes = 1 << 20
    /// How long ends of tasks pile up before they are looked at, while more than so many tasks have not ended.
    package static let napMilliseconds: Int32 = 5
    package static let napTasks = 64
    /// How long nothing may run before it is said why; and between two looks.
    package static let wantAfter: Duration = .seconds(3)
    /// How long leaving a pool may take.
    package static let leaveWithin: Duration = .seconds(10)
    /// How much is read at once of output that was kept in a file.
    package static let keptReadBytes = 256 << 10
    /// How much of each of a task's two outputs comes with its outcome for `--output json`, in bytes: on this machine
    /// (1 GiB) and from a server (64 MiB).
    package static let keptOutputBytes = 1 << 30
    package static let keptRemoteOutputBytes = 64 << 20
    /// Tasks at once with `-j 0`.
    package static let unlimitedSlots = 1024
    /// The longest unfinished line held back by `--line-buffer`, in bytes.
    package static let lineBytes = 64 << 10
    /// Live output of later tasks held for `--keep-order --line-buffer`, in bytes; beyond it their output is kept in
    /// files.
    package static let heldOutputBytes = 64 << 20
    /// Failures named one by one in the summary.
    package static let failuresNamed = 10
    /// The least time between two drawings of the progress bar.
    package static let redrawInterval: Duration = .milliseconds(100)
    /// Time between two plain progress lines when the percentage does not say when.
    package static let plainInterval: Duration = .seconds(30)
}
