import DequeModule
import HeapModule
package import RoostModel

/// What a scheduler is told once.
package struct SchedulerConfiguration: Sendable {
    package var pool: UInt64 = 0
    package var epoch: Epoch = 1
    package var version = ""
    package var suspectAfter: Duration = Limits.suspectAfter
    package var clientGrace: Duration = Limits.clientGrace
    package var heartbeat: Duration = Limits.heartbeat
    /// How often readers hear how far their jobs are.
    package var progressInterval: Duration = .milliseconds(500)
    /// How often tasks granted ahead are looked at for an idle node.
    package var retractInterval: Duration = .milliseconds(5)
    /// How long a node's lanes stay with a session that has work, whoever else waits.
    package var sessionStay: Duration = Limits.sessionStay
    /// How long after a restart the node of a seat is waited for.
    package var seatRecovery: Duration = Limits.seatRecovery
    /// Undelivered outcome bytes of one attached job before its grants pause.
    package var undeliveredBytes = Limits.undeliveredBytes
    /// Argument bytes of all jobs together before submissions are made to wait.
    package var queuedBytes = Limits.queuedBytes
    /// How long a durable job that has ended is kept, unless its policy says otherwise; nil: until it is forgotten.
    package var keep: Duration? = Limits.keep
    /// Whether there is a store behind this scheduler; without one, durable jobs are refused.
    package var hasStore = false
    /// How long after a start granted tasks wait for their nodes to come back.
    package var recoveryWindow: Duration = Limits.recoveryWindow
    /// Payload bytes of outcomes of durable jobs that are kept in memory beside the disk.
    package var cachedOutcomeBytes = Limits.cachedOutcomeBytes
    /// Bytes of arguments of durable jobs that are kept in memory beside the disk.
    package var cachedArgumentBytes = Limits.cachedArgumentBytes
    package var sabotage: Sabotage?

    package init() {}
}

