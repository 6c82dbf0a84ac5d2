package import RoostModel

/// Where a seat is: on a node, for as long as this agent of it is in the pool.
package struct Seat {
    package var node: NodeID
    package var life: UInt64
    /// For people.
    package var name: String
}

/// Seats: places of a session, each bound to one worker, so that what a task leaves there the next one finds.
///
///     no seat yet ──first grant──▶ node ──node lost, or left──▶ dead: its tasks fail, in words
///          │                         ▲
///          │ restart, and it was     ├─ its node is back, and says so
///          └ taken before: wait ─────┴─ it is not, after `seatRecovery`: what waits fails, in words; then a new worker
///
/// The server knows the node; the worker only its node knows, and that it has died. So the tasks of such a seat are
/// granted to the node like others, and fail there.
extension Scheduler {
    func seat(of spec: JobSpec) -> Seat? { spec.seat == 0 ? nil : setups[spec.session]?.seats[spec.seat] }

    /// Why the node cannot run tasks of the job, however empty it is.
    func obstacle(_ job: Int, on node: Int) -> String? {
        if let obstacle = nodes[node].obstacle(for: jobs[job].spec) { return obstacle }
        guard let seat = seat(of: jobs[job].spec), seat.life != nodes[node].life else { return nil }
        return "is not the node of seat \(jobs[job].spec.seat): that is \(seat.name)"
    }

    /// Why this job cannot have the seat it asks for; nil: it can.
    func obstacle(toSeatOf spec: JobSpec) -> RoostError? {
        guard spec.seat != 0 else { return nil }
        guard spec.session.rawValue != 0, spec.runtime.keepsWorkers else {
            return RoostError(.usage, "a seat is a worker of a session: runtime '\(spec.runtime.rawValue)' has none")
        }
        guard let record = setups[spec.session], record.seats[spec.seat] == nil else { return nil }
        guard record.seats.count < Limits.seatsPerSession else {
            return RoostError(
                .limit, "this session has had \(Limits.seatsPerSession) seats", remedy: "Open a new session.")
        }
        return nil
    }

    /// Whether another job's task is with the seat's worker: one that would only wait there needs no slot, nor any time.
    func isSeatBusy(_ job: Int, on node: Int) -> Bool {
        let spec = jobs[job].spec
        return spec.seat != 0
            && nodes[node].shares.contains {
                $0.job != job && $0.granted > 0 && jobs[$0.job].spec.seat == spec.seat && jobs[$0.job].spec.session == spec.session
            }
    }

    /// Gives seats to jobs that wait for one.
    mutating func bindSeats(at now: Instant) {
        guard !unseatedJobs.isEmpty else { return }
        let waiting = unseatedJobs
        unseatedJobs.removeAll()
        for id in waiting {
            guard let job = jobSlots[id], seat(of: jobs[job].spec) == nil else { continue }
            let spec = jobs[job].spec
            guard isRunnable(job) else {
                unseatedJobs.append(id)
                continue
            }
            if spec.seatEpoch > 0 && holder(of: spec) == nil && configuration.sabotage != .rebindSeats {
                if waitForSeats(at: now) { unseatedJobs.append(id) } else { loseSeat(of: job, at: now) }
                continue
            }
            guard let node = nodeForSeat(of: spec) else {
                unseatedJobs.append(id)
                continue
            }
            bindSeat(of: job, to: node)
            noteHungry(node)
        }
    }

    private mutating func bindSeat(of job: Int, to node: Int) {
        let spec = jobs[job].spec
        setups[spec.session]?.seats[spec.seat] = Seat(
            node: nodes[node].hello.node, life: nodes[node].life, name: nodes[node].hello.name)
        setups[spec.session]?.seatsOnNodes[nodes[node].life, default: 0] += 1
    }

    /// Whether the node may go on with tasks of the job that it was granted in an earlier epoch: not when the client knows the
    /// seat's worker as one of another node.
    func mayGoOnWithSeat(of job: Int, _ epoch: Epoch, on node: Int) -> Bool {
        let spec = jobs[job].spec
        guard spec.seat != 0 else { return true }
        return seat(of: spec).map { $0.life == nodes[node].life } ?? (epoch >= spec.seatEpoch)
    }

