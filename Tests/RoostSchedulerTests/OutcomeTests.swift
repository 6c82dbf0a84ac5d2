import RoostModel
import RoostScheduler
import RoostTesting
import Testing

/// What ends of attempts mean.
@Suite struct OutcomeTests {
    @Test func failuresAreFinalUnlessRetriesWereAskedFor() {
        var pool = Scenario()
        let a = pool.join("a")
        let ann = pool.connect("ann")
        let once = pool.submit(ann, tasks: 1)
        pool.end(a, once, [0], .failed)
        #expect(pool.outcomes(ann, once).map(\.code) == [OutcomeCode(.failed, .failed)])

        let twice = pool.submit(ann, tasks: 1) { $0.policy.retries = 1 }
        pool.end(a, twice, [0], .failed)
        #expect(pool.attempt(a, twice, 0) == 2)
        pool.end(a, twice, [0], .timedOut)
        #expect(pool.outcomes(ann, twice).map(\.code) == [OutcomeCode(.failed, .timedOut)])
    }

    @Test func poisonIsHeldWithItsEvidence() {
        var pool = Scenario()
        let a = pool.join("a")
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 1)
        for number in 1...3 as ClosedRange<UInt32> {
            #expect(pool.attempt(a, job, 0) == number)
            pool.end(a, job, [0], .crashed)
        }
        let outcome = pool.outcomes(ann, job)
        #expect(outcome.map(\.code) == [OutcomeCode(.held, .crashed)])
        #expect(outcome.first?.postMortem?.node == "a")
        #expect(outcome.first?.postMortem?.attempt == 3)
        #expect(pool.notices.contains(.taskHeld(number: 1, task: 0, reason: "ended as crashed")))
    }

    @Test func neighboursOfPoisonAreNotCharged() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 2)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 2) { $0.policy.crashLimit = 1 }
        pool.end(a, job, [0], .crashed)
        pool.end(a, job, [1])
        #expect(pool.outcomes(ann, job).map(\.code) == [OutcomeCode(.held, .crashed), .succeeded])
    }

    @Test func whatANodeGivesUpByItselfIsTriedAgainUncharged() {
        var pool = Scenario()
        let a = pool.join("a")
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 1) { $0.policy.crashLimit = 1 }
        pool.end(a, job, [0], .reclaimed)
        #expect(pool.attempt(a, job, 0) == 2)
    }

    @Test func anOutcomeOfAnAttemptThatIsNotCurrentIsCountedAndDropped() {
        var pool = Scenario()
        let a = pool.join("a")
        let b = pool.join("b")
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 1)
        pool.end(b, job, [0], attempt: 1)
        pool.end(a, job, [0], attempt: 7)
        #expect(pool.progress(job)?.late == 2)
        pool.end(a, job, [0], attempt: 1)
        #expect(pool.outcomes(ann, job).count == 1)
    }

    @Test func aBatchOfLateAndCurrentOutcomesIsTakenApart() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 2)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 2)
        var batch = OutcomeBatch(job: job, epoch: 1)
        batch.append(task: 0, attempt: 9, code: .succeeded, payload: [9])
        batch.append(task: 1, attempt: 1, code: .succeeded, payload: [1])
        pool.report(a, batch)
        #expect(pool.outcomes(ann, job).map(\.task) == [1])
    }

    @Test func aTaskNamedTwiceInOneBatchHasOneOutcome() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 2)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 2)
        var batch = OutcomeBatch(job: job, epoch: 1)
        batch.append(task: 1, attempt: 1, littleEndian: 1)
        batch.append(task: 0, attempt: 1, littleEndian: 0)
        batch.append(task: 1, attempt: 1, littleEndian: 1)
        pool.report(a, batch)
        #expect(pool.outcomes(ann, job).map(\.task) == [1, 0])
        #expect(pool.progress(job)?.late == 1)
    }

    @Test func anEmptyBatchIsAcknowledgedAndChangesNothing() {
        var pool = Scenario()
        let a = pool.join("a")
        let job = pool.submit(pool.connect("ann"), tasks: 2)
        pool.report(a, OutcomeBatch(job: job, epoch: 1))
        #expect(pool.told(node: a).contains(.acknowledge([1])))
        #expect(pool.tasks(a, job) == [0])
    }

    @Test func theNodeIsAcknowledgedWhenTheClientHasTheOutcome() {
        var pool = Scenario()
        let a = pool.join("a")
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 2)
        pool.end(a, job, [0])
        #expect(!pool.told(node: a).contains(.acknowledge([1])))
        _ = pool.outcomes(ann, job, acknowledging: true)
        #expect(pool.told(node: a).contains(.acknowledge([1])))
    }

    @Test func haltNowStopsWhatRuns() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 2)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 10) {
            $0.policy.halt = HaltRule(urgency: .now, condition: .failed, threshold: .count(1))
        }
        pool.end(a, job, [0], .failed)
        let stops = pool.told(node: a).contains { if case .cancel(_, kill: true) = $0 { true } else { false } }
        #expect(stops)
        pool.end(a, job, [1], .cancelled)
        #expect(pool.progress(job)?.isEnded == true)
        #expect(pool.progress(job)?.cancelled == 9)
    }

    @Test func haltSoonLetsWhatRunsEnd() {
        var pool = Scenario()
        let a = pool.join("a", cpus: 2)
        let ann = pool.connect("ann")
        let job = pool.submit(ann, tasks: 10) {
            $0.policy.halt = HaltRule(urgency: .soon, condition: .failed, threshold: .count(1))
        }
        pool.end(a, job, [0], .failed)
        pool.cut(a)
        pool.comeBack(a)
        let stops = pool.told(node: a).contains { if case .cancel = $0 { true } else { false } }
        #expect(!stops)
        pool.end(a, job, [1])
        #expect(pool.progress(job)?.succeeded == 1)
        #expect(pool.progress(job)?.isEnded == true)
    }
}
