import DequeModule
import RoostModel

/// Granted tasks that no worker has, in the order of their grants.
struct GrantQueue {
    private(set) var runs: Deque<QueuedRun> = []
    /// Tasks of all runs together.
    private(set) var tasks = 0

    /// A grant, or what is left of it.
    struct QueuedRun {
        var run: GrantRun
        /// How many of the run's tasks have been taken from the front.
        var taken = 0
        /// Its tasks run one by one: in a batch, one of them ended the worker.
        var isSingle = false
        var job: JobID { run.attempts.job }
        var count: Int { run.arguments.count - taken }
        var firstTask: TaskIndex { run.attempts.tasks.first + UInt32(taken) }
        /// The attempts that are left.
        var attempts: AttemptRun {
            var attempts = run.attempts
            attempts.tasks = TaskRange(first: firstTask, count: UInt32(count))
            return attempts
        }
    }

    var isEmpty: Bool { runs.isEmpty }
    var count: Int { runs.count }
    subscript(position: Int) -> QueuedRun { runs[position] }

    /// The jobs of which something waits, in the order of their first grants.
    var jobs: [JobID] {
        var jobs: [JobID] = []
        for queued in runs where !jobs.contains(queued.job) { jobs.append(queued.job) }
        return jobs
    }

    mutating func append(_ run: GrantRun) {
        runs.append(QueuedRun(run: run))
        tasks += run.arguments.count
    }

    /// Puts tasks that a worker had back to the front, to be run one by one.
    mutating func returnSingly(_ run: GrantRun) {
        runs.prepend(QueuedRun(run: run, isSingle: true))
        tasks += run.arguments.count
    }

    /// Puts tasks back that were taken from the front and not begun.
    mutating func putBack(_ run: GrantRun) {
        runs.prepend(QueuedRun(run: run))
        tasks += run.arguments.count
    }

    /// Takes tasks from the front of a run.
    mutating func take(_ count: Int, at position: Int) -> GrantRun {
        let queued = runs[position]
        var attempts = queued.attempts
        attempts.tasks.count = UInt32(count)
        let from = queued.run.arguments.positions.lowerBound + queued.taken
        let taken = GrantRun(
            attempts: attempts, arguments: queued.run.arguments.base.slice(from..<(from + count)))
        runs[position].taken += count
        tasks -= count
        if runs[position].count == 0 { runs.remove(at: position) }
        return taken
    }

    /// Nobody waits for what is left of this run.
    mutating func discard(at position: Int) {
        tasks -= runs[position].count
        runs.remove(at: position)
    }

    /// Takes up to `count` tasks of a job off the end, and says which.
    /// - Parameter removes: false only for a deliberate bug.
    mutating func giveBack(_ job: JobID, atMost count: Int, removes: Bool) -> [AttemptRun] {
        var left = count
        var given: [AttemptRun] = []
        var position = runs.count - 1
        while position >= 0 && left > 0 {
            if runs[position].job == job {
                let taken = min(left, runs[position].count)
                var attempts = runs[position].run.attempts
                attempts.tasks = TaskRange(first: attempts.tasks.end - UInt32(taken), count: UInt32(taken))
                given.append(attempts)
                left -= taken
                if removes { shorten(position, by: taken) }
            }
            position -= 1
        }
        return given
    }

    private mutating func shorten(_ position: Int, by count: Int) {
        if count == runs[position].count { return discard(at: position) }
        let run = runs[position].run
        tasks -= count
        runs[position].run.attempts.tasks.count -= UInt32(count)
        runs[position].run.arguments = run.arguments.base.slice(
            run.arguments.positions.lowerBound..<(run.arguments.positions.upperBound - count))
    }

    /// Takes the given attempts out; those that stood here.
    mutating func remove(_ run: AttemptRun) -> [AttemptRun] {
        var found: [AttemptRun] = []
        var position = 0
        while position < runs.count {
            let queued = runs[position]
            let attempts = queued.run.attempts
            let low = max(queued.firstTask, run.tasks.first)
            let high = min(attempts.tasks.end, run.tasks.end)
            guard attempts.job == run.job, attempts.number == run.number, attempts.epoch == run.epoch, low < high else {
                position += 1
                continue
            }
            var hit = attempts
            hit.tasks = TaskRange(first: low, count: high - low)
            found.append(hit)
            tasks -= Int(high - low)
            runs.remove(at: position)
            // What stood after and before the hit goes on waiting.
            if high < attempts.tasks.end { runs.insert(cut(queued, high, attempts.tasks.end), at: position) }
            if low > queued.firstTask {
                runs.insert(cut(queued, queued.firstTask, low), at: position)
                position += 1
            }
        }
        return found
    }

    private func cut(_ queued: QueuedRun, _ low: TaskIndex, _ high: TaskIndex) -> QueuedRun {
        var attempts = queued.run.attempts
        let from = queued.run.arguments.positions.lowerBound + Int(low - attempts.tasks.first)
        attempts.tasks = TaskRange(first: low, count: high - low)
        return QueuedRun(
            run: GrantRun(
                attempts: attempts, arguments: queued.run.arguments.base.slice(from..<(from + Int(high - low)))),
            isSingle: queued.isSingle)
    }
}
