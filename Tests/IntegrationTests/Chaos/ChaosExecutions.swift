import Foundation
import Glibc

/// What workers did: the log that tasks append to, `S TAG INPUT ID` at their start and `E TAG INPUT ID` at their end.
///
/// It is read as it grows and kept as one hash of 64 bits for each line, so that a run of millions of tasks is checked in some
/// tens of megabytes. Two different lines have the same hash once in ten million such runs.
struct ChaosExecutions {
    /// Attempts, `TAG INPUT ID`.
    private var starts: Set<Int> = []
    private var ends: Set<Int> = []
    /// Tasks, `TAG INPUT`.
    private var tasks: Set<Int> = []
    /// Jobs of which a task began.
    private(set) var tags: Set<String> = []
    /// Attempts that were started again; must stay empty. The first thousand.
    private(set) var attemptsStartedTwice: [String] = []
    /// Tasks with a second attempt, `TAG INPUT`: the first thousand.
    private(set) var tasksRunMoreThanOnce: [String] = []

    /// Tasks of strict jobs, whose tags begin with an "s": the attempt that began last.
    private var lastStarts: [Int: Int] = [:]
    /// Attempts of strict jobs that ended after another one of the same task had begun; must stay empty. The first thousand.
    private(set) var overlaps: [String] = []

    private let file: String
    private var position = 0
    /// The beginning of a line whose end was not there yet.
    private var rest: [UInt8] = []

    init(file: String) { self.file = file }

    var attemptCount: Int { starts.count }
    var taskCount: Int { tasks.count }

    /// Whether an attempt ran to its end.
    func ranToItsEnd(_ attempt: Substring) -> Bool {
        let hash = Self.hash(Array(attempt.utf8)[...])
        return starts.contains(hash) && ends.contains(hash)
    }

    /// Takes note of what has been appended since the last time.
    mutating func read() {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = pread(descriptor, &buffer, buffer.count, position)
            guard count > 0 else { return }
            position += count
            rest += buffer[..<count]
            var begin = rest.startIndex
            while let end = rest[begin...].firstIndex(of: UInt8(ascii: "\n")) {
                note(rest[begin..<end])
                begin = end + 1
            }
            rest.removeSubrange(..<begin)
        }
    }

    private mutating func note(_ line: ArraySlice<UInt8>) {
        guard line.count > 2 else { return }
        let attempt = line.dropFirst(2)
        let hash = Self.hash(attempt)
        let space = UInt8(ascii: " ")
        let task = attempt[..<(attempt.lastIndex(of: space) ?? attempt.endIndex)]
        let taskHash = Self.hash(task)
        let isStrict = attempt.first == UInt8(ascii: "s")
        guard line.first == UInt8(ascii: "S") else {
            ends.insert(hash)
            if isStrict && lastStarts[taskHash] != hash { Self.add(attempt, to: &overlaps) }
            return
        }
        if isStrict { lastStarts[taskHash] = hash }
        if !starts.insert(hash).inserted { Self.add(attempt, to: &attemptsStartedTwice) }
        if !tasks.insert(taskHash).inserted { Self.add(task, to: &tasksRunMoreThanOnce) }
        tags.insert(String(decoding: attempt[..<(attempt.firstIndex(of: space) ?? attempt.endIndex)], as: UTF8.self))
    }

    private static func add(_ bytes: ArraySlice<UInt8>, to list: inout [String]) {
        if list.count < 1000 { list.append(String(decoding: bytes, as: UTF8.self)) }
    }

    private static func hash(_ bytes: ArraySlice<UInt8>) -> Int {
        var hasher = Hasher()
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
        return hasher.finalize()
    }
}
