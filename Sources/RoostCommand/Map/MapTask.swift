/// One task ready to be submitted.
package struct MapTask: Hashable, Sendable {
    package var input: MapInput
    package var command: ComposedCommand

    package init(input: MapInput, command: ComposedCommand) {
        self.input = input
        self.command = command
    }
}

/// Reads inputs and composes commands, lazily: the part of `roost map` that may block, for a thread of its own.
package final class MapTaskReader {
    private let reader: MapInputReader
    private let template: CommandTemplate
    private let resume: ResumeState
    /// Set when results on disk say what is done, instead of a log.
    private let results: ResultsLayout?
    private let directory = ResultsDirectory()

    /// Opens the sources of `plan`, and reads the job log when something is resumed.
    package init(_ plan: MapPlan) throws(MapError) {
        template = plan.template
        if plan.resume != .nothing, let joblog = plan.joblog {
            resume = ResumeState(joblog: try Joblog.read(path: joblog.path), policy: plan.resume)
            results = nil
        } else {
            resume = ResumeState()
            results = plan.resume == .nothing ? nil : plan.output.results
        }
        reader = try MapInputReader(sources: plan.sources, rules: plan.rules)
    }

    /// Whether an input had a NUL byte and was changed.
    package var replacedNUL: Bool { reader.replacedNUL }

    /// The next task that has to run; nil when there is none.
    package func next() throws(MapError) -> MapTask? {
        while let input = try reader.next() {
            if resume.skips(input.sequence) { continue }
            if let results,
                directory.isComplete(
                    sequencePath: results.path(
                        of: .sequence, values: input.values, sequence: input.sequence))
            {
                continue
            }
            return MapTask(
                input: input, command: template.compose(values: input.values, sequence: input.sequence))
        }
        return nil
    }
}
