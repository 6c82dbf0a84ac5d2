import Glibc
import RoostModel
import RoostWire

/// Turns tasks of the command runtime into processes, and ends of processes into ends of attempts.
package struct CommandRuntime {
    private let reactor: ProcessReactor
    private let spool: AgentConfiguration.Spool
    private let inherited: [String]
    /// What a job's commands share, decoded once.
    private var commons: [JobID: Common] = [:]
    private var running: [UInt64: Running] = [:]
    private var tokens: [Int: UInt64] = [:]
    private var nextToken: UInt64 = 1
    /// Why nobody takes output at the moment.
    private var isLinkFull = false
    private var isReaderBehind = false

    private struct Common {
        var common: CommandCommon
        var environment: CStringBlock
        var shell: String
    }

    private struct Running {
        var worker: Int
        /// A fresh directory, to be removed.
        var scratch: String?
        var memoryLimit: Int64
        /// What it prints goes to the server while it runs.
        var streams: Bool
    }

    package init(reactor: ProcessReactor, spool: AgentConfiguration.Spool, environment: [String]) {
        self.reactor = reactor
        self.spool = spool
        inherited = environment
    }

    // MARK: Starting

    /// Starts the task's command; an end at once when it cannot even be tried.
    mutating func start(_ worker: Int, _ start: WorkerStart) -> WorkerEnd? {
        do throws(RoostError) {
            let common = try self.common(start.job)
            let argument = try CommandArgument(payload: start.arguments[0])
            let token = nextToken
            nextToken += 1
            let (directory, scratch) =
                if let named = common.common.workingDirectory { (named, nil as String?) } else {
                    try spool.directory("task-\(getpid())-\(token)")
                }
            var arguments = CStringBlock()
            var executable: String?
            switch argument {
            case .shell(let line):
                executable = common.shell
                arguments.append(common.shell)
                arguments.append("-c")
                arguments.append(bytes: SlotMarker.replaced(in: line, by: worker + 1))
            case .direct(let words):
                guard !words.isEmpty else { throw RoostError(.usage, "an empty command") }
                for word in words { arguments.append(bytes: SlotMarker.replaced(in: word, by: worker + 1)) }
            }
            var request = ProcessRequest(
                executable: executable, arguments: arguments, environment: environment(common, worker, start),
                workingDirectory: directory)
            request.memoryLimitBytes = start.job.request.memoryBytes > 0 ? UInt64(start.job.request.memoryBytes) : nil
            // What the caller's shell put there on purpose: `roost map diff <(zcat old.gz) ::: …`.
            if case .here = spool { request.inheritsDescriptors = true }
            request.strictLease = start.job.policy.leaseAtNode
            request.headBytes = common.common.outputHeadBytes
            request.tailBytes = common.common.outputTailBytes
            request.streamsLargeOutput = start.job.streamsOutput
            request.streamsOutput = start.isWatched || (start.job.streamsOutput && !common.common.streamsLargeOnly)
            running[token] = Running(worker: worker, scratch: scratch, memoryLimit: start.job.request.memoryBytes, streams: start.streams)
            tokens[worker] = token
            reactor.start(token: token, request)
            if mustPause(start.streams) { reactor.pauseOutput(token: token) }
            return nil
        } catch {
            return WorkerEnd(
                end: .couldNotStart, payload: CommandResult(exitStatus: 127).payload,
                postMortem: PostMortem(reason: error.description))
        }
    }

    private mutating func common(_ job: JobSpec) throws(RoostError) -> Common {
        if let known = commons[job.id] { return known }
        let decoded = try CommandCommon(payload: job.common)
        let threads = max(1, job.request.milliCPUs / 1000)
        var variables = WorkerEnvironment.base(spool, inherited: inherited, inheritsAll: decoded.inheritsEnvironment)
        variables.set("ROOST_JOB", String(job.id.rawValue, radix: 16))
        WorkerEnvironment.setThreads(Int(threads), in: &variables)
        for name in ["ROOST_TASK", "ROOST_ATTEMPT", "ROOST_SLOT"] { variables.remove(name) }
        for variable in decoded.environment { variables.set(variable.name, variable.value) }
        // Functions that bash exported exist in bash only.
        let shell = variables.hasName(startingWith: "BASH_FUNC_") ? "bash" : "/bin/sh"
        let common = Common(common: decoded, environment: variables.block, shell: shell)
        commons[job.id] = common
        return common
    }

    private func environment(_ common: Common, _ worker: Int, _ start: WorkerStart) -> CStringBlock {
        var environment = common.environment
        environment.append("ROOST_TASK=\(start.tasks.first)")
        environment.append("ROOST_ATTEMPT=\(start.attempt)")
        environment.append("ROOST_SLOT=\(worker + 1)")
        return environment
    }

    // MARK: Steering

    func signal(_ worker: Int, _ signal: WorkerSignal) {
        guard let token = tokens[worker] else { return }
        switch signal {
        case .interrupt: reactor.signal(token: token, SIGINT)
        case .terminate: reactor.signal(token: token, SIGTERM)
        case .kill: reactor.signal(token: token, SIGKILL)
        }
    }

    mutating func stream(_ worker: Int, on: Bool) {
        guard let token = tokens[worker] else { return }
        reactor.setStreaming(token: token, on)
        running[token]?.streams = on
        if isLinkFull { pauseOrResumeOutput() }
    }

    mutating func pauseOutput(isLinkFull: Bool) {
        self.isLinkFull = isLinkFull
        pauseOrResumeOutput()
    }

    mutating func pauseOutput(isReaderBehind: Bool) {
        self.isReaderBehind = isReaderBehind
        pauseOrResumeOutput()
    }

    private func pauseOrResumeOutput() {
        for (token, command) in running {
            if mustPause(command.streams) { reactor.pauseOutput(token: token) } else { reactor.resumeOutput(token: token) }
        }
    }

    /// A full link concerns those whose output goes over it while they run: the others' is a result, and waits as such.
    private func mustPause(_ streams: Bool) -> Bool { isReaderBehind || (isLinkFull && streams) }

    mutating func forget(_ job: JobID) { commons[job] = nil }

    func shutDown() { reactor.shutDown() }

    // MARK: Ends

    /// What the machine should hear of what a process did.
    mutating func nodeEvent(_ event: ProcessEvent) -> NodeEvent? {
        switch event {
        case .started, .frame, .framesBroken, .framesClosed:
            return nil
        case .output(let token, let stream, let offset, let bytes):
            guard let running = running[token] else { return nil }
            return .workerPrinted(worker: running.worker, stream, offset: offset, bytes: bytes)
        case .couldNotStart(let token, _, let message):
            guard let running = remove(token) else { return nil }
            let end = WorkerEnd(
                end: .couldNotStart, payload: CommandResult(exitStatus: 127).payload,
                postMortem: PostMortem(reason: message, exitStatus: 127))
            return .workerEnded(worker: running.worker, end)
        case .ended(let token, let end):
            guard let running = remove(token) else { return nil }
            return .workerEnded(worker: running.worker, Self.workerEnd(end, running))
        }
    }

    private mutating func remove(_ token: UInt64) -> Running? {
        guard let record = running.removeValue(forKey: token) else { return nil }
        if tokens[record.worker] == token { tokens[record.worker] = nil }
        if let scratch = record.scratch { DirectoryTree.remove(scratch) }
        return record
    }

    private static func workerEnd(_ end: ProcessEnd, _ running: Running) -> WorkerEnd {
        let memoryLimit = running.memoryLimit
        var result = CommandResult(
            exitStatus: nil, startNanoseconds: end.startNanoseconds, runNanoseconds: end.runNanoseconds,
            userMicroseconds: end.userMicroseconds, systemMicroseconds: end.systemMicroseconds,
            peakMemoryBytes: end.peakMemoryBytes ?? 0, stdout: end.stdout, stderr: end.stderr, slot: UInt32(running.worker + 1))
        let run = UInt64(max(0, end.runNanoseconds))
        var evidence = PostMortem(of: end)
        let kind: AttemptEnd
        switch end.exit {
        case .exited(0):
            result.exitStatus = 0
            return WorkerEnd(end: .succeeded, payload: result.payload, runNanoseconds: run)
        case .exited(let status):
            result.exitStatus = status
            kind = .failed
        case .signalled(let signal, _):
            result.signal = signal
            let isMemory = end.outOfMemoryKilled == true && memoryLimit > 0
            if isMemory { evidence.reason = "went over its memory limit of \(memoryLimit >> 20) MiB" }
            kind = isMemory ? .memoryExceeded : .crashed
        }
        return WorkerEnd(end: kind, payload: result.payload, postMortem: evidence, runNanoseconds: run)
    }
}

/// Puts the number of the slot into a command, where ``CommandArgument/slotMarker`` stands.
enum SlotMarker {
    static func replaced(in text: [UInt8], by slot: Int) -> [UInt8] {
        guard text.contains(1) else { return text }
        let marker = CommandArgument.slotMarker
        var result: [UInt8] = []
        var position = 0
        while position < text.count {
            if text[position] == 1, text[position...].starts(with: marker) {
                result.append(contentsOf: "\(slot)".utf8)
                position += marker.count
            } else {
                result.append(text[position])
                position += 1
            }
        }
        return result
    }
}
