import RoostModel
import RoostScheduler
import RoostTesting
import Testing

/// A server that starts again: what it finds on its disk, and what nodes and clients bring.
@Suite struct RecoveryTests {
    private func pool(_ change: @escaping (inout JobSpec) -> Void = { _ in }) -> (Scenario, a: Int, ann: Int, job: JobID) {
        var pool = Scenario { $0.recoveryWindow = .seconds(60) }
        let a = pool.join("a", cpus: 2)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 4) { spec in
            spec.retention = .durable
            change(&spec)
        }
        return (pool, a, ann, job)
    }

    @Test func aDurableJobIsThereWithAllThatWasRecorded() {
        var (pool, a, ann, job) = pool()
        pool.end(a, job, [0])
        pool.end(a, job, [1], .failed)
        pool.restartServer()
        #expect(pool.progress(job)?.succeeded == 1)
        #expect(pool.progress(job)?.failed == 1)
        #expect(pool.progress(job)?.tasks == 4)
        #expect(pool.progress(job)?.isClosed == true)
        pool.reconnect(ann)
        pool.say(client: ann, [.read(ReadRequest(job: job, order: .asCompleted))])
        let outcomes = pool.outcomes(ann, job)
        #expect(outcomes.map(\.task) == [0, 1])
        #expect(outcomes.last?.postMortem?.reason == "ended as failed")
    }

    @Test func whatRunsGoesOnAndNothingRunsTwice() {
        var (pool, a, ann, job) = pool()
        #expect(pool.tasks(a, job) == [0, 1])
        pool.restartServer()
        let b = pool.join("b", cpus: 4)
        #expect(pool.tasks(b, job) == [2, 3], "what nobody was granted does not wait")
        pool.comeBack(a)
        #expect(pool.tasks(a, job) == [0, 1])
        pool.end(a, job, [0, 1])
        pool.end(b, job, [2, 3])
        pool.reconnect(ann)
        pool.say(client: ann, [.read(ReadRequest(job: job, order: .inOrder))])
        #expect(pool.outcomes(ann, job).map(\.attempt) == [1, 1, 1, 1])
    }

    @Test func aResultFinishedWhileTheServerWasDownIsRecorded() {
        var (pool, a, _, job) = pool()
        pool.restartServer()
        pool.comeBack(a, finished: [0], of: job)
        pool.end(a, job, [0])
        #expect(pool.progress(job)?.succeeded == 1)
        #expect(pool.told(node: a).contains { if case .acknowledge = $0 { true } else { false } })
    }

    @Test func grantedTasksWaitForTheirNodeNoLongerThanTheWindow() {
        var (pool, a, _, job) = pool { $0.policy.lease = .seconds(300) }
        pool.restartServer()
        let b = pool.join("b", cpus: 4)
        pool.end(b, job, [2, 3])
        pool.pass(.seconds(58))
        #expect(pool.tasks(b, job) == [])
        pool.pass(.seconds(3))
        #expect(pool.tasks(b, job) == [0, 1])
        #expect(pool.attempt(b, job, 0) == 2, "an attempt's number is never given twice")
        // The first node is late: what it brings is nobody's any more.
        pool.comeBack(a)
        pool.end(a, job, [0], attempt: 1)
        #expect(pool.progress(job)?.late == 1)
        #expect(pool.progress(job)?.succeeded == 2)
    }

    @Test func aStrictJobWaitsForTheWholeLease() {
        var (pool, _, _, job) = pool {
            $0.policy.lease = .seconds(200)
            $0.policy.isStrict = true
        }
        pool.restartServer()
        let b = pool.join("b", cpus: 4)
        pool.end(b, job, [2, 3])
        pool.pass(.seconds(190))
        #expect(pool.tasks(b, job) == [])
        pool.pass(.seconds(15))
        #expect(pool.tasks(b, job) == [0, 1])
    }

    @Test func aNodeKnownToBeDeadIsNotWaitedFor() {
        var (pool, a, _, job) = pool()
        pool.restartServer()
        let b = pool.join("b", cpus: 4)
        pool.end(b, job, [2, 3])
        pool.reportDead(a)
        #expect(pool.tasks(b, job) == [0, 1])
        var (other, c, _, second) = self.pool()
        other.restartServer()
        other.restart(c)
        #expect(other.tasks(c, second) == [0, 1], "its agent was started again: what it ran is over")
        #expect(other.attempt(c, second, 0) == 2)
    }

    @Test func whatNobodyAskedForUnderSeveralServersIsNotKeptAnyLonger() {
        var pool = Scenario { $0.clientGrace = .seconds(100) }
        let a = pool.join("a", cpus: 2, runtimes: [.r])
        let ann = pool.connect("ann")
        _ = pool.submit(ann, tasks: 2) { $0.runtime = .r }
        func isToldToDrop() -> Bool { pool.told(node: a).contains { if case .drop = $0 { true } else { false } } }
        pool.restartServer()
        pool.comeBack(a, contacts: [Contact(epoch: 1, time: .seconds(1000))])
        #expect(!isToldToDrop())
        pool.restartServer()
        pool.comeBack(a, contacts: [Contact(epoch: 1, time: .seconds(1000)), Contact(epoch: 2, time: .seconds(60))])
        #expect(!isToldToDrop())
        pool.restartServer()
        let contacts = [Contact(epoch: 2, time: .seconds(60)), Contact(epoch: 3, time: .seconds(41))]
        pool.comeBack(a, contacts: contacts)
        #expect(isToldToDrop())
    }

    @Test func aClientThatIsAwayForLongMayStillFinishItsDurableSubmission() {
        var pool = Scenario { $0.clientGrace = .seconds(100) }
        let a = pool.join("a", cpus: 2)
        let ann = pool.connect("ann")
        let spec = JobSpec(id: pool.newJob(), runtime: .command, retention: .durable)
        pool.say(client: ann, [.submit(spec), .append(Scenario.chunk(spec.id, first: 0, count: 2))])
        pool.cut(client: ann)
        pool.end(a, spec.id, [0, 1])
        pool.pass(.seconds(200))
        pool.restartServer()
        pool.comeBack(a)
        pool.pass(.seconds(200))
        #expect(pool.progress(spec.id)?.isClosed == false)
        pool.reconnect(ann)
        pool.say(client: ann, [.submit(spec), .append(Scenario.chunk(spec.id, first: 2, count: 1)), .close(job: spec.id, count: 3)])
        pool.end(a, spec.id, [2])
        #expect(pool.progress(spec.id)?.isEnded == true)
        #expect(pool.progress(spec.id)?.succeeded == 3)
    }

    @Test func aClientThatLeavesItsSubmissionLeavesWhatHadCome() {
        var (pool, _, ann, _) = pool()
        let spec = JobSpec(id: pool.newJob(), runtime: .command, retention: .durable)
        pool.say(client: ann, [.submit(spec), .append(Scenario.chunk(spec.id, first: 0, count: 2)), .goodbye])
        #expect(pool.progress(spec.id)?.isClosed == true)
        #expect(pool.progress(spec.id)?.tasks == 2)
        #expect(pool.notices.contains(.jobCutShort(number: 2, tasks: 2)))
    }

    @Test func aGrantThatNeverArrivedIsGrantedAgainWhenItsNodeIsBack() {
        var (pool, a, _, job) = pool()
        pool.lose(a, job)
        pool.restartServer()
        pool.comeBack(a)
        #expect(pool.attempt(a, job, 0) == 2)
    }

    @Test func crashCountsAndEvidenceSurvive() {
        var (pool, a, ann, job) = pool { $0.policy.crashLimit = 3 }
        for round in 1...2 {
            pool.end(a, job, [0], .crashed)
            #expect(pool.attempt(a, job, 0) == UInt32(round + 1))
        }
        pool.restartServer()
        pool.comeBack(a)
        pool.end(a, job, [0], .crashed)
        #expect(pool.progress(job)?.held == 1)
        pool.reconnect(ann)
        guard case .jobs(let jobs) = pool.ask(ann, .job(.id(job))) else {
            Issue.record("no answer")
            return
        }
        #expect(jobs.first?.troubles.first?.postMortem?.reason == "ended as crashed")
    }

    @Test func aNewRoundSurvives() {
        var (pool, a, ann, job) = pool()
        pool.end(a, job, [0], .failed)
        _ = pool.ask(ann, .retry(.id(job), tasks: [], held: false))
        pool.restartServer()
        #expect(pool.progress(job)?.failed == 0)
        let b = pool.join("b", cpus: 4)
        #expect(pool.tasks(b, job).contains(0))
        #expect(pool.attempt(b, job, 0) == 2)
    }

    @Test func aCancelledJobStaysCancelled() {
        var (pool, a, ann, job) = pool()
        _ = pool.ask(ann, .cancel(.id(job), tasks: [], kill: false))
        pool.restartServer()
        pool.comeBack(a)
        #expect(pool.told(node: a).contains { if case .cancel = $0 { true } else { false } })
        pool.end(a, job, [0, 1])
        #expect(pool.progress(job)?.isEnded == true)
        #expect(pool.progress(job)?.cancelled == 2)
    }

    @Test func aDamagedJobIsSaidToBeSoAndHindersNoOther() {
        var pool = Scenario()
        var stored = StoredPool()
        let spec = JobSpec(id: JobID(rawValue: 9), runtime: .command, retention: .durable)
        var job = StoredJob(spec: spec, number: 3, user: "ann", age: .seconds(5))
        job.damage = RoostError(.damaged, "job 3 is damaged")
        stored.jobs = [job]
        var effects = Effects()
        pool.scheduler.restore(stored, at: .zero, into: &effects)
        #expect(effects.notices.contains(.jobDamaged(number: 3, reason: "job 3 is damaged")))
        _ = pool.join("a", cpus: 2)
        let ann = pool.connect("ann")
        pool.say(client: ann, [.read(ReadRequest(job: spec.id, order: .inOrder))])
        #expect(pool.told(client: ann).contains(.refused(job: spec.id, RoostError(.damaged, "job 3 is damaged"))))
        let other = pool.submit(ann, tasks: 1) { $0.retention = .durable }
        #expect(pool.progress(other)?.granted == 1)
        #expect(pool.ask(ann, .forget(.id(spec.id))) == .done(count: 1))
    }

    @Test func aDamagedJobIsLeftAsItIsUntilSomebodyForgetsIt() {
        var pool = Scenario { ($0.clientGrace, $0.keep) = (.seconds(50), .seconds(60)) }
        var stored = StoredPool()
        let ann = pool.connect("ann")
        var spec = JobSpec(id: JobID(rawValue: 9), runtime: .r, retention: .durable)
        // Its setup is damaged, too.
        (spec.session, spec.setup) = (pool.session(ann), 1)
        var job = StoredJob(spec: spec, number: 3, user: "ann", age: .seconds(5))
        job.damage = RoostError(.damaged, "job 3 is damaged")
        job.standing.isClosed = true
        stored.jobs = [job]
        var effects = Effects()
        pool.scheduler.restore(stored, at: .zero, into: &effects)
        // Its client comes back and would go on submitting; its node has a result of it.
        pool.reconnect(ann)
        pool.say(client: ann, [.submit(spec), .append(Scenario.chunk(spec.id, first: 0, count: 2)), .close(job: spec.id, count: 2)])
        #expect(pool.told(client: ann).contains(.refused(job: spec.id, RoostError(.damaged, "job 3 is damaged"))))
        let a = pool.join("a", cpus: 2)
        var batch = OutcomeBatch(job: spec.id, epoch: 0)
        batch.append(task: 0, attempt: 1, code: .succeeded, payload: [1])
        pool.say(a, .outcomes(sequence: 1, batch))
        #expect(!pool.told(node: a).contains { if case .acknowledge = $0 { true } else { false } }, "the node keeps it")
        #expect(pool.ask(ann, .cancel(.id(spec.id), tasks: [], kill: true)) == .done(count: 0))
        #expect(pool.ask(ann, .forget(.all)) == .done(count: 0))
        pool.cut(client: ann)
        pool.pass(.seconds(200))
        #expect(pool.progress(spec.id)?.tasks == 0)
        #expect(!pool.notices.contains { if case .jobEnded(number: 3, _) = $0 { true } else { false } })
        pool.reconnect(ann)
        guard case .jobs(let found) = pool.ask(ann, .job(.id(spec.id))) else {
            Issue.record("it is gone")
            return
        }
        #expect(found.first?.progress.isEnded == false, "nobody waits for it in vain, and takes it for done")
        #expect(pool.ask(ann, .forget(.id(spec.id))) == .done(count: 1))
    }

    @Test func aTaskThatWasCancelledAndRunsInAnotherRoundIsNotCancelledByARestart() {
        var (pool, a, ann, job) = pool()
        _ = pool.ask(ann, .cancel(.id(job), tasks: [TaskRange(first: 0, count: 1)], kill: false))
        pool.end(a, job, [0], .cancelled)
        _ = pool.ask(ann, .retry(.id(job), tasks: [TaskRange(first: 0, count: 1)], held: false))
        pool.end(a, job, [1, 2])
        #expect(Set(pool.tasks(a, job)) == [0, 3])
        pool.restartServer()
        _ = pool.told(node: a)
        pool.comeBack(a)
        #expect(!pool.told(node: a).contains { if case .cancel = $0 { true } else { false } })
        pool.end(a, job, [0, 3])
        #expect(pool.progress(job)?.succeeded == 4)
    }

    @Test func whatIsMissingIsSaidInTheRecoveryWindowTooAndThatNodesMayComeBack() {
        var (pool, _, ann, job) = pool()
        pool.restartServer()
        let b = pool.join("b", cpus: 1, runtimes: [.r])
        _ = b
        pool.reconnect(ann)
        guard case .explanation(let lines) = pool.ask(ann, .explain(.id(job), task: nil)) else {
            Issue.record("no explanation")
            return
        }
        #expect(lines.first?.isUnfit == true && lines.first?.reason.hasSuffix("not back yet: 1") == true, "\(lines)")
    }

    /// Simulator, seed 77261: the node went on with its queue until claims ended.
    @Test func whatANodeHasOfADurableJobThatWasForgottenIsDroppedWhenItIsBack() {
        var (pool, a, ann, job) = pool()
        pool.restartServer()
        let b = pool.join("b", cpus: 4)
        pool.pass(.seconds(61))
        pool.end(b, job, pool.tasks(b, job))
        pool.end(b, job, pool.tasks(b, job))
        pool.reconnect(ann)
        _ = pool.ask(ann, .forget(.id(job)))
        #expect(pool.progress(job) == nil)
        pool.comeBack(a)
        #expect(pool.tasks(a, job) == [])
    }
}
