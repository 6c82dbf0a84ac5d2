/// Every number that bounds the bridge, with its unit.
package enum BridgeLimits {
    /// The largest control of a frame, in bytes; before a connection has said the secret, and after.
    package static let strangerControlBytes = 64 << 10
    package static let controlBytes = 64 << 20
    /// The most elements of a control.
    package static let controlElements = 64
    /// How much larger than twice its stream a control may become when compact forms and what its elements share are written
    /// out, in bytes.
    package static let controlGrowthBytes = 8 << 20
    /// The largest part of a frame's blob, in bytes: a payload and its header.
    package static let partBytes = (2 << 30) + (1 << 20)
    /// The most parts of a blob.
    package static let parts = 16
    /// Connections that have not said the secret yet.
    package static let strangers = 16
    /// How long a connection may take to say it.
    package static let helloSeconds: Int64 = 10
    /// How long the bridge waits for its R session to connect.
    package static let firstConnectionSeconds: Int64 = 60
    /// Until the next try to accept a connection, when the system has no room for one.
    package static let acceptPauseMilliseconds: Int64 = 100
    /// Requests that are being answered at a time.
    package static let openRequests = 1024
    /// Conditions that wait for R, and those that R has not acknowledged, in bytes; what comes then is dropped.
    package static let conditionBytes = 16 << 20
    /// Between two answers that say how far a job is.
    package static let progressMilliseconds: Int64 = 200
    /// How long a job that `run` made may take before R is told its name.
    package static let announceMilliseconds: Int64 = 20
    /// How long tasks that are appended one by one wait for each other.
    package static let gatherMilliseconds: Int64 = 2
    /// How long the bridge looks for the answer to a small call, or for the next call, before it sleeps: about as long as sleeping and
    /// being woken takes.
    package static let awakeMicroseconds: Int64 = 80
    /// How long R may have waited for a job of which nothing runs before it is told why; and between two looks.
    package static let wantSeconds: Int64 = 3
    /// How old the number of nodes and slots in them may be.
    package static let snapshotSeconds: Double = 2
    /// Up to so many bytes and tasks, cutting and joining are done at once, where the connections are served.
    package static let inlineBytes = 64 << 10
    package static let inlineTasks = 256
    /// Outcomes of a job up to so many bytes are joined for a brief `next` where the connections are served.
    package static let atOnceBytes = 4 << 20
    /// Outcomes in one answer to `next`, at most.
    package static let nextTasks = 65_536
    /// Tasks of jobs the bridge holds for its R session.
    package static let tasksPerJob = 100_000_000
    /// Bytes written to the socket ahead of what the system takes.
    package static let writeAheadBytes = 1 << 20
    /// How long the server may take to see that a job that is to be forgotten has ended, and the pause between two tries.
    package static let forgetSeconds: Int64 = 5
    package static let forgetPauseMilliseconds: Int64 = 50
    /// How long closing the pool may take when the session has ended.
    package static let closeSeconds: Int64 = 15
}
