import Roost
import RoostModel

extension Simulation {
    func makeClients(_ count: Int) {
        let users = random.int(1...3)
        for ordinal in 0..<count {
            let role: Role = ordinal == 0 && faults.isOn(.orders) ? .admin : .client
            let client = SimulatedClient(
                ordinal: ordinal, principal: Principal(role: role, user: "user-\(random.int(0...(users - 1)))"),
                session: SessionID(rawValue: random.next()))
            let window = faults.isOn(.slowConsumers) ? UInt32(random.pick([1, 5, 40])) : Limits.readerWindowTasks
            // As the session's id has it: nothing is drawn.
            client.submitWindow = [64, 700, Limits.submitWindowBytes][Int(client.session.rawValue % 3)]
            client.machine = ClientMachine(
                session: client.session, sabotage: options.clientSabotage, window: window, submitWindow: client.submitWindow)
            clients.append(client)
            for _ in 0..<random.int(1...3) {
                let at = now + random.even(.zero, faults.duration / 2)
                let plan = JobPlan.draw(from: &random, faults: faults, index: history.jobs.count, submitAt: at)
                let job = history.addJob(plan, owner: ordinal)
                client.workOfJob[plan.spec.id] = client.works.count
                queue.schedule(.program(client: ordinal, work: client.works.count, .submit), at: at)
                client.works.append(SimulatedClient.Work(plan: plan, job: job))
            }
            redial(.client(ordinal))
        }
        for job in history.jobs where job.plan.spec.retention == .durable && count > 1 && random.chance(0.6) {
            makeVisitor(of: job)
        }
    }

    /// Another client reads the job while it is under way, and may not be allowed to.
    private func makeVisitor(of job: History.Job) {
        let visitor = clients[(job.owner + random.int(1...max(1, clients.count - 1))) % clients.count]
        let work = SimulatedClient.Work(plan: job.plan, job: job.ordinal)
        work.isVisit = true
        visitor.workOfJob[job.plan.spec.id] = visitor.works.count
        queue.schedule(
            .program(client: visitor.ordinal, work: visitor.works.count, .visit),
            at: job.plan.submitAt + random.length(.milliseconds(1), .seconds(60)))
        visitor.works.append(work)
    }

    func tell(_ client: SimulatedClient, _ event: ClientEvent) {
        client.inbox.append(event)
        guard !client.isTurnDue else { return }
        client.isTurnDue = true
        queue.schedule(.clientTurn(client.ordinal), at: now + netRandom.length(.microseconds(1), .microseconds(200)))
    }

    func arrived(_ packet: Packet, at client: SimulatedClient) {
        switch packet {
        case .welcome(let welcome):
            client.backoff = Limits.reconnectFirst
            client.isWelcome = true
            tell(client, .connected(welcome))
        case .toClient(let message):
            tell(client, .serverSaid(message))
        case .nodeHello, .clientHello, .fromNode, .fromClient, .toNode, .end:
            preconditionFailure("a client hears what is said to clients")
        }
    }

    func lostConnection(_ client: SimulatedClient) {
        client.connection = nil
        client.isWelcome = false
        tell(client, .disconnected)
        redial(.client(client.ordinal))
    }

    func clientTurn(_ client: SimulatedClient) {
        client.isTurnDue = false
        guard client.isAlive else { return }
        let inbox = client.inbox
        client.inbox.removeAll(keepingCapacity: true)
        for event in inbox {
            // Until its client hears of it, outcomes that have arrived are the program's.
            if case .abandon(let job) = event { work(job, client)?.work.isDone = true }
            var actions: [ClientAction] = []
            client.machine?.apply(event, at: now, into: &actions)
            carryOut(actions, client)
        }
    }

    func clientTimer(_ client: SimulatedClient, _ token: Int) {
        guard client.isAlive, token == client.timerToken else { return }
        client.timerAt = nil
        var actions: [ClientAction] = []
        client.machine?.apply(.deadlinePassed, at: now, into: &actions)
        carryOut(actions, client)
    }

    private func carryOut(_ actions: [ClientAction], _ client: SimulatedClient) {
        for action in actions {
            switch action {
            case .send(let message):
                if let connection = client.connection { send(.fromClient(message), connection, up: true) }
            case .deliver(let job, let batch): delivered(job, batch, client)
            case .ended(let job, let progress): ended(job, progress, client)
            case .refused(let job, let error): refused(job, error, client)
            case .reply(let id, let reply): replied(id, reply, client)
            case .roomToAppend(let job, let bytes): roomCame(job, upTo: bytes, client)
            case .progress, .numbered, .output, .condition, .setupHeld: break
            case .reconnect:
                note(31, client.ordinal, 0, "client-\(client.ordinal) hears nothing, and connects anew")
                guard let connection = client.connection else { break }
                closeAtPeer(connection)
                lostConnection(client)
            }
        }
        guard let deadline = client.machine?.nextDeadline, deadline != client.timerAt else { return }
        client.timerToken += 1
        client.timerAt = deadline
        queue.schedule(.clientTimer(client.ordinal, token: client.timerToken), at: max(deadline, now))
    }

