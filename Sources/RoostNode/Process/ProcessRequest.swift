/// Everything needed to run one program once.
package struct ProcessRequest: Sendable {
    /// The program: a path, or a name that is looked up in the PATH of ``environment``. nil: the first argument.
    package var executable: String?
    /// The whole argv, its first element included.
    package var arguments: CStringBlock
    /// The whole environment, as `NAME=value`. Nothing of the agent's own is added but the guard's tag.
    package var environment: CStringBlock
    package var workingDirectory: String
    /// The most memory the program and what it starts may use; see ``ProcessReactor/memoryLimitMethod``.
    package var memoryLimitBytes: UInt64?
    /// How much of the start of each output stream is kept.
    package var headBytes: Int
    /// How much of the end of each output stream is kept.
    package var tailBytes: Int
    /// Whether output is also sent as events while the program runs.
    package var streamsOutput: Bool
    /// Whether streaming begins by itself when a stream has more than ``headBytes``; nothing of it is left out then.
    package var streamsLargeOutput = false
    /// Whether the program keeps the agent's descriptors above 2 that are not marked close-on-exec. For embedded
    /// pools, whose caller's shell may have put them there on purpose: `roost map diff <(zcat old.gz) ::: …`.
    package var inheritsDescriptors = false

    /// How long the program may run on without contact to the server: the guard ends it then, should this process not do so.
    package var strictLease: Duration?

    /// For a worker that speaks in frames over its descriptors 3 and 4: the descriptor of the program it is to read as 5.
    /// The descriptor stays the caller's.
    package var framesProgram: Int32?

    package init(
        executable: String? = nil, arguments: CStringBlock, environment: CStringBlock, workingDirectory: String = "/",
        memoryLimitBytes: UInt64? = nil, headBytes: Int = 512 << 10, tailBytes: Int = 512 << 10,
        streamsOutput: Bool = false
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.memoryLimitBytes = memoryLimitBytes
        self.headBytes = headBytes
        self.tailBytes = tailBytes
        self.streamsOutput = streamsOutput
    }
}
