import RoostModel

/// How a job's tasks are made again from what a store knows.
extension TaskTable {
    /// Applies one fact, as if it happened now. Grants are left without a node: their position in `nodes` stands for it.
    mutating func restore(_ fact: TaskFact, nodes: inout [NodeID]) {
        switch fact {
        case .granted(let run, let node):
            makeCells(upTo: run.tasks.end)
            let place =
                nodes.lastIndex(of: node)
                ?? {
                    nodes.append(node); return nodes.count - 1
                }()
            for task in run.tasks.clamped(to: count) where cells[Int(task)].isOpen {
                if cells[Int(task)].attempt > 0 { progress.retried += 1 }
                progress.attempts += 1
                cells[Int(task)].state = .granted
                cells[Int(task)].attempt = run.number
                cells[Int(task)].node = Int32(place)
                if run.epoch == epoch { inherited[task] = nil } else { inherited[task] = run.epoch }
            }
        case .outcomes(let sequence, let batch):
            restore(batch, sequence: sequence)
        case .charged(let task, let failures, let crashes, let losses, _):
            guard task < count else { return }
            makeCells(upTo: task + 1)
            (cells[Int(task)].failures, cells[Int(task)].crashes, cells[Int(task)].losses) = (failures, crashes, losses)
            restoreReady(task)
        case .reopened(let ranges):
            for range in ranges {
                makeCells(upTo: range.end)
                for task in range.clamped(to: count) {
                    (cells[Int(task)].failures, cells[Int(task)].crashes, cells[Int(task)].losses) = (0, 0, 0)
                    cells[Int(task)].state = .ready
                }
            }
        case .cancelRequested:
            break
        }
    }

    private mutating func restore(_ batch: OutcomeBatch, sequence: UInt64) {
        var position = 0
        for run in batch.tasks {
            makeCells(upTo: run.end)
            for task in run.first..<run.end {
                defer { position += 1 }
                guard task < count else { continue }
                switch batch.code(at: position).kind {
                case .succeeded: cells[Int(task)].state = .succeeded
                case .failed: cells[Int(task)].state = .failed
                case .cancelled: cells[Int(task)].state = .cancelled
                case .held: cells[Int(task)].state = .held
                }
                cells[Int(task)].outcomeSequence = UInt32(truncatingIfNeeded: sequence)
                cells[Int(task)].outcomePosition = UInt32(position)
                if !inherited.isEmpty { inherited[task] = nil }
            }
        }
        log.append(stored: batch)
    }

    private mutating func restoreReady(_ task: TaskIndex) {
        guard cells[Int(task)].isOpen else { return }
        cells[Int(task)].state = .ready
        inherited[task] = nil
    }

    private mutating func makeCells(upTo end: TaskIndex) {
        let end = min(end, count)
        guard end > nextFresh else { return }
        cells.append(
            contentsOf: repeatElement(TaskCell(state: .ready, node: -1, attempt: 0), count: Int(end - nextFresh)))
    }

    /// Brings the counts, the queue and the arguments into line with the cells, when all facts were applied.
    /// - Parameter place: Where the node of a granted task is; nil: it is gone, and the task waits again.
    mutating func finishRestoring(_ place: (Int) -> Int?) {
        var succeeded = TaskRange(first: 0, count: 0)
        for index in cells.indices {
            if cells[index].isGranted {
                if let slot = place(Int(cells[index].node)) {
                    cells[index].node = Int32(slot)
                    progress.granted += 1
                } else {
                    restoreReady(TaskIndex(index))
                }
            }
            switch cells[index].state {
            case .ready:
                returnedCount += 1
                returned.append(TaskIndex(index))
            case .granted, .running: break
            case .succeeded:
                progress.succeeded += 1
                if succeeded.count > 0 && succeeded.end == TaskIndex(index) {
                    succeeded.count += 1
                } else {
                    if succeeded.count > 0 { arguments.ended(succeeded) }
                    succeeded = TaskRange(first: TaskIndex(index), count: 1)
                }
            case .failed: progress.failed += 1
            case .cancelled: progress.cancelled += 1
            case .held: progress.held += 1
            }
        }
        if succeeded.count > 0 { arguments.ended(succeeded) }
    }

    // MARK: Attempts that outlived a server

    /// The node still has this attempt of a task that waits: the task is granted to it. False when it does not wait, or has
    /// gone on since.
    mutating func inherit(
        _ task: TaskIndex, number: UInt32, epoch: Epoch, node: Int, isRunning: Bool
    ) -> Bool {
        while task >= nextFresh {
            let made = takeNeverGranted(atMost: task - nextFresh + 1)
            guard made.count > 0 else { return false }
            for index in made.first..<made.end { queueAgain(index) }
        }
        guard cells[Int(task)].state == .ready, cells[Int(task)].attempt <= numbersBefore else { return false }
        cells[Int(task)].state = isRunning ? .running : .granted
        cells[Int(task)].attempt = number
        cells[Int(task)].node = Int32(node)
        inherited[task] = epoch
        returnedCount -= 1
        progress.granted += 1
        progress.attempts += 1
        return true
    }
}
