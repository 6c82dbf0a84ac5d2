import DequeModule
import RoostModel

/// One job as its client knows it.
///
///     appended by the program      ├──────────────────────────────┤ total
///     sent on this connection      ├───────────────────┤ sent
///     the server says it has       ├─────────────┤ serverHas
///     outcomes received            a bitmap
///
/// Arguments of an attached job are kept until the outcomes are here: a server that forgot the job is sent them again. Those of a
/// durable one are on the server's disk once it says that it has them, and kept no longer.
struct ClientJob {
    /// nil when the job was submitted elsewhere and is only read here.
    private var spec: JobSpec?
    private let id: JobID
    let order: ReadRequest.Order
    private let window: UInt32
    /// How many bytes of arguments may be appended and not yet on the server before the program has to wait.
    private let submitWindow: UInt64
    /// Bytes of all arguments appended so far.
    private var appendedBytes: UInt64 = 0
    /// Of those, how many were sent on this connection, and how many the server has, by whole chunks.
    private var sentBytes: UInt64 = 0
    private var servedBytes: UInt64 = 0
    /// The program may append until it has appended so many bytes. It only grows, so no order of events loses a wake-up.
    private var roomUpTo: UInt64
    var isClosed = false
    var isOver = false
    /// The program does not wait for it any more.
    var isAbandoned = false
    private var chunks: Deque<Chunk> = []
    private var total: UInt32 = 0
    private var sent: UInt32 = 0
    private var serverHas: UInt32 = 0
    /// Whether the server has answered `submit` on this connection.
    private var isOpen = false
    private var isCloseSent = false
    private var finished = Bitmap()
    /// The server forgot what it had delivered: whatever is here already is not news, also of a job that is kept.
    private var hasStartedOver = false
    private(set) var delivered = 0
    /// The reader's cursor: everything before it was received on this epoch's server.
    private(set) var cursor: UInt64 = 0
    private var acknowledged: UInt64 = 0
    /// Deliveries handed to the program and not used up, with the cursor that stands after each.
    private var inUse: Deque<InUse> = []
    private(set) var unconsumed = 0
    /// Used up, not yet acknowledged.
    private var usedCursor: UInt64 = 0
    private var usedTasks = 0

    private struct Chunk {
        var first: TaskIndex
        var payloads: PayloadArray
        var count: UInt32
        var open: UInt32
        /// Bytes of the job's arguments before this chunk.
        var offset: UInt64

        var end: UInt32 { first + count }
        var endOffset: UInt64 { offset + UInt64(payloads.submittedBytes) }
    }

    private struct InUse {
        var cursor: UInt64
        var tasks: Int
    }

    init(spec: JobSpec, order: ReadRequest.Order, window: UInt32, submitWindow: Int) {
        self.spec = spec
        id = spec.id
        self.order = order
        self.window = window
        self.submitWindow = UInt64(submitWindow)
        roomUpTo = UInt64(submitWindow)
    }

    init(attachedTo id: JobID, order: ReadRequest.Order, after: UInt64, window: UInt32) {
        spec = nil
        self.id = id
        self.order = order
        self.window = window
        submitWindow = 0
        roomUpTo = 0
        cursor = after
    }

    /// Whether this client submitted it, and keeps it safe.
    var isOwn: Bool { spec != nil }

    /// The seat of our session that its tasks run on; 0: none that we know of.
    var seat: UInt32 { spec?.seat ?? 0 }

    /// Whether its outcomes stay in the pool until this client has them.
    var isAttached: Bool { spec?.retention == .attached }

    private var isDurable: Bool { spec?.retention == .durable }

    /// The first task whose argument is still here.
    private var firstKept: UInt32 { chunks.first?.first ?? total }

    // MARK: Submitting

