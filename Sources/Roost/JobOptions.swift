public import RoostModel

/// How a job is to be run; every field has a good default.
public struct JobOptions: Sendable {
    /// For people.
    public var name = ""
    /// What each task needs. Default: one CPU.
    public var request = Resources.oneCPU
    /// Labels a node must carry.
    public var labels: [Label] = []
    public var policy = JobPolicy()
    /// What keeps the job safe: this client's memory, or the server's disk.
    public var retention = Retention.attached
    /// Whether results come as tasks end, or by index.
    public var order = ReadRequest.Order.asCompleted
    /// Whether the tasks' output is delivered while they run, to ``JobHandle/onOutput(_:)``.
    public var streamsOutput = false
    /// Whether cancelling the Swift task that waits for the job, or reads its results, cancels the job too.
    public var isCancelledWithReader = false

    /// The seat of this session whose worker runs the tasks; 0: any worker.
    package var seat: UInt32 = 0
    /// Whether what tasks signal is delivered while they run, to ``JobHandle/onCondition(_:)``; their output is not.
    package var streamsConditions = false
    /// What whoever attaches to the job finds again.
    package var annotation: [UInt8] = []

    public init() {}
}

/// A command to run: a line for the shell, or a program and its arguments.
public struct Command: Sendable, Hashable {
    package var argument: CommandArgument

    /// A line for `/bin/sh -c`.
    public static func shell(_ line: String) -> Command { Command(argument: .shell(Array(line.utf8))) }

    /// A program and its arguments, executed without a shell.
    public static func program(_ path: String, _ arguments: [String] = []) -> Command {
        Command(argument: .direct(([path] + arguments).map { Array($0.utf8) }))
    }
}
