import RoostModel

/// Values of every message, drawn at random: what the codec tests feed on.
extension Dice {
    mutating func payloads(_ count: Int, most: Int = 40) -> PayloadArray {
        var array = PayloadArray()
        for _ in 0..<count { array.append(bytes(most)) }
        return array
    }

    /// A slice that does not begin where its base begins.
    mutating func slice(_ count: Int) -> PayloadSlice {
        let before = roll(0...3)
        return payloads(before + count + roll(0...3)).slice(before..<before + count)
    }

    mutating func resources() -> Resources {
        Resources(
            milliCPUs: Int64(roll(0...64_000)), memoryBytes: Int64(next() >> 20), milliGPUs: Int64(roll(0...8000)),
            named: many(3) { .init(name: $0.text(), milliAmount: Int64($0.roll(0...5000))) })
    }

    mutating func label() -> Label { Label(key: text(), value: text()) }

    mutating func policy() -> JobPolicy {
        var policy = JobPolicy()
        policy.retries = number()
        policy.crashLimit = number()
        policy.nodeLossLimit = number()
        policy.timeout = maybe { $0.duration() }
        policy.maxParallel = maybe { $0.number() }
        policy.halt = maybe {
            HaltRule(
                urgency: $0.flag() ? .soon : .now, condition: [.failed, .succeeded, .done][$0.roll(0...2)],
                threshold: $0.flag() ? .count($0.number()) : .percent($0.number()))
        }
        policy.priority = number()
        policy.lease = duration()
        policy.killGrace = duration()
        policy.isStrict = flag()
        policy.keep = maybe { $0.duration() }
        return policy
    }

    mutating func spec() -> JobSpec {
        var spec = JobSpec(
            id: job(), name: text(), runtime: RuntimeName(rawValue: text()), common: bytes(300), request: resources(),
            labels: many(3) { $0.label() }, policy: policy(), retention: flag() ? .attached : .durable,
            streamsOutput: flag())
        spec.session = SessionID(rawValue: flag() ? 0 : next())
        spec.setup = UInt32(roll(0...300))
        spec.seat = flag() ? 0 : number()
        spec.firstEpoch = number()
        spec.seatEpoch = number()
        spec.annotation = bytes(20)
        spec.streamsConditions = flag()
        return spec
    }

    mutating func attempts() -> AttemptRun {
        AttemptRun(job: job(), epoch: number(), number: number(), tasks: range())
    }

    mutating func postMortem() -> PostMortem {
        PostMortem(
            reason: text(), node: text(), attempt: number(), signal: maybe { $0.number() },
            exitStatus: maybe { $0.number() }, peakMemoryBytes: maybe { $0.number() },
            outOfMemoryKilled: maybe { $0.flag() }, lastOutput: text(200))
    }

    mutating func code() -> OutcomeCode {
        OutcomeCode(OutcomeKind.allCases[roll(0...3)], AttemptEnd.allCases[roll(0...9)])
    }

    mutating func batch() -> OutcomeBatch {
        var batch = OutcomeBatch(job: job(), epoch: number(), node: text())
        batch.runNanoseconds = number()
        var task: TaskIndex = number(UInt32.self) & 0xFFFF
        for _ in 0..<roll(0...20) {
            task += flag() ? 1 : 17
            batch.append(
                task: task, attempt: flag() ? 1 : UInt32(roll(1...9)), code: flag() ? .succeeded : code(),
                payload: bytes(30)[...], postMortem: roll(0...4) == 0 ? postMortem() : nil)
        }
        return batch
    }

    mutating func output() -> OutputChunk {
        OutputChunk(
            job: job(), task: number(), attempt: number(), stream: flag() ? .stdout : .stderr, offset: number(),
            bytes: bytes(100))
    }

    mutating func progress() -> JobProgress {
        var progress = JobProgress(job: job(), tasks: number(), isClosed: flag())
        progress.succeeded = UInt32(roll(0...1_000_000_000))
        progress.failed = UInt32(roll(0...1000))
        progress.cancelled = UInt32(roll(0...1000))
        progress.held = UInt32(roll(0...1000))
        progress.granted = number()
        progress.attempts = number()
        progress.retried = number()
        progress.lost = number()
        progress.late = number()
        return progress
    }

