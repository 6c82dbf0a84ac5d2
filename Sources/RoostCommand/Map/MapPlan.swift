package import RoostModel

/// Everything that a `roost map` was asked for, resolved: the seam between the command line and the pool.
///
/// A connector opens the pool that `pool` names (nil: an embedded one with `jobs` slots), makes a job of `policy`,
/// `request`, `labels` and `streamsOutput`, runs ``MapTaskReader`` on a thread of its own and ``MapSession`` on
/// another, and carries facts and actions between them.
package struct MapPlan: Sendable {
    /// How the tasks' output is shown.
    package struct Output: Sendable {
        package var mode: OutputArranger.Mode = .grouped
        /// `-k`: read the job's outcomes in order.
        package var isOrdered = false
        /// Before each line; nil for none.
        package var tag: Template?
        /// Into files instead of standard output.
        package var results: ResultsLayout?
        /// One JSON object a task instead of its output.
        package var isJSON = false
        /// Whether standard output and the progress line may share a terminal.
        package var isTerminal = false
        package init() {}
    }

    /// The job log's file.
    package struct JoblogFile: Hashable, Sendable {
        package var path: String
        package var appends: Bool

        package init(path: String, appends: Bool) {
            self.path = path
            self.appends = appends
        }
    }

    // MARK: What runs

    package var template: CommandTemplate
    package var sources: [InputSource]
    package var rules: InputRules
    package var isDryRun = false
    package var resume = ResumeState.Policy.nothing

    // MARK: Where and how

    /// `roost://HOST:PORT`; nil for an embedded pool.
    package var pool: String?
    package var token: String?
    package var name = ""
    /// Submit and return.
    package var detaches = false
    package var jobs = JobsSpec.slots
    /// `maxParallel` is set when `-j` is a plain number; other forms need the number of CPUs.
    package var policy = JobPolicy()
    package var request = Resources.oneCPU
    package var labels: [Label] = []
    /// Names of variables to hand to the tasks.
    package var environment: [String] = []
    package var workingDirectory: String?

    // MARK: What is shown

    package var output = Output()
    package var joblog: JoblogFile?
    package var progress = ProgressMode.quiet

    package init(template: CommandTemplate, sources: [InputSource], rules: InputRules = InputRules()) {
        self.template = template
        self.sources = sources
        self.rules = rules
    }

    /// Whether large output comes while a task runs, and is kept in a file until it is the task's turn.
    package var keepsLargeOutput: Bool { !streamsOutput && !output.isJSON && !detaches }

    /// Whether the pool should send output while tasks run.
    package var streamsOutput: Bool { output.results != nil || (output.mode != .grouped && !output.isJSON) }

    /// Whether a task's inputs are needed when it ends.
    var remembersInputs: Bool {
        joblog != nil || output.tag != nil || output.results != nil || output.isJSON
    }

    /// Whether standard input is one of the sources; a person at a terminal should be told so.
    package var readsStandardInput: Bool { sources.contains { $0.origin == InputSource.standardInput.origin } }
}

/// How progress is shown on standard error.
package enum ProgressMode: Hashable, Sendable {
    /// Not at all.
    case quiet
    /// A line at the bottom of the terminal, drawn again and again.
    case bar
    /// A line now and then, the first after this time.
    case plain(after: Duration)
}
