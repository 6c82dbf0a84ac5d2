import ArgumentParser
import RoostModel

extension MapPlan {
    /// What of our surroundings decides how a command line is understood.
    package struct Surroundings: Sendable {
        /// The names of our environment's variables.
        package var environmentNames: [String]
        package var outputIsTerminal: Bool
        package var errorIsTerminal: Bool

        package init(
            environmentNames: [String] = [], outputIsTerminal: Bool = false, errorIsTerminal: Bool = false
        ) {
            self.environmentNames = environmentNames
            self.outputIsTerminal = outputIsTerminal
            self.errorIsTerminal = errorIsTerminal
        }
    }

    /// Makes sense of everything that follows `roost map`.
    /// - Throws: ``MapError`` for what makes no sense; ArgumentParser's `CleanExit` for `--help`.
    package init(arguments: [[UInt8]], surroundings: Surroundings) throws {
        let split = try MapArguments.split(arguments)
        if split.options.contains("--help") { throw CleanExit.message(MapManual.helpMessage(includeHidden: false)) }
        let options: MapOptions
        do {
            options = try MapOptions.parse(split.options)
        } catch {
            throw MapError(.usage, MapOptions.message(for: error), remedy: "see 'roost map --help'")
        }
        self = try MapPlan(split, options, surroundings)
    }

    package init(
        _ arguments: MapArguments, _ options: MapOptions, _ surroundings: Surroundings
    ) throws(MapError) {
        let template = try CommandTemplate(
            words: arguments.command, placeholder: options.replace.map { Array($0.utf8) },
            quotesWords: options.quote, shellNeed: ShellNeed(environmentNames: surroundings.environmentNames))
        self.init(template: template, sources: arguments.sources, rules: try InputRules(options))
        isDryRun = options.dryRun
        pool = options.pool
        token = options.token
        name = options.name ?? ""
        detaches = options.detach
        jobs = try Self.jobs(options)
        policy = try JobPolicy(options)
        if case .count(let count) = jobs { policy.maxParallel = count }
        request = try Resources(options)
        labels = try options.label.map { text throws(MapError) in try Self.label(text) }
        environment = options.env
        workingDirectory = options.workdir
        output = try Output(options)
        output.isTerminal = surroundings.outputIsTerminal
        try readFiles(options)
        progress = Self.progress(options, surroundings)
        try refuseContradictions(options)
    }

    private mutating func readFiles(_ options: MapOptions) throws(MapError) {
        resume = options.resumeFailed ? .succeeded : options.resume ? .ended : .nothing
        if let text = options.joblog {
            let appends = text.hasPrefix("+")
            let path = appends ? String(text.dropFirst()) : text
            if path.isEmpty { throw .usage("--joblog", "the name is empty", remedy: "name a file") }
            joblog = JoblogFile(path: path, appends: appends || resume != .nothing)
        }
        if resume != .nothing && joblog == nil && output.results == nil {
            throw .usage(
                options.resumeFailed ? "--resume-failed" : "--resume", "nothing says what is done",
                remedy: "give the --joblog (or --results) of the earlier run too")
        }
        if resume == .succeeded && joblog == nil {
            throw .usage(
                "--resume-failed", "results files do not say what failed",
                remedy: "give the --joblog of the earlier run")
        }
    }

    private func refuseContradictions(_ options: MapOptions) throws(MapError) {
        if options.lineBuffer && options.ungroup {
            throw .usage("--ungroup", "contradicts --line-buffer", remedy: "give one of the two")
        }
        if detaches && pool == nil {
            throw .usage(
                "--detach", "the pool on this machine ends with this command", remedy: "name a server with --pool")
        }
        if detaches && (joblog != nil || output.results != nil) {
            throw .usage(
                "--detach", "nobody stays to write --joblog or --results",
                remedy: "leave them out and read the results with 'roost job results'")
        }
    }

    private static func jobs(_ options: MapOptions) throws(MapError) -> JobsSpec {
        guard let text = options.jobs else { return .slots }
        guard let jobs = JobsSpec.parse(text) else {
            throw .usage("--jobs", "'\(text)' is not a number of tasks", remedy: "write 8, 50%, +2, -1 or 0")
        }
        return jobs
    }

    private static func label(_ text: String) throws(MapError) -> Label {
        guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
            throw .usage("--label", "'\(text)' is not KEY=VALUE", remedy: "write for example --label zone=a")
        }
        return Label(key: String(text[..<equals]), value: String(text[text.index(after: equals)...]))
    }

    private static func progress(_ options: MapOptions, _ surroundings: Surroundings) -> ProgressMode {
        if options.noProgress || options.dryRun || options.detach { return .quiet }
        if surroundings.errorIsTerminal { return .bar }
        return .plain(after: options.progress || options.eta || options.bar ? .zero : MapLimits.plainInterval)
    }
}

extension MapPlan.Output {
    init(_ options: MapOptions) throws(MapError) {
        self.init()
        mode = options.ungroup ? .raw : options.lineBuffer ? .lines : .grouped
        isOrdered = options.keepOrder
        if let text = options.tagstring {
            // \t is written for a tab, as in GNU parallel.
            tag = Template([UInt8](Self.withTabs(text) + "\t"))
        } else if options.tag {
            tag = Template(Array("{}\t".utf8))
        }
        results = if let directory = options.results { try ResultsLayout(Array(directory.utf8)) } else { nil }
        switch options.output {
        case "text": isJSON = false
        case "json": isJSON = true
        default: throw .usage("--output", "'\(options.output)' is not a format", remedy: "write text or json")
        }
    }

    private static func withTabs(_ text: String) -> String {
        text.split(separator: "\\t", omittingEmptySubsequences: false).joined(separator: "\t")
    }
}