    // MARK: What the program sees

    private func work(_ job: JobID, _ client: SimulatedClient) -> (index: Int, work: SimulatedClient.Work)? {
        client.workOfJob[job].map { ($0, client.works[$0]) }
    }

    private func delivered(_ job: JobID, _ batch: OutcomeBatch, _ client: SimulatedClient) {
        guard let (index, work) = work(job, client), let reading = work.reading, !work.isDone else {
            return history.fail(.deliveredOnce, "client-\(client.ordinal) is handed outcomes nobody reads")
        }
        note(32, client.ordinal, batch.count, "client-\(client.ordinal) has \(show(batch))")
        history.delivered(reading, batch)
        work.unused += batch.count
        wantUse(client, index, work)
    }

    private func wantUse(_ client: SimulatedClient, _ index: Int, _ work: SimulatedClient.Work) {
        guard !work.isUsing, work.unused > 0 else { return }
        work.isUsing = true
        let pause: Duration
        var count = work.unused
        switch work.plan.use {
        case .atOnce: pause = .zero
        case .after(let delay): pause = isQuiet ? .zero : delay
        case .slowly(let delay, let most):
            pause = isQuiet ? .milliseconds(1) : delay
            count = min(count, random.int(1...most))
            faultCounts[Fault.slowConsumers.rawValue] += 1
        }
        queue.schedule(.program(client: client.ordinal, work: index, .use(count)), at: now + pause)
    }

    private func ended(_ job: JobID, _ progress: JobProgress, _ client: SimulatedClient) {
        guard let (index, work) = work(job, client), let reading = work.reading else {
            return history.fail(.complete, "client-\(client.ordinal) hears the end of a job nobody reads")
        }
        guard !work.hasEnded else { return }
        note(33, client.ordinal, work.job, "client-\(client.ordinal): job \(work.job) has ended")
        history.ended(reading, progress, at: now)
        work.hasEnded = true
        goOnIfUsed(client, index, work)
    }

    private func goOnIfUsed(_ client: SimulatedClient, _ index: Int, _ work: SimulatedClient.Work) {
        guard work.hasEnded, work.unused == 0 else { return }
        work.reading = nil
        queue.schedule(
            .program(client: client.ordinal, work: index, .next), at: now + random.length(.milliseconds(1), .seconds(5))
        )
    }

    private func refused(_ job: JobID, _ error: RoostError, _ client: SimulatedClient) {
        guard let (_, work) = work(job, client) else { return }
        note(34, client.ordinal, work.job, "client-\(client.ordinal): job \(work.job) is refused: \(error.message)")
        if work.isVisit {
            let isStranger = client.principal.user != clients[history.jobs[work.job].owner].principal.user
            if error.code != .notFound && !(isStranger && error.code == .refused) {
                history.fail(.refused, "job \(work.job), read from elsewhere: \(error)")
            }
            work.isDone = true
            return
        }
        let mayBeGone = error.code == .notFound && work.readings > 1 && history.jobs[work.job].instance > 0
        if !mayBeGone { history.fail(.refused, "job \(work.job): \(error)") }
        work.isDone = true
    }

    private func replied(_ id: UInt64, _ reply: Reply, _ client: SimulatedClient) {
        guard let index = client.queries.removeValue(forKey: id) else { return }
        note(35, client.ordinal, index, "client-\(client.ordinal) has a reply")
        let work = client.works[index]
        guard work.isAwaitingRetry else { return }
        work.isAwaitingRetry = false
        queue.schedule(.program(client: client.ordinal, work: index, .next), at: now)
    }

    /// Half of the jobs belong to their client's session; some of these come after more of its setup. As the job's id
    /// has it: nothing is drawn.
    private func setUp(_ client: SimulatedClient, _ work: SimulatedClient.Work) {
        let id = work.plan.spec.id.rawValue
        guard id & 2 == 0 else { return }
        for _ in 0..<(id >> 2 & 3) {
            client.setup += 1
            tell(client, .setup([UInt8(truncatingIfNeeded: client.setup)]))
        }
        work.plan.spec.session = client.session
        work.plan.spec.setup = client.setup
        if work.plan.spec.runtime == .command && work.plan.spec.retention == .attached && id & 0x10 == 0 { seat(work) }
        history.belongs(work.job, work.plan.spec)
    }

    /// Some of those run on a seat, that other jobs of the session may have, too. Whatever a task asks for its seat's node has.
    private func seat(_ work: SimulatedClient.Work) {
        work.plan.spec.runtime = .r
        work.plan.spec.seat = 1 + UInt32(work.plan.spec.id.rawValue >> 6 & 1)
        work.plan.spec.request = .oneCPU
        work.plan.spec.labels = []
    }

    // MARK: What the program does

