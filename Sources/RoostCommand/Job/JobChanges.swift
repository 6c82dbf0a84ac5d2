import ArgumentParser
import Roost
import RoostModel

/// `roost job cancel`.
struct JobCancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Cancel jobs, or some of a job's tasks.",
        discussion: "Tasks that wait never start; those that run get SIGINT, then SIGTERM, then SIGKILL.")

    @Argument(help: JobSelection.help)
    var job: JobSelection

    @Argument(help: ArgumentHelp("Only these tasks: 3, 0-9 or 1,4.", valueName: "tasks"))
    var tasks: TaskSelection?

    @Flag(help: "SIGKILL at once.")
    var kill = false

    @OptionGroup var pool: PoolOptions

    func run() async throws {
        let query = Query.cancel(job.selector, tasks: tasks?.ranges ?? [], kill: kill)
        let count = try await pool.withPool { (pool) throws(RoostError) in try await pool.change(query) }
        Terminal.note(count == 0 ? "roost: nothing to cancel" : "roost: cancelling \(count) task\(count == 1 ? "" : "s")")
    }
}

/// `roost job retry`.
struct JobRetry: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Run tasks that failed or were cancelled once more, in a new round.",
        discussion: "Results then give the latest round. Held tasks are for 'roost job release'.")

    @Argument(help: JobSelection.help)
    var job: JobSelection

    @Argument(help: ArgumentHelp("Only these tasks: 3, 0-9 or 1,4.", valueName: "tasks"))
    var tasks: TaskSelection?

    @OptionGroup var pool: PoolOptions

    func run() async throws {
        let query = Query.retry(job.selector, tasks: tasks?.ranges ?? [], held: false)
        let count = try await pool.withPool { (pool) throws(RoostError) in try await pool.change(query) }
        Terminal.note(count == 0 ? "roost: nothing to retry" : "roost: retrying \(count) task\(count == 1 ? "" : "s")")
    }
}

/// `roost job release`.
struct JobRelease: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release",
        abstract: "Run held tasks once more, in a new round.",
        discussion: "A task is held when it has killed its worker too often; 'roost job show' has its post-mortem.")

    @Argument(help: JobSelection.help)
    var job: JobSelection

    @Argument(help: ArgumentHelp("Only these tasks: 3, 0-9 or 1,4.", valueName: "tasks"))
    var tasks: TaskSelection?

    @OptionGroup var pool: PoolOptions

    func run() async throws {
        let query = Query.retry(job.selector, tasks: tasks?.ranges ?? [], held: true)
        let count = try await pool.withPool { (pool) throws(RoostError) in try await pool.change(query) }
        Terminal.note(count == 0 ? "roost: nothing is held" : "roost: released \(count) task\(count == 1 ? "" : "s")")
    }
}

/// `roost job forget`.
struct JobForget: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget",
        abstract: "Let the server forget jobs that have ended, with their results.",
        discussion: "A job that is damaged on the server's disk can be forgotten, too, whether it has ended or not.")

    @Argument(help: JobSelection.help)
    var job: JobSelection

    @OptionGroup var pool: PoolOptions

    func run() async throws {
        let query = Query.forget(job.selector)
        let count = try await pool.withPool { (pool) throws(RoostError) in try await pool.change(query) }
        Terminal.note(
            count == 0
                ? "roost: nothing is forgotten: no such job has ended" : "roost: forgot \(count) job\(count == 1 ? "" : "s")")
    }
}

/// `roost job explain`.
struct JobExplain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say, for the pool and every node, why a job or a task does not run.")

    @Argument(help: JobSelection.helpOfOne)
    var job: JobSelection

    @Argument(help: ArgumentHelp("A task's index, from 0.", valueName: "task"))
    var task: UInt32?

    @OptionGroup var pool: PoolOptions
    @OptionGroup var format: OutputOptions

    func run() async throws {
        let query = Query.explain(job.selector, task: task)
        let rows = try await pool.withPool { (pool) throws(RoostError) in
            guard case .explanation(let rows) = try await pool.ask(query) else { throw Pool.unexpected }
            return rows
        }
        if format.isJSON {
            return Terminal.print(
                JSONWriter.document { json in
                    json.beginArray()
                    for row in rows {
                        json.object { json in
                            json.member("node", row.node)
                            json.member("can_run", row.canRun)
                            json.member("reason", row.reason)
                            json.member("unfit", row.isUnfit)
                        }
                    }
                    json.endArray()
                })
        }
        var table = Table([.init("WHO"), .init("RUNS"), .init("WHY")])
        for row in rows { table.add([row.node.isEmpty ? "the pool" : row.node, row.canRun ? "yes" : "no", row.reason]) }
        Terminal.print(table.render(width: Terminal.width))
    }
}
