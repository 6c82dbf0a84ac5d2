import RoostModel
import RoostScheduler
import RoostTesting
import Testing

/// What durable jobs write, and what waits until it is on disk.
@Suite struct DurabilityTests {
    private func effects(
        _ scheduler: inout Scheduler, _ events: [Event]
    ) -> Effects {
        var effects = Effects()
        for event in events { scheduler.apply(event, at: .zero, into: &effects) }
        scheduler.settle(at: .zero, into: &effects)
        return effects
    }

    private func poolWithNode() -> Scheduler {
        var configuration = SchedulerConfiguration()
        configuration.hasStore = true
        var scheduler = Scheduler(configuration, at: .zero)
        let hello = NodeHello(
            node: NodeID(rawValue: 1), incarnation: Incarnation(rawValue: 1), name: "a", offer: .cpus(4))
        _ = effects(
            &scheduler,
            [
                .nodeConnected(ConnectionID(rawValue: 1), hello, peer: "test"),
                .clientConnected(
                    ConnectionID(rawValue: 2), Principal(role: .client, user: "ann"),
                    ClientHello(session: SessionID(rawValue: 7)), peer: "test"),
            ])
        return scheduler
    }

    private func submission(_ id: UInt64, _ retention: Retention) -> [Event] {
        let job = JobID(rawValue: id)
        let client = ConnectionID(rawValue: 2)
        return [
            .clientSaid(client, .submit(JobSpec(id: job, runtime: .command, retention: retention))),
            .clientSaid(client, .append(Scenario.chunk(job, first: 0, count: 2))),
            .clientSaid(client, .close(job: job, count: 2)),
        ]
    }

    @Test func cancellingManyTasksIsOneFactForThoseThatRunAndOneForThoseThatWait() {
        var scheduler = poolWithNode()
        let job = JobID(rawValue: 1)
        let client = ConnectionID(rawValue: 2)
        _ = effects(
            &scheduler,
            [
                .clientSaid(client, .submit(JobSpec(id: job, runtime: .command, retention: .durable))),
                .clientSaid(client, .append(Scenario.chunk(job, first: 0, count: 200))),
            ])
        // Of four slots; named twice, in part, and more than there are.
        let tasks = [TaskRange(first: 100, count: 1000), TaskRange(first: 2, count: 150)]
        let after = effects(&scheduler, [.clientSaid(client, .query(id: 1, .cancel(.id(job), tasks: tasks, kill: false)))])
        let facts = after.writes.compactMap { if case .task(_, let fact) = $0 { fact } else { nil } }
        #expect(facts.count == 2)
        #expect(facts.contains(.cancelRequested([TaskRange(first: 2, count: 2)])))
        #expect(facts.contains { if case .outcomes(_, let batch) = $0 { batch.tasks == [TaskRange(first: 4, count: 196)] } else { false } })
        let letters = after.afterWrites.toNodes.compactMap { if case .cancel(let runs, _) = $0.message { runs } else { nil } }
        #expect(letters.map { $0.map(\.tasks) } == [[TaskRange(first: 2, count: 2)]])
        #expect(after.afterWrites.toClients.contains { $0.message == .reply(id: 1, .done(count: 198)) })
    }

    @Test func lettersAboutADurableJobWaitForTheDiskAndThoseAboutOthersDoNot() {
        var scheduler = poolWithNode()
        let attached = effects(&scheduler, submission(1, .attached))
        #expect(attached.writes.isEmpty)
        #expect(attached.afterWrites.isEmpty)
        #expect(attached.toNodes.contains { if case .grant = $0.message { true } else { false } })

        let durable = effects(&scheduler, submission(2, .durable))
        #expect(durable.toNodes.isEmpty && durable.toClients.isEmpty)
        #expect(durable.afterWrites.toClients.count { if case .submitted = $0.message { true } else { false } } == 1)
        #expect(durable.afterWrites.toNodes.contains { if case .grant = $0.message { true } else { false } })
        guard case .opened(let spec, number: 2, user: "ann") = durable.writes.first else {
            Issue.record("the job is written first: \(durable.writes)")
            return
        }
        #expect(spec.id == JobID(rawValue: 2))
        #expect(durable.writes.contains { if case .task(_, .granted(_, NodeID(rawValue: 1))) = $0 { true } else { false } })
    }

