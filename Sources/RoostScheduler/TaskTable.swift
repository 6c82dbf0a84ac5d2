import DequeModule
package import RoostModel

/// What the scheduler knows of one task that has been granted at least once.
package struct TaskCell {
    package enum State: UInt8 {
        /// Waiting, again: granted once and come back.
        case ready, granted
        /// Granted, and the node says that it has been running for a while.
        case running
        case succeeded, failed, cancelled, held
    }

    package var state: State
    /// Failed, timed-out attempts; charged against `retries`.
    package var failures: UInt8 = 0
    /// Workers killed; charged against `crashLimit`.
    package var crashes: UInt8 = 0
    /// Nodes lost under it while running.
    package var losses: UInt8 = 0
    /// The slot of the node that has the current attempt.
    package var node: Int32
    /// The number of the current attempt.
    package var attempt: UInt32
    /// Where its latest outcome stands in the log (low 32 bits of the sequence) and in the batch.
    package var outcomeSequence: UInt32 = 0
    package var outcomePosition: UInt32 = 0

    package var isOpen: Bool { state.rawValue <= State.running.rawValue }
    package var isGranted: Bool { state == .granted || state == .running }
}

/// A job's tasks: states, what is ready, counts.
///
///     0            nextFresh                    count
///     ├─ cells ────┤├─ never granted: no cell ──┤
///       └ some of them ready again: `returned`
///
/// A million queued tasks cost their arguments and nothing else: a cell is made when a task is first granted.
package struct TaskTable {
    package internal(set) var cells: [TaskCell] = []
    /// Tasks below are represented by cells; at and above it they have never been granted.
    package var nextFresh: UInt32 { UInt32(cells.count) }
    /// Tasks that came back, in the order in which they did. May contain tasks that are not ready any more.
    var returned: Deque<TaskIndex> = []
    /// How many cells are ready.
    package internal(set) var returnedCount = 0
    /// Of granted tasks those whose attempt is of an earlier epoch, and which.
    var inherited: [TaskIndex: Epoch] = [:]
    /// Of the attempts granted here.
    let epoch: Epoch
    /// Tasks the client has outcomes of already, not yet passed by `nextFresh`.
    private var finishedElsewhere: Deque<TaskRange> = []
    /// The number of the attempts granted first, less one: not 0 for a job that was forgotten and opened again.
    let numbersBefore: UInt32
    package var arguments = ArgumentStore()
    package var log = OutcomeLog()
    package var progress: JobProgress

    package init(job: JobID, epoch: Epoch, numbersBefore: UInt32 = 0) {
        progress = JobProgress(job: job)
        self.epoch = epoch
        self.numbersBefore = numbersBefore
    }

    /// The highest number any attempt of this job has.
    package var highestNumber: UInt32 { cells.reduce(numbersBefore) { max($0, $1.attempt) } }

    package var count: UInt32 { progress.tasks }

    /// Tasks that could be granted now.
    package var readyCount: Int { Int(count - nextFresh) + returnedCount }

    // MARK: Growing

    /// - Parameter isStored: The payloads are left on disk.
    package mutating func append(_ payloads: PayloadArray, finished: [TaskRange], isStored: Bool = false) {
        arguments.append(first: count, payloads, isStored: isStored)
        progress.tasks += UInt32(payloads.count)
        finishedElsewhere.append(contentsOf: finished)
        skipFinishedElsewhere()
    }

    /// Gives cells to the tasks at the fresh end that the client has outcomes of.
    private mutating func skipFinishedElsewhere() {
        while let range = finishedElsewhere.first, range.first == nextFresh {
            finishedElsewhere.removeFirst()
            let cell = TaskCell(state: .succeeded, node: -1, attempt: 0, outcomeSequence: .max)
            cells.append(contentsOf: repeatElement(cell, count: Int(range.count)))
            progress.succeeded += range.count
            arguments.ended(range)
        }
    }

    // MARK: Granting

    /// Takes up to `limit` ready tasks with consecutive indices and the same next attempt, for a node.
    ///
    /// None of those to be avoided there, which wait all the same.
    package mutating func take(
        atMost limit: Int, node: Int, epoch: Epoch, avoiding avoided: Set<TaskIndex> = []
    ) -> GrantRun? {
        precondition(limit > 0, "a grant has at least one task")
        var skipped: [TaskIndex] = []
        defer { for task in skipped.reversed() { returned.prepend(task) } }
        if let run = takeReturned(atMost: limit, node: node, epoch: epoch, avoided, &skipped) { return run }
        skipFinishedElsewhere()
        let stop = finishedElsewhere.first.map { min($0.first, count) } ?? count
        guard nextFresh < stop else { return nil }
        let first = nextFresh
        let slice = arguments.slice(TaskRange(first: first, count: min(stop - first, UInt32(clamping: limit))))
        let tasks = TaskRange(first: first, count: UInt32(slice.count))
        cells.append(
            contentsOf: repeatElement(
                TaskCell(state: .granted, node: Int32(node), attempt: numbersBefore + 1), count: slice.count))
        granted(tasks)
        skipFinishedElsewhere()
        return GrantRun(
            attempts: AttemptRun(job: progress.job, epoch: epoch, number: numbersBefore + 1, tasks: tasks),
            arguments: slice)
    }

    private mutating func takeReturned(
        atMost limit: Int, node: Int, epoch: Epoch, _ avoided: Set<TaskIndex>, _ skipped: inout [TaskIndex]
    ) -> GrantRun? {
        guard returnedCount > 0 else { return nil }
        while let first = returned.popFirst() {
            guard cells[Int(first)].state == .ready else { continue }
            if !avoided.isEmpty && avoided.contains(first) {
                skipped.append(first)
                continue
            }
            let number = cells[Int(first)].attempt + 1
            var count: UInt32 = 0
            while Int(count) < limit, first + count < nextFresh, cells[Int(first + count)].state == .ready,
                cells[Int(first + count)].attempt + 1 == number
            {
                if count > 0 {
                    guard returned.first == first + count, !avoided.contains(first + count) else { break }
                    returned.removeFirst()
                }
                // A run stands in one chunk of arguments.
                if arguments.slice(TaskRange(first: first, count: count + 1)).count <= Int(count) {
                    returned.prepend(first + count)
                    break
                }
                cells[Int(first + count)].state = .granted
                cells[Int(first + count)].attempt = number
                cells[Int(first + count)].node = Int32(node)
                count += 1
            }
            let tasks = TaskRange(first: first, count: count)
            returnedCount -= Int(count)
            granted(tasks)
            if number > numbersBefore + 1 { progress.retried += count }
            return GrantRun(
                attempts: AttemptRun(job: progress.job, epoch: epoch, number: number, tasks: tasks),
                arguments: arguments.slice(tasks))
        }
        return nil
    }

    private mutating func granted(_ tasks: TaskRange) {
        progress.granted += tasks.count
        progress.attempts += UInt64(tasks.count)
    }

    /// Whether this attempt is the task's current one, granted to that node.
    package func isCurrent(_ task: TaskIndex, attempt: UInt32, epoch: Epoch, node: Int) -> Bool {
        task < nextFresh && cells[Int(task)].isGranted && cells[Int(task)].attempt == attempt
            && cells[Int(task)].node == Int32(node) && self.epoch(of: task) == epoch
    }

    /// The epoch of a granted task's attempt.
    package func epoch(of task: TaskIndex) -> Epoch { inherited.isEmpty ? epoch : inherited[task] ?? epoch }

    /// The task's attempt is over without an outcome: it is ready again.
    package mutating func returnTask(_ task: TaskIndex) {
        precondition(cells[Int(task)].isGranted, "only a granted task can come back")
        if !inherited.isEmpty { inherited[task] = nil }
        cells[Int(task)].state = .ready
        progress.granted -= 1
        returnedCount += 1
        returned.append(task)
    }

    /// Grants of this task will carry the number of the attempt that may still run. A deliberate bug.
    package mutating func stealForSabotage(_ task: TaskIndex) {
        returnTask(task)
        cells[Int(task)].attempt -= 1
    }

    package mutating func markRunning(_ task: TaskIndex) { cells[Int(task)].state = .running }

    /// Changes the charges of a task.
    package mutating func charge(_ task: TaskIndex, failures: UInt8 = 0, crashes: UInt8 = 0, losses: UInt8 = 0) {
        func add(_ a: UInt8, _ b: UInt8) -> UInt8 { a.addingReportingOverflow(b).overflow ? .max : a + b }
        cells[Int(task)].failures = add(cells[Int(task)].failures, failures)
        cells[Int(task)].crashes = add(cells[Int(task)].crashes, crashes)
        cells[Int(task)].losses = add(cells[Int(task)].losses, losses)
    }

    // MARK: Ending

    /// Records the outcome of a granted or waiting task, found at `position` of the batch with `sequence`.
    package mutating func record(_ task: TaskIndex, _ kind: OutcomeKind, sequence: UInt64, position: Int) {
        switch cells[Int(task)].state {
        case .granted, .running:
            progress.granted -= 1
            if !inherited.isEmpty { inherited[task] = nil }
        case .ready: returnedCount -= 1
        case .succeeded, .failed, .cancelled, .held: preconditionFailure("a task has one outcome a round")
        }
        cells[Int(task)].outcomeSequence = UInt32(truncatingIfNeeded: sequence)
        cells[Int(task)].outcomePosition = UInt32(position)
        count(kind, 1)
        switch kind {
        case .succeeded: cells[Int(task)].state = .succeeded
        case .failed: cells[Int(task)].state = .failed
        case .cancelled: cells[Int(task)].state = .cancelled
        case .held: cells[Int(task)].state = .held
        }
    }

    /// The common case in one loop: consecutive granted tasks, all with the node and first attempt said, all
    /// succeeded. False, and nothing changed, if any of them is not current.
    package mutating func recordSuccesses(
        _ tasks: TaskRange, attempt: UInt32, node: Int, sequence: UInt64, position: Int
    ) -> Bool {
        guard tasks.end <= nextFresh else { return false }
        let low = Int(tasks.first)
        let high = Int(tasks.end)
        for index in low..<high {
            let cell = cells[index]
            guard cell.isGranted, cell.attempt == attempt, cell.node == Int32(node) else { return false }
            if !inherited.isEmpty && inherited[TaskIndex(index)] != nil { return false }
        }
        for index in low..<high {
            cells[index].state = .succeeded
            cells[index].outcomeSequence = UInt32(truncatingIfNeeded: sequence)
            cells[index].outcomePosition = UInt32(position + index - low)
        }
        progress.granted -= tasks.count
        progress.succeeded += tasks.count
        return true
    }

    private mutating func count(_ kind: OutcomeKind, _ change: Int32) {
        func add(_ a: UInt32) -> UInt32 { UInt32(Int64(a) + Int64(change)) }
        switch kind {
        case .succeeded: progress.succeeded = add(progress.succeeded)
        case .failed: progress.failed = add(progress.failed)
        case .cancelled: progress.cancelled = add(progress.cancelled)
        case .held: progress.held = add(progress.held)
        }
    }

    /// Gives a cell to the next `limit` never-granted tasks, so that an outcome can be recorded for them without
    /// a node; the tasks, empty when there are none left.
    package mutating func takeNeverGranted(atMost limit: UInt32) -> TaskRange {
        skipFinishedElsewhere()
        let stop = finishedElsewhere.first.map { min($0.first, count) } ?? count
        let tasks = TaskRange(first: nextFresh, count: min(limit, stop - nextFresh))
        cells.append(
            contentsOf: repeatElement(
                TaskCell(state: .ready, node: -1, attempt: numbersBefore), count: Int(tasks.count)))
        returnedCount += Int(tasks.count)
        skipFinishedElsewhere()
        return tasks
    }

    /// The waiting tasks that came back, forgotten as a queue: the caller records their outcomes.
    package mutating func drainReturned() -> [TaskIndex] {
        // A task cancelled while it waited, and opened again since, stands in the queue twice.
        var seen = Set<TaskIndex>()
        let tasks = returned.filter { cells[Int($0)].state == .ready && seen.insert($0).inserted }
        returned.removeAll()
        return Array(tasks)
    }

    /// Opens a new round of a task that has an outcome.
    package mutating func reopen(_ task: TaskIndex) {
        let cell = cells[Int(task)]
        switch cell.state {
        case .succeeded: count(.succeeded, -1)
        case .failed: count(.failed, -1)
        case .cancelled: count(.cancelled, -1)
        case .held: count(.held, -1)
        case .ready, .granted, .running: preconditionFailure("only a task with an outcome has a next round")
        }
        cells[Int(task)].state = .ready
        cells[Int(task)].failures = 0
        cells[Int(task)].crashes = 0
        cells[Int(task)].losses = 0
        returnedCount += 1
        returned.append(task)
    }

    /// A waiting task joins the queue of those that came back.
    package mutating func queueAgain(_ task: TaskIndex) { returned.append(task) }

    /// Where in the log a task's latest outcome stands; nil when there is none, when it has left the log, or
    /// when the client had it before this server did.
    package func sequence(of cell: TaskCell) -> UInt64? {
        if cell.isOpen || (cell.outcomeSequence == .max && cell.attempt == 0 && cell.state == .succeeded) { return nil }
        let distance = cell.outcomeSequence &- UInt32(truncatingIfNeeded: log.base)
        let sequence = log.base + UInt64(distance)
        return sequence < log.end ? sequence : nil
    }

    /// Whether the entry at `position` of batch `sequence` is the task's latest outcome.
    package func isLatest(_ task: TaskIndex, sequence: UInt64, position: Int) -> Bool {
        !cells[Int(task)].isOpen && cells[Int(task)].outcomeSequence == UInt32(truncatingIfNeeded: sequence)
            && cells[Int(task)].outcomePosition == UInt32(position)
    }
}
