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
                "--resume-failed", "results files do not say what failed", remedy: "give the --joblog of the earlier run")
        }
    }

    private func refuseContradictions(_ options: MapOptions) throws(MapError) {
        if options.lineBuffer && options.ungroup {
            throw .usage("--ungroup", "contradicts --line-buffer", remedy: "give one of the two")
        }
        if detaches && pool == nil {
            throw .usage("--detach", "the pool on this machine ends with this command", remedy: "name a server with --pool")
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

extension InputRules {
    init(_ options: MapOptions) throws(MapError) {
        self.init()
        if options.null {
            delimiter = [0]
            delimiterIsExplicit = true
        } else if let text = options.delimiter {
            delimiter = Self.unescaped(Array(text.utf8))
            delimiterIsExplicit = true
        }
        columnSeparator = options.colsep
        if let text = options.maxReplaceArgs {
            recordsPerTask = try Self.count(text, "--max-replace-args", from: 0)
        } else if let text = options.maxArgs {
            recordsPerTask = try Self.count(text, "--max-args", from: 0)
        }
        linksAll = options.link
        skipsBlank = options.noRunIfEmpty
    }

    private static func count(_ text: String, _ flag: String, from least: Int) throws(MapError) -> Int {
        guard let count = Int(text), (least...1_000_000).contains(count) else {
            throw .usage(flag, "'\(text)' is not a number of inputs", remedy: "write a whole number from \(least) on")
        }
        return count
    }

    /// `\n`, `\t`, `\r`, `\0` and octal `\123` mean the byte; an empty delimiter means NUL.
    private static func unescaped(_ text: [UInt8]) -> [UInt8] {
        if text.isEmpty { return [0] }
        var bytes: [UInt8] = []
        var rest = text[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\"), let next = rest.first else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(3).prefix { (UInt8(ascii: "0")...UInt8(ascii: "7")).contains($0) }
            if !digits.isEmpty {
                bytes.append(UInt8(truncatingIfNeeded: digits.reduce(0) { $0 * 8 + Int($1 - UInt8(ascii: "0")) }))
                rest = rest.dropFirst(digits.count)
                continue
            }
            switch next {
            case UInt8(ascii: "n"): bytes.append(10)
            case UInt8(ascii: "t"): bytes.append(9)
            case UInt8(ascii: "r"): bytes.append(13)
            case UInt8(ascii: "\\"): bytes.append(byte)
            default: bytes.append(contentsOf: [byte, next])
            }
            rest = rest.dropFirst()
        }
        return bytes
    }
}

extension JobPolicy {
    init(_ options: MapOptions) throws(MapError) {
        self.init()
        if let text = options.retries {
            guard let tries = UInt32(text), (1...Limits.attemptsPerTask).contains(tries) else {
                throw .usage(
                    "--retries", "'\(text)' is not a number of tries",
                    remedy: "write how often a task is tried in all, from 1 to \(Limits.attemptsPerTask)")
            }
            retries = tries - 1
        }
        if let text = options.timeout {
            if text.hasSuffix("%") {
                throw .usage(
                    "--timeout", "a percentage of the median (\(text)) is not supported",
                    remedy: "write a duration: 90, 90s, 1.5h, 2d3h, 12:00:00")
            }
            guard let duration = DurationText.parse(text) else {
                throw .usage("--timeout", "'\(text)' is not a duration", remedy: "write 90, 90s, 1.5h, 2d3h or 12:00:00")
            }
            timeout = duration == .zero ? nil : duration
        }
        if let text = options.halt {
            guard let rule = HaltText.parse(text) else {
                throw .usage(
                    "--halt", "'\(text)' does not say when",
                    remedy: "write never, or now|soon,fail|success|done=N or N%, for example --halt now,fail=1")
            }
            halt = rule
        }
        if let text = options.crashLimit {
            guard let limit = UInt32(text), (1...Limits.attemptsPerTask).contains(limit) else {
                throw .usage(
                    "--crash-limit", "'\(text)' is not a number of crashes",
                    remedy: "write a whole number from 1 to \(Limits.attemptsPerTask)")
            }
            crashLimit = limit
        }
    }
}

extension Resources {
    init(_ options: MapOptions) throws(MapError) {
        self = .oneCPU
        if let text = options.cpus { milliCPUs = try Self.amount(text, "--cpus") }
        if let text = options.memory {
            guard let bytes = SizeText.parse(text), bytes > 0 else {
                throw .usage("--memory", "'\(text)' is not an amount of memory", remedy: "write 500M, 2G or 512KiB")
            }
            memoryBytes = bytes
        }
        for text in options.resource {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw .usage("--resource", "'\(text)' is not NAME=AMOUNT", remedy: "write for example --resource gpus=1")
            }
            let amount = try Self.amount(parts[1], "--resource")
            switch parts[0] {
            case "cpus": milliCPUs = amount
            case "gpus": milliGPUs = amount
            case "memory": throw .usage("--resource", "memory has an option of its own", remedy: "write --memory SIZE")
            default: add(Resources(named: [NamedAmount(name: parts[0], milliAmount: amount)]))
            }
        }
    }

    private static func amount(_ text: String, _ flag: String) throws(MapError) -> Int64 {
        guard let number = DurationText.decimal(text), number <= 1_000_000, number == 0 || number >= 0.001 else {
            throw .usage(flag, "'\(text)' is not an amount", remedy: "write a number such as 1, 4 or 0.5")
        }
        return Int64((number * 1000).rounded())
    }
}