    mutating func append(_ payloads: PayloadArray, into actions: inout [ClientAction]) {
        guard !payloads.isEmpty else { return }
        let count = UInt32(payloads.count)
        let chunk = Chunk(first: total, payloads: payloads, count: count, open: count, offset: appendedBytes)
        chunks.append(chunk)
        total += count
        appendedBytes = chunk.endOffset
        tellRoom(into: &actions)
    }

    /// Says how far the program may append, unless it is far from there.
    private mutating func tellRoom(into actions: inout [ClientAction]) {
        let limit = servedBytes + submitWindow
        guard limit > roomUpTo, appendedBytes + submitWindow / 2 > roomUpTo else { return }
        roomUpTo = limit
        actions.append(.roomToAppend(id, upTo: limit))
    }

    /// Bytes of the chunks that the server has whole when it has `tasks` tasks.
    private func bytes(ofTasks tasks: UInt32) -> UInt64 {
        let index = chunks.firstIndex(after: tasks) { $0.end }
        return index < chunks.count ? chunks[index].offset : appendedBytes
    }

    /// Opens the job on a new connection; the server may be another one than before, which knows only what is on its disk.
    mutating func reopen(isNewServer: Bool, seatEpochs: [UInt32: Epoch], into actions: inout [ClientAction]) {
        let serverForgot = isNewServer && spec?.retention != .durable
        guard !isOver else {
            // All is here; the last acknowledgement may have been lost.
            if isAttached && !serverForgot {
                actions.append(.send(.read(ReadRequest(job: id, order: order, after: cursor))))
            }
            return
        }
        isOpen = false
        isCloseSent = false
        if serverForgot {
            hasStartedOver = true
            forgetCursor()
        }
        guard var spec else {
            actions.append(.send(.read(ReadRequest(job: id, order: order, after: cursor, window: window))))
            return
        }
        spec.seatEpoch = seatEpochs[spec.seat] ?? 0
        actions.append(.send(.submit(spec)))
    }

    /// Outcomes that the program has not used yet will be asked for again. A deliberate bug.
    mutating func rewindForSabotage() { cursor = acknowledged }

    /// Cursors count the server's batches: a new server counts anew. Task indices stay what they are.
    private mutating func forgetCursor() {
        guard order == .asCompleted else { return }
        cursor = 0
        acknowledged = 0
        usedCursor = 0
        for index in inUse.indices { inUse[index].cursor = 0 }
    }

    /// The server has the job and its first `tasks` tasks.
    /// - Returns: why the job cannot go on: a server that had tasks of it on its disk has them no more.
    mutating func opened(tasks: UInt32, epoch: Epoch, into actions: inout [ClientAction]) -> RoostError? {
        if isDurable && tasks < firstKept { return lost(tasks) }
        if (tasks == 0 && delivered > 0) || (isDurable && tasks < serverHas) {
            hasStartedOver = true
            forgetCursor()
        }
        if spec?.firstEpoch == 0 { spec?.firstEpoch = epoch }
        isOpen = true
        serverHas = tasks
        sent = tasks
        servedBytes = bytes(ofTasks: tasks)
        sentBytes = servedBytes
        freeWhatIsKept()
        actions.append(.send(.read(ReadRequest(job: id, order: order, after: cursor, window: window))))
        pump(into: &actions)
        tellRoom(into: &actions)
        return nil
    }

    private func lost(_ tasks: UInt32) -> RoostError {
        RoostError(
            .lost, "the server had \(serverHas) tasks of this durable job on its disk, and has \(tasks) now",
            remedy: "Outcomes that came before are good; submit the rest as a new job.",
            cause: "the job was forgotten there, or the server came back without its disk or with an older copy of it")
    }

    /// What a durable job's server has is on its disk.
    private mutating func freeWhatIsKept() {
        guard isDurable else { return }
        while let first = chunks.first, first.end <= serverHas { chunks.removeFirst() }
    }

    /// Bytes of arguments that are kept here.
    var keptBytes: Int { chunks.reduce(0) { $0 + $1.payloads.bytes.count } }

