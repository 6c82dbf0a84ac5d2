import RoostModel
import RoostNode
import Testing

/// Which worker serves which session.
@Suite struct WorkerShelfTests {
    private let ann = SessionID(rawValue: 1)
    private let bob = SessionID(rawValue: 2)

    @Test func aSessionKeepsItsWorkersAndNeverGetsAnothers() {
        var shelf = WorkerShelf(slots: 2)
        #expect(shelf.choose(for: ann) == .start(ending: nil))
        shelf.add(1)
        shelf.begin(1, ann)
        shelf.end(1)
        #expect(shelf.choose(for: ann) == .use(1))
        #expect(shelf.choose(for: bob) == .start(ending: nil))
    }

    @Test func aSpareServesWhoComesFirst() {
        var shelf = WorkerShelf(slots: 2)
        shelf.add(1)
        #expect(!shelf.wantsSpare)
        #expect(shelf.choose(for: bob) == .use(1))
        shelf.begin(1, bob)
        #expect(shelf.wantsSpare)
    }

    @Test func withAllSlotsTakenTheLongestIdleWorkerOfAnotherSessionGoes() {
        var shelf = WorkerShelf(slots: 2)
        for worker: UInt64 in [1, 2] {
            shelf.add(worker)
            shelf.begin(worker, ann)
        }
        shelf.end(2)
        shelf.end(1)
        #expect(shelf.choose(for: bob) == .start(ending: 1))
        shelf.begin(1, ann)
        #expect(shelf.choose(for: bob) == .start(ending: 2))
    }

    @Test func aSeatHasAWorkerOfItsOwn() {
        var shelf = WorkerShelf(slots: 2)
        for worker: UInt64 in [1, 2] {
            shelf.add(worker)
            shelf.begin(worker, ann)
            shelf.end(worker)
        }
        #expect(shelf.chooseForSeat(of: ann) == .use(2))
        shelf.bind(2, to: 1)
        #expect(shelf.chooseForSeat(of: ann) == .use(1))
        shelf.bind(1, to: 2)
        #expect(shelf.chooseForSeat(of: ann) == .start(ending: nil), "more workers than slots, but no two seats on one")
        #expect(shelf.choose(for: ann) == .use(2), "the session's other tasks use all its workers")
        #expect(shelf.choose(for: bob) == .start(ending: nil), "a seat's worker is never ended for another's sake")
    }

    @Test func aBusyWorkerWithoutASeatIsNotWaitedFor() {
        var shelf = WorkerShelf(slots: 2)
        shelf.add(1)
        shelf.begin(1, ann)
        #expect(shelf.chooseForSeat(of: ann) == .start(ending: nil))
        shelf.add(2)
        #expect(shelf.chooseForSeat(of: ann) == .use(2), "a spare")
    }

    @Test func tasksSmallerThanASlotGetMoreWorkersThanSlots() {
        var shelf = WorkerShelf(slots: 1)
        shelf.add(1)
        shelf.begin(1, ann)
        #expect(shelf.choose(for: ann) == .start(ending: nil))
    }
}