/// Every decision of the server about jobs, tasks, nodes, leases, sessions and deliveries.
///
///     event ─▶ apply ─▶ state, effects            as many as the turn brought
///              settle ─▶ grants, deliveries, acknowledgements    once a turn
///
/// A value: no clock, no randomness, no I/O, no `async`. Time comes in as an argument, what must be done goes
/// out as ``Effects``. Tables are arrays of structs reached by slot; dictionaries are looked up, never iterated
/// to decide.
package struct Scheduler {
    package let configuration: SchedulerConfiguration
    package internal(set) var jobs = SlotTable<JobRecord>()
    package internal(set) var nodes = SlotTable<NodeRecord>()
    package internal(set) var users: [UserRecord] = []
    package internal(set) var counters = PoolCounters()
    var jobSlots: [JobID: Int] = [:]
    /// Jobs forgotten while nodes may still have attempts of theirs: the number that their next attempts begin
    /// after, should their client come back with them. An attempt's number is never given twice.
    var forgottenNumbers: [JobID: UInt32] = [:]
    /// The same jobs, oldest first, so that the oldest make room.
    var forgottenJobs: Deque<JobID> = []
    var nodeSlots: [NodeID: Int] = [:]
    var userSlots: [String: Int] = [:]
    var sessions: [SessionID: SessionRecord] = [:]
    var setups: [SessionID: SetupRecord] = [:]
    /// Jobs whose seat is bound to no node yet, the oldest first.
    var unseatedJobs: [JobID] = []
    var areStrangersWatched = false
    /// Attached jobs that have ended and whose sessions remember it.
    var endedJobs: Set<JobID> = []
    /// Whether the end of the time in which nodes may come back with seats is scheduled.
    var isSeatRecoveryWatched = false
    var owners: [ConnectionID: Owner] = [:]
    var deadlines = Heap<Deadline>()
    var nextJobNumber: UInt32 = 1
    var nextLife: UInt64 = 1
    var served: UInt64 = 0
    /// Jobs to look at when the turn is settled.
    var jobsWithNews: [Int] = []
    /// Nodes that may take more work.
    var hungryNodes: [Int] = []
    /// Nodes that wait for acknowledgements.
    var nodesOwed: [Int] = []
    /// Clients whose last chunk is not answered, because too much is queued already.
    var withheld: [Int] = []
    /// Argument bytes as last counted, and what has been appended since.
    var countedBytes = 0
    var appendedBytes = 0
    var isProgressDue = false
    var isRetractScheduled = false
    /// Durable jobs, with those that were forgotten since the last settlement.
    var durableJobs: Set<JobID> = []
    var durableJobsForgotten: [JobID] = []
    /// What the store is to be told with the next settlement.
    var writes: [StoreWrite] = []
    /// How many writes were asked for in all.
    var writeCount: UInt64 = 0
    /// Entries of outcome logs whose payloads are in memory although they are, or will be, on disk; the oldest first.
    var cachedOutcomes: Deque<CachedOutcome> = []
    var cachedBytes = 0
    /// Bytes of arguments of durable jobs that are in memory.
    var cachedArgumentBytes = 0
    var recovery: Recovery?
    let started: Instant

    /// What is at the other end of a connection.
    enum Owner: Hashable {
        case node(Int)
        case client(SessionID)
    }

    package init(_ configuration: SchedulerConfiguration, at now: Instant) {
        self.configuration = configuration
        started = now
    }

    /// When `deadlinePassed` is due; nil: no timer needed.
    package var nextDeadline: Instant? { deadlines.min?.at }

    /// Takes one fact in.
    package mutating func apply(_ event: Event, at now: Instant, into effects: inout Effects) {
        switch event {
        case .nodeSaid(let connection, let message):
            guard case .node(let slot) = owners[connection] else { return }
            nodes[slot].lastHeard = now
            nodeSaid(slot, message, at: now, into: &effects)
        case .clientSaid(let connection, let message):
            guard case .client(let session) = owners[connection] else { return }
            sessions[session]?.lastHeard = now
            clientSaid(session, connection, message, at: now, into: &effects)
        case .nodeConnected(let connection, let hello, let peer):
            nodeConnected(connection, hello, peer: peer, at: now, into: &effects)
        case .clientConnected(let connection, let principal, let hello, let peer):
            clientConnected(connection, principal, hello, peer: peer, at: now, into: &effects)
        case .guardReported(let report):
            guardReported(report, at: now, into: &effects)
        case .disconnected(let connection):
            disconnected(connection, at: now, into: &effects)
        case .deadlinePassed:
            deadlinesPassed(at: now, into: &effects)
        case .committed(let count):
            committed(count)
        case .jobNotSent(let connection, let id):
            guard case .node(let slot) = owners[connection], let job = jobSlots[id] else { return }
            nodes[slot].jobsKnown.remove(job)
        case .grantNotSent(let connection, let attempts, let error):
            guard case .node(let slot) = owners[connection] else { return }
            grantNotSent(slot, attempts, error, at: now, into: &effects)
        }
    }

    /// Ends a turn: grants what can be granted, delivers what can be delivered.
    package mutating func settle(at now: Instant, into effects: inout Effects) {
        assign(at: now, into: &effects)
        serveReaders(at: now, into: &effects)
        sendAcknowledgements(into: &effects)
        holdBack(in: &effects)
    }

    // MARK: Connections

    mutating func disconnected(_ connection: ConnectionID, at now: Instant, into effects: inout Effects) {
        switch owners.removeValue(forKey: connection) {
        case .node(let slot) where nodes.isUsed(slot) && nodes[slot].connection == connection:
            nodes[slot].connection = nil
            suspect(slot, at: now, into: &effects)
        case .client(let id) where sessions[id]?.connection == connection:
            clientLeft(id, at: now)
        case .node, .client, nil:
            break
        }
    }

    // MARK: Deadlines

    /// Something to look at later. Deadlines are never taken back: each one looks whether it still means anything.
    struct Deadline: Comparable {
        enum Purpose: Hashable {
            case silence(node: Int, life: UInt64)
            case lease(node: Int, life: UInt64, suspectSince: Instant)
            case clientSilence(SessionID, departures: Int)
            case clientGrace(SessionID, departures: Int)
            case progress
            case retract
            case memory
            case strangers
            case recovery
            /// The leases of earlier epochs on a strict attached job's tasks are over.
            case strict(JobID)
            /// A durable job's time to live after its end is over.
            case keep(JobID)
            case seats
        }

        var at: Instant
        /// Makes the order total, and the same in every run.
        var order: UInt64
        var purpose: Purpose

        static func < (a: Deadline, b: Deadline) -> Bool { (a.at, a.order) < (b.at, b.order) }
        static func == (a: Deadline, b: Deadline) -> Bool { a.at == b.at && a.order == b.order }
    }

    mutating func schedule(_ purpose: Deadline.Purpose, at instant: Instant) {
        served += 1
        deadlines.insert(Deadline(at: instant, order: served, purpose: purpose))
    }

    mutating func deadlinesPassed(at now: Instant, into effects: inout Effects) {
        while let first = deadlines.min, first.at <= now {
            deadlines.removeMin()
            switch first.purpose {
            case .silence(let slot, let life): lookForSilence(slot, life: life, at: now, into: &effects)
            case .lease(let slot, let life, let since):
                leasesEnded(slot, life: life, suspectSince: since, at: now, into: &effects)
            case .clientSilence(let session, let departures):
                lookForSilence(of: session, departures: departures, at: now, into: &effects)
            case .clientGrace(let session, let departures):
                clientGraceEnded(session, departures: departures, at: now, into: &effects)
            case .progress:
                isProgressDue = false
                sendProgress(into: &effects)
            case .memory:
                memoryChecked(at: now)
            case .strangers: forgetStrangers(at: now, into: &effects)
            case .recovery: endRecovery(at: now, into: &effects)
            case .strict(let job): strictLeaseEnded(job)
            case .keep(let job): keepingEnded(job, at: now, into: &effects)
            case .seats: noteAllHungry()
            case .retract:
                isRetractScheduled = false
                retractForIdleNodes(at: now, into: &effects)
            }
        }
    }

    // MARK: Small things everybody needs

    mutating func noteNews(_ job: Int) {
        if !jobs[job].hasNews {
            jobs[job].hasNews = true
            jobsWithNews.append(job)
        }
    }

    mutating func noteHungry(_ node: Int) {
        if !nodes[node].isHungry {
            nodes[node].isHungry = true
            hungryNodes.append(node)
        }
    }

    mutating func noteAllHungry() {
        for slot in 0..<nodes.end where nodes.isUsed(slot) { noteHungry(slot) }
    }

    mutating func noteProgress(_ job: Int, at now: Instant) {
        jobs[job].progressChanged = true
        if !isProgressDue && !jobs[job].readers.isEmpty {
            isProgressDue = true
            schedule(.progress, at: now + configuration.progressInterval)
        }
    }

    /// The node is to be told that its batch is safe: with this turn, or `afterWrites`, when the store has it.
    mutating func owe(_ origin: OutcomeLog.Origin, afterWrites: Bool = false) {
        guard nodes.isUsed(origin.nodeSlot), nodes[origin.nodeSlot].life == origin.life else { return }
        if nodes[origin.nodeSlot].owedAcknowledgements.isEmpty && nodes[origin.nodeSlot].owedAfterWrites.isEmpty {
            nodesOwed.append(origin.nodeSlot)
        }
        if afterWrites {
            nodes[origin.nodeSlot].owedAfterWrites.append(origin.sequence)
        } else {
            nodes[origin.nodeSlot].owedAcknowledgements.append(origin.sequence)
        }
        nodes[origin.nodeSlot].heldSequences.remove(origin.sequence)
    }

    mutating func sendAcknowledgements(into effects: inout Effects) {
        for slot in nodesOwed where nodes.isUsed(slot) {
            guard let connection = nodes[slot].connection else { continue }
            if !nodes[slot].owedAcknowledgements.isEmpty {
                effects.send(.acknowledge(nodes[slot].owedAcknowledgements), to: connection)
                nodes[slot].owedAcknowledgements.removeAll(keepingCapacity: true)
            }
            if !nodes[slot].owedAfterWrites.isEmpty {
                effects.afterWrites.toNodes.append(
                    Effects.Letter(connection: connection, message: .acknowledge(nodes[slot].owedAfterWrites)))
                nodes[slot].owedAfterWrites.removeAll(keepingCapacity: true)
            }
        }
        nodesOwed.removeAll(keepingCapacity: true)
    }
}
