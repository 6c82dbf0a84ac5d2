/// What happens to a `roost map`, reported to ``MapSession`` by the thin shell around it.
package enum MapFact: Hashable, Sendable {
    /// Tasks arrived from the ``MapTaskReader``, in its order; as many as were there, without waiting for more.
    case tasksRead([MapTask])
    /// All inputs have been read.
    case inputsEnded
    /// Reading stopped with an error; tasks that were read go on.
    case inputsFailed(MapError)
    /// Something about the inputs that a person should know: a warning, once.
    case inputsWarned(String)
    /// The pool has the whole job (after `closeJob`) on its disk; with its number and id, for `--detach`.
    case submitted(job: String, id: String)
    /// How many attempts run now.
    case running(Int)
    /// So many attempts were made again.
    case retried(Int)
    /// So many attempts were lost with the nodes they ran on.
    case lost(Int)
    /// No node of the pool can run the job, however long it waits: why, and what would help. Said once.
    case wanting(String)
    /// A piece of a running task's output.
    case chunk(MapChunk)
    /// Tasks ended.
    case outcomes([MapOutcome])
    /// Ctrl-C, or SIGTERM.
    case interrupted
    /// SIGHUP: what runs may end, nothing more is started.
    case hungUp
    /// Whoever read our standard output has gone (EPIPE).
    case outputClosed
    /// The pool was lost or refused, or a file of ours cannot be written: nothing can go on.
    case failed(MapError)
    /// Time passed; several times a second, for the progress display.
    case ticked
}

/// What the shell is to do, in this order.
package enum MapAction: Hashable, Sendable {
    /// Append these tasks to the job; the first one's index in the job is `firstIndex`. The first submission makes
    /// the job.
    case submit(firstIndex: Int, commands: [ComposedCommand])
    /// No tasks follow: N is known.
    case closeJob
    /// Write to our standard output or error, unbuffered: both may be the same terminal.
    case write(OutputWrite)
    /// Append one line to the job log.
    case appendJoblog([UInt8])
    /// Write bytes of a results file, see ``ResultsDirectory``.
    case writeResult(path: [UInt8], offset: Int, bytes: [UInt8])
    /// The reader is too far ahead.
    case pauseInputs
    case resumeInputs
    /// No more inputs are wanted; the reader may be left blocked.
    case stopInputs
    /// Cancel the job: INT, TERM, KILL with grace. Outcomes still come.
    case cancelJob
    /// Kill the job's tasks at once.
    case killJob
    /// Start nothing more, let what runs end, then cancel the rest. Outcomes still come.
    case drainJob
    /// Done: let go of the pool and exit with this status. Nothing follows.
    case finish(ExitStatus)
}
