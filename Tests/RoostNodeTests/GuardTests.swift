import Glibc
import RoostModel
import RoostNode
import Testing

/// An agent that is killed leaves nothing behind.
@Suite(.timeLimit(.minutes(1)))
struct GuardTests {
    @Test func theGuardKillsWhatAKilledAgentLeft() async throws {
        let alive = try AliveFile()
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = alive.path as String, roost = roostBinary as String] in
            let line = try GuardLine.start(executable: roost, arguments: ["guard"])
            let probe = try ReactorProbe(guardLine: line)
            // One stays in its group, one left it, one is deaf.
            let script = "exec 9> \(path); trap '' TERM INT HUP; sleep 1000 & setsid sleep 1000 & echo up; wait"
            for token in UInt64(1)...2 {
                probe.reactor.start(token: token, .shell(script, streams: true))
                await probe.waitForOutput("up", of: token)
            }
            for signal in [SIGINT, SIGTERM, SIGHUP] { kill(line.guardPID, signal) }
            kill(getpid(), SIGKILL)
        }
        #expect(alive.allHaveLeft())
    }

    @Test func aGoodbyeCleansUpToo() async throws {
        let alive = try AliveFile()
        await #expect(processExitsWith: .exitCode(42)) { [path = alive.path as String, roost = roostBinary as String] in
            let line = try GuardLine.start(executable: roost, arguments: ["guard"])
            let probe = try ReactorProbe(guardLine: line)
            probe.reactor.start(token: 1, .shell("exec 9> \(path); setsid sleep 1000 > /dev/null 2>&1 & exit 0"))
            _ = try await probe.end(of: 1)
            probe.reactor.shutDown()
            line.bye()
            exit(42)
        }
        #expect(alive.allHaveLeft())
    }

    @Test func aGuardThatWasKilledIsReplaced() async throws {
        let alive = try AliveFile()
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = alive.path as String, roost = roostBinary as String] in
            let line = try GuardLine.start(executable: roost, arguments: ["guard"])
            let probe = try ReactorProbe(guardLine: line)
            probe.reactor.start(token: 1, .shell("exec 9> \(path); echo up; sleep 1000; true", streams: true))
            await probe.waitForOutput("up", of: 1)
            let first = line.guardPID
            kill(first, SIGKILL)
            // The pipe breaks as soon as the kernel has taken the first guard apart.
            while line.guardPID == first {
                line.unregister(1)
                line.flush()
            }
            kill(getpid(), SIGKILL)
        }
        #expect(alive.allHaveLeft())
    }

    @Test func theGuardEndsWhatOutlivesItsLeaseWhileItsAgentIsStopped() async throws {
        let (leased, free) = (try AliveFile(), try AliveFile())
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [leased = leased.path as String, free = free.path as String, roost = roostBinary as String] in
            let line = try GuardLine.start(executable: roost, arguments: ["guard"])
            let probe = try ReactorProbe(guardLine: line)
            line.prove(at: Clock.now())
            var strict = ProcessRequest.shell("exec 9> \(leased); echo up; sleep 1000; true", streams: true)
            strict.strictLease = .milliseconds(300)
            probe.reactor.start(token: 1, strict)
            probe.reactor.start(token: 2, .shell("exec 9> \(free); echo up; sleep 1000; true", streams: true))
            await probe.waitForOutput("up", of: 2)
            // Nobody of us sees to it: the test waits for the end, and only then is this process killed.
            let end = try await probe.end(of: 1)
            #expect(end.exit == .signalled(SIGKILL, coreDumped: false))
            kill(getpid(), SIGKILL)
        }
        #expect(leased.allHaveLeft())
        #expect(free.allHaveLeft())
    }

    @Test func workersCarryTheTagAndTheOuterOne() async throws {
        await #expect(processExitsWith: .exitCode(42)) { [roost = roostBinary as String] in
            setenv("ROOST_GUARD", "outer", 1)
            let line = try GuardLine.start(executable: roost, arguments: ["guard"])
            let probe = try ReactorProbe(guardLine: line)
            var request = ProcessRequest.shell("echo $ROOST_GUARD")
            request.environment.append("ROOST_GUARD=forged")
            #expect(try await probe.run(request).stdout.text == "outer:\(line.tag)\n")
            line.bye()
            exit(42)
        }
    }

    @Test(arguments: [false, true])
    func deathIsReportedAndAGoodbyeIsNot(saysBye: Bool) async throws {
        await #expect(processExitsWith: .exitCode(saysBye ? 8 : 7)) { [saysBye] in
            var ends: [Int32] = [-1, -1]
            pipe(&ends)
            let records: [UInt8] =
                [0x2b, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0x2d, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f]
                + (saysBye ? [0x62, 0, 0, 0, 0, 0, 0, 0] : [])
            _ = write(ends[1], records, records.count)
            close(ends[1])
            runGuard(tag: "no process carries this", input: ends[0]) { _exit(7) }
            _exit(8)
        }
    }
}
