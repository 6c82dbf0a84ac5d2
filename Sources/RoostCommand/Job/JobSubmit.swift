import ArgumentParser
import Glibc
import Roost
import RoostModel
import RoostWire

/// `roost job submit`.
struct JobSubmit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit",
        abstract: "Hand commands to the pool and return; the server keeps the job.",
        discussion: """
            COMMAND is composed as by 'roost map': {} is the input, {.} without extension, {/} without directory, \
            {#} the task's number, {1} {2} the first and second of several; inputs stand behind ::: or in files \
            named behind ::::. Without either, the command is the job's one task: several words are a program and \
            its arguments as they stand, a single one is a line for the shell. The job's number goes to standard \
            output.

            Tasks run on nodes, each in a fresh directory unless --workdir names one, with little of any \
            environment: name what they need with --env.

            The job is durable: when this command returns, the server has it on its disk. It survives clients, nodes and \
            the server, and is kept, outcomes included, until it is forgotten or its time is over.

            EXAMPLES
              roost job submit make -C /srv/site
              roost job submit 'zcat /data/*.gz | wc -l'
              roost job submit --retries 3 --timeout 2h ./sim --seed {} ::: $(seq 100)
              roost job submit --memory 4G sort -o {.}.sorted {} :::: list-of-files
            """)

    @Option(help: "A name for the job, for people.")
    var name: String?

    @Option(help: ArgumentHelp("How often a task is tried in all when it fails.", valueName: "n"))
    var retries: String?

    @Option(help: ArgumentHelp("Stop a task that runs longer: 90, 90s, 1.5h, 2d3h.", valueName: "duration"))
    var timeout: String?

    @Option(help: ArgumentHelp("Stop early: never, now|soon,fail|success|done=N or N%.", valueName: "when"))
    var halt: String?

    @Option(help: ArgumentHelp("Hold a task that has killed so many workers (default 3).", valueName: "n"))
    var crashLimit: String?

    @Option(help: ArgumentHelp("How long a task stays with a node out of contact (default 5m).", valueName: "duration"))
    var lease: String?

    @Flag(help: "Never run a task twice at once: a node that is cut off kills it at 90 % of the lease.")
    var strict = false

    @Option(help: ArgumentHelp("Keep the job so long after its end (default: the server's, 30d).", valueName: "duration"))
    var keep: String?

    @Option(
        name: [.customShort("j"), .customLong("jobs")],
        help: ArgumentHelp("The most tasks of this job at once. Default: no limit.", valueName: "n"))
    var jobs: String?

    @Option(help: ArgumentHelp("Orders your own jobs; higher first.", valueName: "n"))
    var priority: Int32 = 0

    @Option(help: ArgumentHelp("CPUs of one task, also fractions.", valueName: "n"))
    var cpus: String?

    @Option(help: ArgumentHelp("Memory of one task, and its limit: 500M, 2G, 512KiB.", valueName: "size"))
    var memory: String?

    @Option(help: ArgumentHelp("Another resource of one task: gpus=1. May be repeated.", valueName: "name=amount"))
    var resource: [String] = []

    @Option(help: ArgumentHelp("Run only on nodes with this label. May be repeated.", valueName: "key=value"))
    var label: [String] = []

    @Option(
        help: ArgumentHelp("Run tasks in this directory of the node.", valueName: "dir"), completion: .directory)
    var workdir: String?

    @Option(
        help: ArgumentHelp(
            "Give the tasks this variable: NAME with its value here, or NAME=VALUE. May be repeated.", valueName: "name"))
    var env: [String] = []

    @OptionGroup var pool: PoolOptions
    @OptionGroup var format: OutputOptions

    @Argument(
        parsing: .captureForPassthrough,
        help: ArgumentHelp("The command, and behind ::: or :::: its inputs.", valueName: "command"))
    var command: [String]

    func run() async throws {
        // Everything from the first word that is no option of ours is the command, so this is left to us.
        if command.first == "--help" || command.first == "-h" { throw CleanExit.helpRequest(self) }
        // As bytes: file names need not be UTF-8.
        let words = Array(RawArguments.current.suffix(command.count))
        let arguments = try MapArguments.split([Array("--".utf8)] + words)
        guard !arguments.command.isEmpty else {
            throw RoostError(.usage, "no command is given", remedy: "For example: roost job submit gzip -9 {} ::: *.log")
        }
        let names = Environment.all().map { String($0.prefix { $0 != "=" }) }
        let template = try CommandTemplate(words: arguments.command, shellNeed: ShellNeed(environmentNames: names))
        let hasSources = words.contains { [":::", ":::+", "::::", "::::+"].contains(String(decoding: $0, as: UTF8.self)) }
        let inputs = hasSources ? try MapInputReader(sources: arguments.sources, rules: InputRules()) : nil
        let (options, common) = (try jobOptions(), try environment())
        let single = arguments.command.count == 1 ? CommandArgument.shell(arguments.command[0]) : .direct(arguments.command)
        let number = try await pool.withPool { (pool) throws(RoostError) in
            let job = try await pool.open(runtime: .command, common: common.payload, options: options)
            let watch = await Self.cancelWhenInterrupted(job)
            defer { watch.cancel() }
            do throws(RoostError) {
                // A refusal is heard before a million inputs are read.
                let number = try await job.number()
                if let inputs {
                    try await append(inputs, template, to: job)
                } else {
                    try await job.append(single.payload)
                }
                try await job.closeTasks()
                // What has not arrived when we leave never will.
                try await job.waitUntilSubmitted()
                return number
            } catch {
                // Nobody wants a part of a job.
                _ = try? await pool.ask(.cancel(.id(job.id), tasks: [], kill: true), within: .seconds(10))
                throw error
            }
        }
        if format.isJSON {
            Terminal.print(JSONWriter.document { json in json.object { $0.member("job", number) } })
        } else {
            Terminal.print("\(number)\n")
        }
    }

    /// Ctrl-C before the job is complete: what the server has of it is cancelled.
    private static func cancelWhenInterrupted(_ job: JobHandle) async -> Task<Void, Never> {
        await Signals.watch(
            first: { signal in
                Terminal.note("roost: interrupted; what has arrived of the job is cancelled")
                // The process ends with it, or with the second signal.
                Task {
                    try? await job.cancel(kill: true)
                    Signals.end(by: signal)
                }
            },
            second: { signal in Signals.end(by: signal) })
    }

    private func append(
        _ inputs: MapInputReader, _ template: CommandTemplate, to job: JobHandle
    ) async throws(RoostError) {
        while let input = try Self.next(inputs) {
            try await job.append(Self.argument(template.compose(values: input.values, sequence: input.sequence)))
        }
    }

    private static func next(_ inputs: MapInputReader) throws(RoostError) -> MapInput? {
        do throws(MapError) {
            return try inputs.next()
        } catch {
            throw RoostError(.io, error.problem, remedy: error.remedy)
        }
    }

    private static func argument(_ command: ComposedCommand) -> [UInt8] {
        switch command {
        case .shell(let line): CommandArgument.shell(line).payload
        case .direct(let words): CommandArgument.direct(words).payload
        }
    }

    // MARK: Options

    private func jobOptions() throws -> JobOptions {
        // The texts mean what they mean to `roost map`.
        var texts: [String] = []
        func add(_ flag: String, _ value: String?) { if let value { texts.append("--\(flag)=\(value)") } }
        add("retries", retries)
        add("timeout", timeout)
        add("halt", halt)
        add("crash-limit", crashLimit)
        add("cpus", cpus)
        add("memory", memory)
        for text in resource { add("resource", text) }
        let map = try MapOptions.parse(texts)
        var options = JobOptions()
        options.name = name ?? ""
        options.policy = try JobPolicy(map)
        options.policy.priority = priority
        options.request = try Resources(map)
        options.retention = .durable
        if let lease { options.policy.lease = try Self.time(lease, flag: "lease", atLeast: .seconds(5)) }
        options.policy.isStrict = strict
        if let keep {
            guard let time = try DurationText.keep(keep) else {
                throw RoostError(.usage, "--keep forever is the server's to say", remedy: "Name a long time, as --keep 100w.")
            }
            options.policy.keep = time
        }
        if let jobs {
            guard let most = UInt32(jobs), most > 0 else {
                throw RoostError(.usage, "--jobs takes a number of tasks from 1 on, not '\(jobs)'")
            }
            options.policy.maxParallel = most
        }
        for text in label {
            guard let pair = Pair(text) else { throw RoostError(.usage, "--label takes KEY=VALUE, not '\(text)'") }
            options.labels.append(Label(key: pair.key, value: pair.value))
        }
        return options
    }

    private static func time(_ text: String, flag: String, atLeast least: Duration) throws(RoostError) -> Duration {
        guard let time = DurationText.parse(text), time >= least else {
            throw RoostError(.usage, "--\(flag) takes a time of \(DurationText.show(least)) or more, not '\(text)'")
        }
        return time
    }

    private func environment() throws(RoostError) -> CommandCommon {
        var common = CommandCommon()
        for text in env {
            if let pair = Pair(text) {
                common.environment.append(.init(name: pair.key, value: pair.value))
            } else if let value = Environment.value(text) {
                common.environment.append(.init(name: text, value: value))
            } else {
                throw RoostError(.usage, "--env \(text): there is no such variable here", remedy: "Write --env NAME=VALUE.")
            }
        }
        if let workdir {
            guard workdir.hasPrefix("/") else {
                throw RoostError(.usage, "--workdir takes a directory of the node, from / on, not '\(workdir)'")
            }
            common.workingDirectory = workdir
        }
        return common
    }
}
