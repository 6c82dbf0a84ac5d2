import Foundation
import Testing

/// The checker itself: it must notice what must not be.
@Suite struct ChaosHistoryTests {
    private let directory = NSTemporaryDirectory() + "roost-history-" + UUID().uuidString

    /// What the checker says of a log and of what a client read.
    private func broken(_ log: String, output: String, tasks: Int = 2, inOrder: Bool = true, tag: String = "d1") throws -> [String] {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let file = "\(directory)/executions"
        try log.write(toFile: file, atomically: false, encoding: .utf8)
        var history = ChaosHistory(log: file)
        history.check(output, tag: tag, tasks: tasks, inOrder: inOrder)
        history.close()
        return history.broken
    }

    private let log = "S d1 1 1.7\nE d1 1 1.7\nS d1 2 1.8\nS d1 2 2.9\nE d1 2 2.9\n"

    @Test func `What was promised is found to be so`() throws {
        #expect(try broken(log, output: "d1 1 1.7\nd1 2 2.9\n").isEmpty)
        #expect(try broken(log, output: "d1 2 2.9\nd1 1 1.7\n", inOrder: false).isEmpty)
    }

    @Test func `A result of an attempt that did not end, twice the same, none, out of order, of nobody`() throws {
        #expect(try broken(log, output: "d1 1 1.7\nd1 2 1.8\n") == ["the result 'd1 2 1.8' is of no attempt that ran to its end"])
        #expect(try broken(log, output: "d1 1 1.7\nd1 2 2.9\nd1 2 2.9\n") == ["d1: task 2 has 2 outcomes"])
        #expect(try broken(log, output: "d1 1 1.7\n") == ["d1: task 2 has 0 outcomes"])
        #expect(try broken(log, output: "d1 2 2.9\nd1 1 1.7\n") == ["d1: 1 came behind 2"])
        #expect(try broken(log, output: "d1 1 1.7\nd1 2 2.9\nd2 1 1.7\n") == ["d1: a result that nobody wrote: d2 1 1.7"])
    }

    @Test func `An attempt that starts again, and strict ones at once`() throws {
        #expect(
            try broken(log + "S d1 1 1.7\n", output: "d1 1 1.7\nd1 2 2.9\n") == ["the attempt 'd1 1 1.7' was started again"])
        let strict = "S s1 1 1.7\nS s1 1 2.8\nE s1 1 1.7\nE s1 1 2.8\n"
        #expect(
            try broken(strict, output: "s1 1 2.8\n", tasks: 1, tag: "s1")
                == ["the strict attempt 's1 1 1.7' ended after another had begun"])
        #expect(try broken("S s1 1 1.7\nS s1 1 2.8\nE s1 1 2.8\n", output: "s1 1 2.8\n", tasks: 1, tag: "s1").isEmpty)
    }

    @Test func `A log is read as it grows, half lines included`() throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let file = "\(directory)/executions"
        var executions = ChaosExecutions(file: file)
        executions.read()
        for length in 1...log.utf8.count {
            try String(log.prefix(length)).write(toFile: file, atomically: false, encoding: .utf8)
            executions.read()
        }
        #expect(executions.attemptCount == 3)
        #expect(executions.taskCount == 2)
        #expect(executions.tasksRunMoreThanOnce == ["d1 2"])
        #expect(executions.ranToItsEnd("d1 2 2.9") && !executions.ranToItsEnd("d1 2 1.8"))
    }
}