    func program(_ client: SimulatedClient, _ index: Int, _ step: ProgramStep) {
        guard client.isAlive, !client.hasLeft else { return }
        let work = client.works[index]
        let id = work.plan.spec.id
        switch step {
        case .submit:
            note(
                36, client.ordinal, work.job,
                "client-\(client.ordinal) submits job \(work.job): \(work.plan.arguments.count) \(work.plan.spec.runtime.rawValue) tasks, \(work.plan.spec.retention), \(work.plan.order), id \(show(id))"
            )
            read(client, work, isOwner: true)
            setUp(client, work)
            tell(client, .submit(work.plan.spec, order: work.plan.order))
            appendNext(client, index, work)
            if let after = work.plan.abandonsAfter {
                queue.schedule(.program(client: client.ordinal, work: index, .abandon), at: now + after)
            }
            for cancel in work.plan.cancels.indices {
                queue.schedule(
                    .program(client: client.ordinal, work: index, .cancel(cancel)),
                    at: now + work.plan.cancels[cancel].after)
            }
            if random.chance(0.3) {
                queue.schedule(.program(client: client.ordinal, work: index, .look), at: now + .seconds(2))
            }
        case .append:
            let count = work.plan.chunks[work.nextChunk].tasks
            let tasks = work.plan.arguments[work.appended..<(work.appended + count)]
            work.nextChunk += 1
            work.appended += count
            let chunk = PayloadArray(tasks)
            work.appendedBytes += UInt64(chunk.submittedBytes)
            tell(client, .append(id, chunk))
            appendNext(client, index, work)
        case .use(let count):
            work.isUsing = false
            work.unused -= count
            tell(client, .consumed(id, tasks: count))
            wantUse(client, index, work)
            goOnIfUsed(client, index, work)
        case .cancel(let number):
            guard !work.isDone, !work.hasEnded else { return }
            let cancel = work.plan.cancels[number]
            faultCounts[Fault.cancels.rawValue] += 1
            if cancel.tasks.isEmpty {
                history.jobs[work.job].isCancelRequested = true
            } else {
                history.jobs[work.job].cancelledTasks += cancel.tasks
            }
            ask(client, index, .cancel(.id(id), tasks: cancel.tasks, kill: cancel.kill))
        case .abandon:
            guard !work.isDone, work.reading != nil, !work.hasEnded, work.nextChunk == work.plan.chunks.count else { return }
            note(37, client.ordinal, work.job, "client-\(client.ordinal) abandons job \(work.job)")
            history.jobs[work.job].isAbandoned = true
            tell(client, .abandon(id))
        case .visit:
            guard !work.isDone else { return }
            read(client, work, isOwner: false)
            tell(client, .attach(id, order: work.plan.order))
        case .look:
            ask(client, index, random.pick([.pool, .jobs, .job(.all), .explain(.id(id), task: 0), .job(.last)]))
        case .next:
            nextStage(client, index, work)
        }
    }

    private func appendNext(_ client: SimulatedClient, _ index: Int, _ work: SimulatedClient.Work) {
        guard work.nextChunk < work.plan.chunks.count else {
            tell(client, .close(work.plan.spec.id))
            return
        }
        // Like the program behind a `JobSink`.
        work.waitsForRoom = work.appendedBytes > max(work.roomUpTo, UInt64(client.submitWindow))
        if work.waitsForRoom { return }
        let pause = isQuiet ? .zero : work.plan.chunks[work.nextChunk].pause
        queue.schedule(.program(client: client.ordinal, work: index, .append), at: now + pause)
    }

    private func roomCame(_ job: JobID, upTo bytes: UInt64, _ client: SimulatedClient) {
        guard let (index, work) = work(job, client) else { return }
        work.roomUpTo = max(work.roomUpTo, bytes)
        if work.waitsForRoom { appendNext(client, index, work) }
    }

    private func read(_ client: SimulatedClient, _ work: SimulatedClient.Work, isOwner: Bool) {
        work.reading = history.beginReading(work.job, client: client.ordinal, order: work.plan.order, isOwner: isOwner)
        work.readings += 1
        work.hasEnded = false
    }

    func ask(_ client: SimulatedClient, _ index: Int, _ query: Query) {
        let id = client.nextQuery
        client.nextQuery += 1
        client.queries[id] = index
        tell(client, .query(id: id, query))
    }

    /// Durable jobs: read again, retry, read, forget.
    private func nextStage(_ client: SimulatedClient, _ index: Int, _ work: SimulatedClient.Work) {
        guard !work.isDone, work.reading == nil else { return }
        if work.isVisit {
            work.isDone = true
            return
        }
        let id = work.plan.spec.id
        work.stage += 1
        switch work.stage {
        case 1 where work.plan.readsAgain, 3 where work.plan.retries:
            read(client, work, isOwner: false)
            tell(client, .attach(id, order: random.chance(0.5) ? .inOrder : work.plan.order))
        case 2 where work.plan.retries:
            work.isAwaitingRetry = true
            ask(client, index, .retry(.id(id), tasks: [], held: random.chance(0.5)))
        case 4...:
            if work.plan.forgets { ask(client, index, .forget(.id(id))) }
            work.isDone = true
        default:
            nextStage(client, index, work)
        }
    }
}
