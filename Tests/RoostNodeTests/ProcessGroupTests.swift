import Glibc
import RoostModel
import RoostNode
import Testing

/// A process is its whole group: signals reach all of it, and nothing of it stays.
@Suite(.timeLimit(.minutes(1)))
struct ProcessGroupTests {
    @Test(arguments: [SIGINT, SIGTERM, SIGKILL])
    func aSignalStopsTheWholeGroup(signal: Int32) async throws {
        let alive = try AliveFile()
        let probe = try ReactorProbe()
        let script = "exec 9> \(alive.path); (sleep 1000; true) & sh -c 'sleep 1000; true' & echo up; wait; wait"
        probe.reactor.start(token: 1, .shell(script, streams: true))
        await probe.waitForOutput("up", of: 1)
        probe.reactor.signal(token: 1, signal)
        #expect(try await probe.end(of: 1).exit == .signalled(signal, coreDumped: false))
        #expect(alive.allHaveLeft())
    }

    @Test func whoCatchesASignalMayLeaveInGoodOrder() async throws {
        let probe = try ReactorProbe()
        probe.reactor.start(
            token: 1,
            .shell("trap 'echo caught; exit 3' TERM; echo up; while :; do sleep 1000 & wait; done", streams: true))
        await probe.waitForOutput("up", of: 1)
        probe.reactor.signal(token: 1, SIGTERM)
        let end = try await probe.end(of: 1)
        #expect(end.exit == .exited(3))
        #expect(end.stdout.text == "up\ncaught\n")
    }

    @Test func whatALeaderLeavesBehindIsKilledAndNotWaitedFor() async throws {
        let alive = try AliveFile()
        let end = try await ReactorProbe().shell("exec 9> \(alive.path); sleep 1000 & echo bye")
        #expect(end.exit == .exited(0))
        #expect(end.stdout.text == "bye\n")
        #expect(alive.allHaveLeft())
    }

    @Test func aProcessThatLeftTheGroupWithThePipeDoesNotDelayTheEnd() async throws {
        let directory = try TemporaryDirectory()
        let end = try await ReactorProbe().shell("setsid sleep 1000 & echo $! > \(directory.file("pid")); echo bye")
        #expect(end.exit == .exited(0))
        #expect(end.stdout.text == "bye\n")
        if let pid = Int32(readText(directory.file("pid")).dropLast()) { kill(pid, SIGKILL) }
    }

    @Test func whatAWriterOfTheGroupStillSaysAfterItsLeaderIsHeard() async throws {
        // As behind a shell's `>(tee …)`: the reader of the pipeline outlives the leader by a moment.
        let directory = try TemporaryDirectory()
        mkfifo(directory.file("gate"), 0o600)
        let script =
            "(read line < \(directory.file("gate")); echo $line) & echo first; echo last > \(directory.file("gate"))"
        #expect(try await ReactorProbe().shell(script).stdout.text == "first\nlast\n")
    }

    @Test func shutDownKillsAndReportsEverything() async throws {
        let alive = try AliveFile()
        let probe = try ReactorProbe()
        for token in UInt64(1)...3 {
            probe.reactor.start(
                token: token,
                .shell("exec 9> \(alive.path); trap '' INT TERM; sleep 1000 & echo up; wait", streams: true))
            await probe.waitForOutput("up", of: token)
        }
        probe.reactor.shutDown()
        for token in UInt64(1)...3 {
            #expect(try await probe.end(of: token).exit == .signalled(SIGKILL, coreDumped: false))
        }
        #expect(alive.allHaveLeft())
        probe.reactor.shutDown()
    }
}

/// A named pipe that processes hold open for writing: it ends when the last of them is gone, and no clock is asked.
final class AliveFile: Sendable {
    let path: String
    private let directory: TemporaryDirectory
    private let reader: Int32

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.file("alive")
        guard mkfifo(path, 0o600) == 0 else { throw HarnessFailure(what: "mkfifo", errno: errno) }
        reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    }

    deinit { close(reader) }

    /// Waits for the end of the pipe; false when somebody still holds it after half a minute.
    func allHaveLeft() -> Bool {
        var waiting = pollfd(fd: reader, events: 0, revents: 0)
        return poll(&waiting, 1, 30_000) == 1
    }
}

func readText(_ path: String) -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "" }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 65536)
    let count = read(file, &bytes, bytes.count)
    return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
}
