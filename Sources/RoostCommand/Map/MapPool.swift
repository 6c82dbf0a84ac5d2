import Glibc
import Roost
import RoostEmbedded
import RoostModel
import RoostNode
import RoostWire

/// The pool that a `roost map` uses: one of its own in this process, or a server's.
struct MapPool: Sendable {
    let pool: Pool
    private let embedded: EmbeddedPool?
    /// How many tasks run at once; nil for a server's pool, which may grow.
    let slots: Int?

    var isHere: Bool { slots != nil }

    /// Opens the plan's pool and leaves it in the inbox, or why there is none.
    static func open(_ plan: MapPlan, inbox: MapInbox) {
        // Opening suspends; the session's thread does not. It ends with its own news.
        Task {
            do throws(RoostError) {
                inbox.post(.opened(try await open(plan)))
            } catch {
                inbox.post(.failed(MapError(error)))
            }
        }
    }

    private static func open(_ plan: MapPlan) async throws(RoostError) -> MapPool {
        if let url = plan.pool {
            var options = PoolOptions()
            options.pool = url
            options.token = plan.token
            let pool = try await Pool.connect(
                options.address(), token: options.tokenText(for: .client), description: PoolOptions.description)
            return MapPool(pool: pool, embedded: nil, slots: nil)
        }
        let slots = OpenFiles.slots(plan.jobs.resolve(cpus: AvailableCPUs.slots(), most: MapLimits.unlimitedSlots))
        try refuseTooMuch(plan, slots: slots)
        let embedded = try await EmbeddedPool.open(
            slots: slots, guardExecutable: Environment.executable())
        return MapPool(pool: embedded.pool, embedded: embedded, slots: slots)
    }

    /// No machine will join this pool: what it cannot run now would wait for ever.
    private static func refuseTooMuch(_ plan: MapPlan, slots: Int) throws(RoostError) {
        let offer = Resources(milliCPUs: Int64(slots) * 1000, memoryBytes: Int64(clamping: AvailableCPUs.memoryBytes()))
        let remedy = "Ask for less, or name a pool with such nodes with --pool."
        if let shortage = offer.shortage(for: plan.request) {
            throw RoostError(.usage, "no task can run on this machine: each \(shortage)", remedy: remedy)
        }
        if let label = plan.labels.first {
            throw RoostError(
                .usage, "no task can run on this machine: it has no label \(label.key)=\(label.value)", remedy: remedy)
        }
    }

    /// Lets what runs end, starts nothing more, then cancels the rest. Of a server's pool, which others use too, the job
    /// is cancelled.
    func drain(_ job: MapJob, inbox: MapInbox) {
        guard let embedded else { return job.cancel(kill: false) }
        let handle = job.handle
        Task {
            await embedded.drain("hung up")
            try? await handle.cancel()
        }
    }

    /// Makes tasks that print wait, or go on; a server's pool looks after itself.
    func pauseOutput(_ isPaused: Bool) { embedded?.pauseOutput(isPaused) }

    /// Leaves the pool, killing what still runs of an attached job.
    func close(killing job: JobHandle?, inbox: MapInbox) {
        Task {
            if let job { try? await job.cancel(kill: true) }
            await pool.close()
            inbox.post(.closed)
        }
    }

    // MARK: The job

    func startJob(_ plan: MapPlan) throws(RoostError) -> JobHandle {
        var options = JobOptions()
        options.name = plan.name
        options.request = plan.request
        options.labels = plan.labels
        options.policy = plan.policy
        // The slots say it already, and then nothing has to be counted.
        if isHere { options.policy.maxParallel = nil }
        options.retention = plan.detaches ? .durable : .attached
        options.order = plan.output.isOrdered ? .inOrder : .asCompleted
        options.streamsOutput = plan.streamsOutput || plan.keepsLargeOutput
        return try pool.start(runtime: .command, common: common(plan).payload, options: options)
    }

    private func common(_ plan: MapPlan) -> CommandCommon {
        var common = CommandCommon(inheritsEnvironment: isHere, workingDirectory: plan.workingDirectory)
        // What is to be printed whole is kept whole, by us when it is large; what is streamed into files or to the
        // terminal need not be.
        common.streamsLargeOnly = plan.keepsLargeOutput
        if !plan.streamsOutput && !plan.keepsLargeOutput && !plan.detaches {
            common.outputHeadBytes = isHere ? MapLimits.keptOutputBytes : MapLimits.keptRemoteOutputBytes
        }
        guard !isHere else { return common }
        for name in plan.environment {
            // A function that bash exported goes by its own name.
            for variable in [name, "BASH_FUNC_\(name)%%"] {
                if let value = getenv(variable) {
                    common.environment.append(.init(name: variable, value: String(cString: value)))
                }
            }
        }
        return common
    }
}

/// Room for the pipes of all slots.
enum OpenFiles {
    /// What a running task needs of ours: two pipes, and a descriptor of its process.
    private static let perSlot = 3
    /// What everything else needs.
    private static let others = 100

    /// As many of `wanted` slots as the limit of open files allows, raised where it can be.
    static func slots(_ wanted: Int) -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return wanted }
        let needed = UInt(wanted * perSlot + others)
        if limit.rlim_cur < needed {
            limit.rlim_cur = min(limit.rlim_max, needed)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
        let room = (Int(clamping: limit.rlim_cur) - others) / perSlot
        return max(1, min(wanted, room))
    }
}

extension MapError {
    init(_ error: RoostError) {
        self.init(ExitStatus(error.code), "\(error)")
    }
}