    /// The node goes on with such tasks: what comes of them, the client will expect there.
    mutating func keepSeat(of job: Int, on node: Int) {
        guard jobs[job].spec.seat != 0, seat(of: jobs[job].spec) == nil else { return }
        bindSeat(of: job, to: node)
    }

    /// The node that says it has the seat; else one with a slot that no seat of this session has, and room for a task; else
    /// the one with the fewest of its seats for each slot.
    private func nodeForSeat(of spec: JobSpec) -> Int? {
        if let holder = holder(of: spec) { return holder }
        var best: (rank: (Int, Double), node: Int)?
        for node in 0..<nodes.end where nodes.isUsed(node) {
            guard nodes[node].isAvailable, nodes[node].obstacle(for: spec) == nil else { continue }
            let seats = setups[spec.session]?.seatsOnNodes[nodes[node].life] ?? 0
            let slots = max(1, Int(nodes[node].hello.offer.milliCPUs / 1000))
            let hasRoom = seats < slots && nodes[node].free.fits(spec.request, atMost: 1) > 0
            let rank = (hasRoom ? 0 : 1, Double(seats) / Double(slots))
            if best.map({ rank < $0.rank }) ?? true { best = (rank, node) }
        }
        return best?.node
    }

    /// The node that says it has the seat. When several do, for the seat was bound anew while one was away: the one with the
    /// worker that the client knows, else the latest.
    private func holder(of spec: JobSpec) -> Int? {
        var best: (epoch: Epoch, node: Int)?
        for node in nodes.slots {
            guard let epoch = nodes[node].seats[spec.session]?[spec.seat], epoch >= spec.seatEpoch else { continue }
            let isBetter = best.map { spec.seatEpoch > 0 ? epoch < $0.epoch : epoch > $0.epoch } ?? true
            if isBetter { best = (epoch, node) }
        }
        return best?.node
    }

    /// Whether nodes may still come back with what they had before this server's start.
    private mutating func waitForSeats(at now: Instant) -> Bool {
        let end = started + configuration.seatRecovery
        guard configuration.epoch > 1, now < end else { return false }
        if !isSeatRecoveryWatched {
            isSeatRecoveryWatched = true
            schedule(.seats, at: end)
        }
        return true
    }

    /// Nobody has the worker that the client knows: it hears so once, from what waits, and the next job gets another.
    private mutating func loseSeat(of job: Int, at now: Instant) {
        let seat = jobs[job].spec.seat
        jobs[job].seatLoss = PostMortem(
            reason:
                "seat \(seat) was rebound: its worker is gone, for no node has come back with it since the server's restart; objects that it held are lost; from now on the seat has another"
        )
        failIfSeatIsDead(job, at: now)
    }

    /// What to tell of tasks whose seat is dead; nil: it is not.
    func deadSeat(of job: Int) -> PostMortem? {
        guard let seat = seat(of: jobs[job].spec) else { return nil }
        if let slot = nodeSlots[seat.node], nodes[slot].life == seat.life { return nil }
        return PostMortem(
            reason:
                "the worker of seat \(jobs[job].spec.seat) has ended: its node \(seat.name) is not in the pool any more; cloneNode() gives the seat another",
            node: seat.name)
    }

    static let deadSeatCode = OutcomeCode(.failed, .nodeLost)

    /// What waits for a dead seat fails at once.
    mutating func failIfSeatIsDead(_ job: Int, at now: Instant) {
        guard jobs[job].spec.seat != 0, let evidence = jobs[job].seatLoss ?? deadSeat(of: job) else { return }
        endWaiting(job, Self.deadSeatCode, evidence)
        noteProgress(job, at: now)
        noteNews(job)
    }

    /// A node has left for good.
    mutating func failDeadSeats(at now: Instant) {
        for job in 0..<jobs.end where jobs.isUsed(job) { failIfSeatIsDead(job, at: now) }
    }
}