    mutating func selector() -> JobSelector {
        switch roll(0...3) {
        case 0: .id(flag() ? job() : JobID(rawValue: 0))
        case 1:
            .numbers(
                many(4) {
                    let low = UInt32($0.roll(0...1000))
                    return low...low + UInt32($0.roll(0...9))
                })
        case 2: .last
        default: .all
        }
    }

    mutating func queries() -> [Query] {
        [
            .pool, .jobs, .job(selector()), .explain(selector(), task: maybe { $0.number() }),
            .cancel(selector(), tasks: many(3) { $0.range() }, kill: flag()),
            .retry(selector(), tasks: many(3) { $0.range() }, held: flag()), .forget(selector()),
            .drainNode(name: text()), .killNode(name: text()),
            .killWorker(node: text(), processID: number(), signal: number()),
            .createToken(
                role: Role.allCases[roll(0...3)], user: text(), lifetime: maybe { $0.duration() },
                weight: UInt32(roll(1...9))),
            .listTokens, .revokeToken(name: text()), .stopServer,
        ]
    }

    mutating func error() -> RoostError {
        RoostError(flag() ? .refused : .internal, text(), remedy: text(), cause: text())
    }

    mutating func nodeSnapshot() -> NodeSnapshot {
        NodeSnapshot(
            id: NodeID(rawValue: next()), name: text(), state: NodeSnapshot.State.allCases[roll(0...3)],
            processID: number(), peer: text(), platform: text(), version: text(), offer: resources(),
            labels: many(2) { $0.label() }, granted: number(), status: status(), finished: number(),
            connectedSeconds: Double(roll(0...9)) / 7, silentSeconds: 0)
    }

    mutating func status() -> NodeStatus {
        NodeStatus(
            queued: number(), running: number(), unacknowledged: number(), milliLoad: number(),
            workers: many(3) { $0.worker() })
    }

    mutating func worker() -> WorkerSnapshot {
        WorkerSnapshot(
            processID: number(), session: SessionID(rawValue: flag() ? 0 : next()), seat: number(),
            state: WorkerSnapshot.State.allCases[roll(0...3)],
            task: maybe { TaskID(job: $0.job(), index: $0.number()) }, seconds: Double(roll(0...9)) / 7,
            memoryBytes: number(), tasksDone: number())
    }

    mutating func jobSnapshot() -> JobSnapshot {
        var snapshot = JobSnapshot(
            id: job(), number: number(), name: text(), user: text(), runtime: .command,
            retention: flag() ? .durable : .attached, priority: number(), progress: progress(), isCancelled: flag(),
            ageSeconds: Double(roll(0...9)) / 3, meanTaskSeconds: maybe { Double($0.roll(0...3)) },
            troubles: many(3) { .init(task: $0.number(), code: $0.code(), postMortem: $0.maybe { $0.postMortem() }) })
        snapshot.annotation = bytes(20)
        return snapshot
    }

    mutating func replies() -> [Reply] {
        var counters = PoolCounters()
        (counters.granted, counters.finished, counters.late) = (number(), number(), number())
        (counters.retracted, counters.nodesLost) = (number(), number())
        return [
            .pool(
                PoolSnapshot(
                    pool: next(), epoch: number(), version: text(), uptimeSeconds: 1.5, clients: number(),
                    nodes: many(3) { $0.nodeSnapshot() }, jobs: many(3) { $0.jobSnapshot() }, counters: counters)),
            .jobs(many(3) { $0.jobSnapshot() }),
            .explanation(many(3) { ExplainedNode(node: $0.text(), canRun: $0.flag(), reason: $0.text(), isUnfit: $0.flag()) }),
            .tokens(
                many(3) {
                    TokenSnapshot(
                        id: $0.text(), role: Role.allCases[$0.roll(0...3)], user: $0.text(), created: $0.number(),
                        expires: $0.maybe { $0.number() }, isRevoked: $0.flag())
                }),
            .token(text()), .done(count: number()), .failed(error()),
        ]
    }

