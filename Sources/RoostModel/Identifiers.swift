/// Names a job for ever. The client draws it at random before the first byte is sent, so that sending a
/// submission twice gives the same job.
public struct JobID: Hashable, Comparable, Sendable {
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static func < (a: JobID, b: JobID) -> Bool { a.rawValue < b.rawValue }
}

/// Names one client's use of the pool, across its connections. Drawn at random by the client.
public struct SessionID: Hashable, Sendable {
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// Names a node across restarts of its agent; kept in the agent's state directory.
public struct NodeID: Hashable, Comparable, Sendable {
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static func < (a: NodeID, b: NodeID) -> Bool { a.rawValue < b.rawValue }
}

/// Names one life of a node's agent. A newer incarnation of the same node proves that the older one is dead.
public struct Incarnation: Hashable, Comparable, Sendable {
    /// Nanoseconds since 1970 at the agent's start: later lives compare greater.
    public var rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static func < (a: Incarnation, b: Incarnation) -> Bool { a.rawValue < b.rawValue }
}

/// One connection of a peer, numbered by the server's shell; never reused within an epoch.
public struct ConnectionID: Hashable, Comparable, Sendable {
    public var rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }
    public static func < (a: ConnectionID, b: ConnectionID) -> Bool { a.rawValue < b.rawValue }
}

/// Grows at each start of the server; with an attempt's number it makes the attempt unique for ever.
public typealias Epoch = UInt32

/// The index of a task in its job, 0 ..< N.
public typealias TaskIndex = UInt32

/// One task of one job.
public struct TaskID: Hashable, Sendable {
    public var job: JobID
    public var index: TaskIndex
    public init(job: JobID, index: TaskIndex) { self.job = job; self.index = index }
}

/// One try of one task: the fencing token. Ordered by (epoch, number).
public struct AttemptID: Hashable, Sendable {
    public var task: TaskID
    public var epoch: Epoch
    public var number: UInt32
    public init(task: TaskID, epoch: Epoch, number: UInt32) {
        self.task = task; self.epoch = epoch; self.number = number
    }
}

/// Consecutive tasks of one job.
public struct TaskRange: Hashable, Sendable {
    public var first: TaskIndex
    public var count: UInt32

    public init(first: TaskIndex, count: UInt32) { self.first = first; self.count = count }

    /// The index after the last one.
    public var end: TaskIndex { first + count }

    public func contains(_ index: TaskIndex) -> Bool { index >= first && index - first < count }

    /// The indices of this range that a job of `tasks` tasks has; safe for whatever a peer sent.
    package func clamped(to tasks: UInt32) -> Range<TaskIndex> {
        guard first < tasks else { return tasks..<tasks }
        return first..<(first + min(count, tasks - first))
    }
}

extension [TaskRange] {
    /// Adds a task, to the last range where it stands next to it.
    package mutating func append(_ task: TaskIndex) {
        if let last, last.end == task {
            self[count - 1].count += 1
        } else {
            append(TaskRange(first: task, count: 1))
        }
    }

    /// The same tasks of a job of `tasks` tasks, in order, each once; safe for whatever a peer sent.
    package func merged(clampedTo tasks: UInt32) -> [Range<TaskIndex>] {
        var merged: [Range<TaskIndex>] = []
        for range in map({ $0.clamped(to: tasks) }).sorted(by: { $0.lowerBound < $1.lowerBound }) where !range.isEmpty {
            if let last = merged.last, range.lowerBound <= last.upperBound {
                merged[merged.count - 1] = last.lowerBound..<Swift.max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        return merged
    }
}