    @Test func aResultIsAcknowledgedToItsNodeAfterItsWrite() {
        var scheduler = poolWithNode()
        _ = effects(&scheduler, submission(2, .durable))
        var batch = OutcomeBatch(job: JobID(rawValue: 2), epoch: 1)
        batch.append(task: 0, attempt: 1, code: .succeeded, payload: [9])
        let ended = effects(&scheduler, [.nodeSaid(ConnectionID(rawValue: 1), .outcomes(sequence: 5, batch))])
        #expect(!ended.toNodes.contains { if case .acknowledge = $0.message { true } else { false } })
        #expect(ended.afterWrites.toNodes.contains { $0.message == .acknowledge([5]) })
        #expect(ended.writes.contains { if case .task(_, .outcomes(sequence: 0, _)) = $0 { true } else { false } })
        // The same once more, after a cut: the answer waits for the disk as the first did.
        let again = effects(&scheduler, [.nodeSaid(ConnectionID(rawValue: 1), .outcomes(sequence: 5, batch))])
        #expect(again.toNodes.isEmpty)
        #expect(again.afterWrites.toNodes.contains { $0.message == .acknowledge([5]) })
    }

    @Test func aPoolWithoutADiskRefusesDurableJobs() {
        var pool = Scenario { $0.hasStore = false }
        let ann = pool.connect("ann")
        _ = pool.submit(ann, tasks: 1, reads: false) { $0.retention = .durable }
        let refusals = pool.told(client: ann).compactMap { if case .refused(_, let error) = $0 { error } else { nil } }
        #expect(refusals.first?.code == .usage)
        #expect(refusals.first?.message.contains("no disk") == true)
    }

    @Test func theSetupThatADurableJobNeedsIsWrittenAndNoMore() {
        var pool = Scenario()
        _ = pool.join("a", runtimes: [.r])
        let ann = pool.connect("ann")
        for number in 1...3 { pool.setUp(ann, number: UInt32(number)) }
        #expect(pool.writes.allSatisfy { if case .setup = $0 { false } else { true } })
        let session = pool.session(ann)
        _ = pool.submit(ann, tasks: 1) { ($0.runtime, $0.session, $0.setup, $0.retention) = (.r, session, 2, .durable) }
        let written = pool.writes.compactMap { if case .setup(let entry, user: "ann") = $0 { entry.number } else { nil } }
        #expect(written == [1, 2])
    }

    @Test func payloadsBeyondTheMemoryForThemAreReadFromTheStore() {
        var pool = Scenario { $0.cachedOutcomeBytes = 1 }
        let a = pool.join("a", cpus: 2)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 2, reads: false) { $0.retention = .durable }
        pool.end(a, job, [0, 1])
        let slot = pool.scheduler.jobs.slots[0]
        #expect(pool.scheduler.jobs[slot].tasks.log[0].isStored)
        #expect(pool.scheduler.jobs[slot].tasks.log.byteCount == 0)
    }

    @Test func anEndedJobIsForgottenWhenItsTimeIsOver() {
        var pool = Scenario { $0.keep = .seconds(100) }
        let a = pool.join("a", cpus: 4)
        let ann = pool.connect("ann")
        let short = pool.submit(ann, tasks: 1) {
            $0.retention = .durable
            $0.policy.keep = .seconds(10)
        }
        let long = pool.submit(ann, tasks: 1) { $0.retention = .durable }
        pool.end(a, short, [0])
        pool.end(a, long, [0])
        pool.pass(.seconds(15))
        #expect(pool.progress(short) == nil)
        #expect(pool.progress(long) != nil)
        // The time goes on while the server is down.
        pool.restartServer()
        pool.pass(.seconds(90))
        #expect(pool.progress(long) == nil)
        #expect(pool.writes.contains(.forgotten(long)))
    }
}