    mutating func clientToServer() -> [ClientToServer] {
        let count = roll(0...20)
        let arguments = slice(count)
        return [
            .submit(spec()),
            .append(
                AppendTasks(
                    job: job(), first: UInt32(roll(0...1000)), arguments: arguments, finished: many(3) { $0.range() })),
            .close(job: job(), count: number()),
            .read(
                ReadRequest(
                    job: job(), order: flag() ? .asCompleted : .inOrder, after: number(), window: number())),
            .acknowledge(job: job(), cursor: number()),
            .watch(job: job(), task: maybe { $0.number() }, on: flag()), .setup(setup()), .heartbeat, .goodbye,
        ] + queries().map { .query(id: number(), $0) }
    }

    mutating func serverToClient() -> [ServerToClient] {
        [
            .submitted(job: job(), number: number(), tasks: number()), .appended(job: job(), tasks: number()),
            .outcomes(OutcomeDelivery(cursor: number(), batch: batch())), .progress(progress()), .ended(progress()),
            .refused(job: job(), error()), .output(output()), .condition(condition()), .setupHeld(held(), maybe { $0.error() }), .heartbeat,
        ] + replies().map { .reply(id: number(), $0) }
    }

    mutating func nodeToServer() -> [NodeToServer] {
        [
            .outcomes(sequence: number(), batch()), .retracted(job: job(), many(4) { $0.attempts() }),
            .running(many(4) { $0.attempts() }), .heartbeat(status()), .output(output()), .condition(condition()),
            .draining(reason: text()),
            .goodbye(reason: text()),
        ]
    }

    mutating func serverToNode() -> [ServerToNode] {
        var granted = attempts()
        let count = roll(0...20)
        granted.tasks.count = UInt32(count)
        return [
            .job(spec()), .grant(GrantRun(attempts: granted, arguments: slice(count))),
            .retract(job: job(), count: number()), .cancel(attempts: many(4) { $0.attempts() }, kill: flag()),
            .acknowledge(many(6) { $0.number() }), .drop(many(4) { $0.attempts() }), .forget(job: job()),
            .watch(job: job(), task: maybe { $0.number() }, on: flag()), .drain, .shutDown(reason: text()),
            .heartbeat(interval: duration()), .setup(setup()), .forgetSession(SessionID(rawValue: next() | 1)),
            .killWorker(processID: number(), signal: number()),
        ]
    }

    mutating func setup() -> SetupEntry {
        SetupEntry(session: SessionID(rawValue: next()), number: number(), payload: bytes(40))
    }

    mutating func condition() -> TaskCondition {
        TaskCondition(job: job(), task: number(), attempt: number(), bytes: bytes(60))
    }

    mutating func held() -> SetupHeld { SetupHeld(session: SessionID(rawValue: next()), count: number(), epoch: number()) }

    mutating func hellos() -> [Hello] {
        [
            .client(ClientHello(session: SessionID(rawValue: next()), description: text())),
            .node(
                NodeHello(
                    node: NodeID(rawValue: next()), incarnation: Incarnation(rawValue: next()), name: text(),
                    processID: number(), offer: resources(), labels: many(3) { $0.label() },
                    runtimes: many(3) { RuntimeName(rawValue: $0.text()) }, platform: text(), version: text(),
                    inventory: many(5) {
                        InventoryRun(
                            attempts: $0.attempts(), state: InventoryRun.State.allCases[$0.roll(0...2)], confirmed: $0.number())
                    }, setups: many(3) { $0.held() },
                    seats: many(3) {
                        SeatHeld(seat: SeatID(session: SessionID(rawValue: $0.next()), number: $0.number()), epoch: $0.number())
                    }, contacts: many(3) { Contact(epoch: $0.number(), time: .nanoseconds($0.number(UInt32.self))) })),
            .guardReport(GuardReport(node: NodeID(rawValue: next()), incarnation: Incarnation(rawValue: next()))),
        ]
    }

    mutating func commandResult() -> CommandResult {
        CommandResult(
            exitStatus: maybe { $0.number() }, signal: maybe { $0.number() }, startNanoseconds: number(),
            runNanoseconds: number(), userMicroseconds: number(), systemMicroseconds: number(),
            peakMemoryBytes: number(), stdout: CapturedOutput(head: bytes(50), tail: bytes(50), totalBytes: 5000),
            stderr: CapturedOutput(head: bytes(50)))
    }
}
