package import RoostModel

/// The outcomes of a job, by task and in the order in which they came. The batches stay as they arrived: nothing is copied
/// until R asks.
///
///     batches    [ tasks 0-3 ] [ task 9 ] [ tasks 4-8 ] …
///     places     task → (batch, position in it)
///     arrivals   0 1 2 3 9 4 …          R's cursor counts along these
package struct JobOutcomes: Sendable {
    package private(set) var batches: [OutcomeBatch] = []
    private var places: [Place]
    package private(set) var arrivals: [TaskIndex] = []
    /// How many tasks ended how, by the number of the kind.
    private var tally = [0, 0, 0, 0]
    /// The bytes of all payloads.
    package private(set) var byteCount = 0
    /// Of each batch, how many outcomes have not been released.
    private var held: [Int] = []
    /// Tasks that nobody waits for: their outcomes go as they come.
    private var abandoned: Set<TaskIndex> = []

    /// Where a task's outcome stands; batch 0 is none.
    private struct Place {
        var batch: UInt32 = 0
        var position: UInt32 = 0
    }

    package init(tasks: Int = 0) { places = Array(repeating: Place(), count: tasks) }

    package var taskCount: Int { places.count }
    package var doneCount: Int { tally.reduce(0, +) }
    package var isComplete: Bool { doneCount == places.count }
    package func count(_ kind: OutcomeKind) -> Int { tally[Int(kind.rawValue)] }

    /// The job has that many tasks now.
    package mutating func grow(to tasks: Int) {
        if tasks > places.count { places.append(contentsOf: repeatElement(Place(), count: tasks - places.count)) }
    }

    /// Adds a batch. Of a task that comes again (a new round) the last outcome counts.
    package mutating func take(_ batch: OutcomeBatch) {
        guard let number = UInt32(exactly: batches.count + 1) else { return }
        var position: UInt32 = 0
        for range in batch.tasks {
            grow(to: Int(range.end))
            for task in range.first..<range.end {
                let before = places[Int(task)]
                if before.batch > 0 { tally[kind(before)] -= 1 }
                places[Int(task)] = Place(batch: number, position: position)
                tally[Int(batch.code(at: Int(position)).kind.rawValue)] += 1
                arrivals.append(task)
                position += 1
            }
        }
        byteCount += batch.payloads.bytes.count
        batches.append(batch)
        held.append(batch.count)
        guard !abandoned.isEmpty else { return }
        for range in batch.tasks {
            for task in range.first..<range.end where abandoned.remove(task) != nil { release(TaskRange(first: task, count: 1)) }
        }
    }

    /// How many of the tasks have no outcome.
    package func missing(of tasks: TaskRange) -> Int {
        (tasks.first..<tasks.end).reduce(0) { $0 + (place(of: $1) == nil ? 1 : 0) }
    }

    /// Whether the batch is gone: whoever asks for its tasks again is told that they have no outcome.
    func isReleased(_ batch: Int) -> Bool { held[batch] == 0 }

    /// These outcomes were given away: a batch goes with its last one. Each is released once.
    package mutating func release(_ tasks: TaskRange) {
        for task in tasks.first..<tasks.end {
            guard let (batch, _) = place(of: task), held[batch] > 0 else { continue }
            held[batch] -= 1
            guard held[batch] == 0 else { continue }
            byteCount -= batches[batch].payloads.bytes.count
            batches[batch].payloads = PayloadArray()
            batches[batch].postMortems = []
        }
    }

    /// Nobody waits for these tasks.
    package mutating func abandon(_ tasks: TaskRange) {
        for task in tasks.first..<tasks.end {
            if place(of: task) == nil { abandoned.insert(task) } else { release(TaskRange(first: task, count: 1)) }
        }
    }

    private func kind(_ place: Place) -> Int {
        Int(batches[Int(place.batch) - 1].code(at: Int(place.position)).kind.rawValue)
    }

    /// Where a task's outcome stands; nil when it has none.
    package func place(of task: TaskIndex) -> (batch: Int, position: Int)? {
        guard Int(task) < places.count else { return nil }
        let place = places[Int(task)]
        return place.batch == 0 ? nil : (Int(place.batch) - 1, Int(place.position))
    }
}