    mutating func appended(_ tasks: UInt32, forgetsRoom: Bool, into actions: inout [ClientAction]) {
        serverHas = max(serverHas, tasks)
        servedBytes = max(servedBytes, bytes(ofTasks: serverHas))
        freeWhatIsKept()
        pump(into: &actions)
        if !forgetsRoom { tellRoom(into: &actions) }
    }

    /// Sends what the window allows.
    mutating func pump(into actions: inout [ClientAction]) {
        guard isOpen, spec != nil else { return }
        while sent < total, sentBytes < servedBytes + submitWindow {
            let (next, endOffset) = chunkToSend()
            actions.append(.send(.append(next)))
            sent = next.first + UInt32(next.arguments.count)
            sentBytes = max(sentBytes, endOffset)
        }
        if isClosed && sent == total && !isCloseSent {
            isCloseSent = true
            actions.append(.send(.close(job: id, count: total)))
        }
    }

    /// The chunk that holds task `sent`, with the tasks marked whose outcomes are here already; for tasks whose
    /// chunk is gone, since all of them have ended, an empty one. With it, where its bytes end among the job's.
    private func chunkToSend() -> (AppendTasks, endOffset: UInt64) {
        let before = chunks.first?.first ?? total
        if sent < before {
            let count = min(before - sent, 65_536)
            let empty = PayloadArray(bytes: [], ends: Array(repeating: 0, count: Int(count)))
            let finished = [TaskRange(first: sent, count: count)]
            return (AppendTasks(job: id, first: sent, arguments: PayloadSlice(empty), finished: finished), sentBytes)
        }
        let chunk = chunks[chunks.firstIndex(after: sent) { $0.end }]
        let skip = Int(sent - chunk.first)
        // A durable job's server knows itself what has ended, and wants whatever it has not, whole.
        guard chunk.open < chunk.count && !isDurable else {
            let rest = chunk.payloads.slice(skip..<Int(chunk.count))
            return (AppendTasks(job: id, first: sent, arguments: rest), chunk.endOffset)
        }
        return (partlyFinished(chunk, skip: skip), chunk.endOffset)
    }

    private func partlyFinished(_ chunk: Chunk, skip: Int) -> AppendTasks {
        var payloads = PayloadArray()
        var ranges: [TaskRange] = []
        for position in skip..<Int(chunk.count) {
            let task = chunk.first + UInt32(position)
            guard finished.contains(task) else {
                payloads.append(chunk.payloads[position])
                continue
            }
            payloads.append([])
            if let last = ranges.last, last.end == task {
                ranges[ranges.count - 1].count += 1
            } else {
                ranges.append(TaskRange(first: task, count: 1))
            }
        }
        return AppendTasks(
            job: id, first: chunk.first + UInt32(skip), arguments: PayloadSlice(payloads), finished: ranges)
    }

    // MARK: Receiving

    /// What of a delivery is new; nil when nothing is.
    mutating func receive(_ delivery: OutcomeDelivery, keepsDuplicates: Bool) -> OutcomeBatch? {
        cursor = max(cursor, delivery.cursor)
        var batch = delivery.batch
        // A job that is kept may have several rounds: what the cursor brings is what the program wants.
        let dedupes = (isAttached || hasStartedOver) && !keepsDuplicates
        if dedupes && batch.tasks.contains(where: { finished.containsAny($0) }) { batch = onlyNew(batch) }
        for tasks in batch.tasks { finish(tasks) }
        delivered += batch.count
        unconsumed += batch.count
        inUse.append(InUse(cursor: delivery.cursor, tasks: batch.count))
        if batch.count == 0 { consumed(0) }
        return batch.count > 0 ? batch : nil
    }

    private func onlyNew(_ batch: OutcomeBatch) -> OutcomeBatch {
        var new = OutcomeBatch(job: batch.job, epoch: batch.epoch, node: batch.node)
        var position = 0
        for tasks in batch.tasks {
            for task in tasks.first..<tasks.end {
                if !finished.contains(task) {
                    new.append(
                        task: task, attempt: batch.attempt(at: position), code: batch.code(at: position),
                        payload: batch.payloads[position], postMortem: batch.postMortem(at: position))
                }
                position += 1
            }
        }
        return new
    }

    /// Frees arguments of chunks whose tasks have all ended, from the front.
    private mutating func finish(_ tasks: TaskRange) {
        finished.insert(tasks)
        guard isAttached, !chunks.isEmpty else { return }
        var next = tasks.first
        var low = chunks.firstIndex(after: next) { $0.end }
        while next < tasks.end, low < chunks.count {
            guard next >= chunks[low].first else { break }
            let here = min(tasks.end, chunks[low].end)
            guard here > next else { break }
            chunks[low].open -= min(chunks[low].open, here - next)
            next = here
            low += 1
        }
        while let first = chunks.first, first.open == 0, first.end <= sent { chunks.removeFirst() }
    }

    /// The program has used up `tasks` more tasks' outcomes.
    mutating func consumed(_ tasks: Int) {
        var left = tasks
        unconsumed -= tasks
        usedTasks += tasks
        while let first = inUse.first, first.tasks <= left {
            left -= first.tasks
            usedCursor = max(usedCursor, first.cursor)
            inUse.removeFirst()
        }
        if left > 0 && !inUse.isEmpty { inUse[0].tasks -= left }
    }

    /// Everything has arrived: the server may forget it, whether the program has used it or not.
    mutating func acknowledgeAll(into actions: inout [ClientAction]) {
        guard cursor > acknowledged else { return }
        acknowledged = cursor
        actions.append(.send(.acknowledge(job: id, cursor: cursor)))
    }

    /// Tells the server what may be forgotten, not for every task but by quarters of the window, and whenever
    /// nothing is left to use.
    mutating func acknowledge(ahead: Bool, into actions: inout [ClientAction]) {
        let upTo = ahead ? cursor + 1 : usedCursor
        guard upTo > acknowledged else { return }
        guard ahead || inUse.isEmpty || usedTasks >= Int(window) / 4 else { return }
        acknowledged = upTo
        usedTasks = 0
        actions.append(.send(.acknowledge(job: id, cursor: upTo)))
    }
}

extension Deque {
    /// The first element, in an ascending order, whose end is after `position`; ``count`` when there is none.
    fileprivate func firstIndex(after position: UInt32, end: (Element) -> UInt32) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if end(self[middle]) > position { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

extension PayloadArray {
    /// What an appended chunk counts against the window, in bytes.
    package var submittedBytes: Int { bytes.count + 4 * count }
}

/// A set of task indices, one bit each.
struct Bitmap {
    private var words: [UInt64] = []

    func contains(_ index: UInt32) -> Bool {
        let word = Int(index >> 6)
        return word < words.count && words[word] & (1 << UInt64(index & 63)) != 0
    }

    func containsAny(_ range: TaskRange) -> Bool {
        var index = range.first
        while index < range.end {
            let word = Int(index >> 6)
            guard word < words.count else { return false }
            if index & 63 == 0 && range.end - index >= 64 {
                if words[word] != 0 { return true }
                index += 64
            } else {
                if contains(index) { return true }
                index += 1
            }
        }
        return false
    }

    mutating func insert(_ range: TaskRange) {
        let needed = Int((range.end + 63) >> 6)
        if words.count < needed {
            words.append(contentsOf: repeatElement(0, count: max(needed - words.count, words.count / 2)))
        }
        var index = range.first
        while index < range.end {
            if index & 63 == 0 && range.end - index >= 64 {
                words[Int(index >> 6)] = .max
                index += 64
            } else {
                words[Int(index >> 6)] |= 1 << UInt64(index & 63)
                index += 1
            }
        }
    }
}
