import Glibc
import RoostModel
import RoostNode
import Testing

/// What a process said and how it ended reaches us as it was.
@Suite(.timeLimit(.minutes(1)))
struct ProcessReactorTests {
    @Test(arguments: [0, 1, 77, 255])
    func exitStatusArrives(status: Int32) async throws {
        let end = try await ReactorProbe().shell("exit \(status)")
        #expect(end.exit == .exited(status))
        #expect(end.runNanoseconds > 0)
        #expect(end.startNanoseconds > 1_600_000_000_000_000_000)
    }

    @Test func aCrashTellsItsSignal() async throws {
        let end = try await ReactorProbe().shell("ulimit -c 0; kill -SEGV $$")
        #expect(end.exit == .signalled(SIGSEGV, coreDumped: false))
        #expect(end.outOfMemoryKilled != true)
    }

    @Test func bothStreamsAreCapturedApart() async throws {
        let end = try await ReactorProbe().shell("echo to stdout; echo to stderr >&2")
        #expect(end.stdout.text == "to stdout\n")
        #expect(end.stderr.text == "to stderr\n")
    }

    @Test func standardInputIsEmpty() async throws {
        let end = try await ReactorProbe().shell("cat; echo done")
        #expect(end.stdout.text == "done\n")
    }

    @Test func environmentAndDirectoryAreExactlyTheGivenOnes() async throws {
        let directory = try TemporaryDirectory()
        var request = ProcessRequest.command("sh", "-c", "pwd; env | grep -v -e ^PWD= -e ^SHLVL= -e ^_=")
        request.environment = ["A=1", ProcessRequest.path, "B=two words"]
        request.workingDirectory = directory.path
        let end = try await ReactorProbe().run(request)
        let lines = end.stdout.text.split(separator: "\n").map(String.init)
        #expect(lines.first == directory.path)
        #expect(Set(lines.dropFirst()) == ["A=1", ProcessRequest.path, "B=two words"])
    }

    @Test func argumentsAreBytes() async throws {
        var request = ProcessRequest.command("printf", "%s")
        request.arguments.append(bytes: [0x66, 0xfc, 0x72, 0xff])
        let end = try await ReactorProbe().run(request)
        #expect(end.stdout.head == [0x66, 0xfc, 0x72, 0xff])
    }

    @Test func theProgramMayDifferFromItsName() async throws {
        var request = ProcessRequest.command("another", "-c", "echo $0")
        request.executable = "sh"
        #expect(try await ReactorProbe().run(request).stdout.text == "another\n")
    }

    @Test func aScriptWithoutItsFirstLineRunsInTheShell() async throws {
        let directory = try TemporaryDirectory()
        directory.write("script", "echo shell $1\n", mode: 0o755)
        let end = try await ReactorProbe().run(.command(directory.file("script"), "ran"))
        #expect(end.stdout.text == "shell ran\n")
    }

    @Test func signalsAreAtTheirDefaults() async throws {
        // Whoever runs the tests may ignore and block what it likes; signals 32 and 33 are the C library's own.
        await #expect(processExitsWith: .exitCode(42)) {
            for ignored in [SIGPIPE, SIGHUP, SIGUSR1, SIGCHLD] { signal(ignored, SIG_IGN) }
            let end = try await ReactorProbe().run(.command("cat", "/proc/self/status"))
            for line in end.stdout.text.split(separator: "\n") {
                let words = line.split(whereSeparator: { $0 == ":" || $0 == "\t" })
                guard ["SigBlk", "SigIgn", "SigCgt"].contains(words[0]) else { continue }
                #expect((UInt64(words[1], radix: 16) ?? 1) & ~0x1_8000_0000 == 0, "\(line)")
            }
            #expect(end.exit == .exited(0))
            exit(42)
        }
    }

    @Test func noDescriptorButTheStandardOnesIsInherited() async throws {
        // The fourth is the listing's own.
        let end = try await ReactorProbe().run(.command("ls", "/proc/self/fd"))
        #expect(end.stdout.text == "0\n1\n2\n3\n")
    }

    @Test func whatDoesNotFitIsCountedAndLeftOut() async throws {
        var request = ProcessRequest.command("seq", "1", "200000")
        request.headBytes = 8
        request.tailBytes = 14
        let end = try await ReactorProbe().run(request)
        #expect(String(decoding: end.stdout.head, as: UTF8.self) == "1\n2\n3\n4\n")
        #expect(String(decoding: end.stdout.tail, as: UTF8.self) == "199999\n200000\n")
        #expect(end.stdout.totalBytes == 1_288_895)
        #expect(end.stdout.omittedBytes == 1_288_895 - 22)
    }

    @Test func liveOutputArrivesInOrderAndWithoutGaps() async throws {
        let probe = try ReactorProbe()
        probe.reactor.start(token: 1, .shell("seq 1 50000; echo end >&2", streams: true))
        var stdout: [UInt8] = []
        var end: ProcessEnd?
        while end == nil, let event = await probe.next() {
            switch event {
            case .output(_, .stdout, let offset, let bytes):
                #expect(offset == UInt64(stdout.count))
                stdout += bytes
            case .ended(_, let ended): end = ended
            default: break
            }
        }
        #expect(stdout.count == 288_894)
        #expect(end?.stdout.totalBytes == 288_894)
        #expect(end?.stdout.text == String(decoding: stdout, as: UTF8.self))
    }

    @Test func onlyWhatIsLargeIsStreamed() async throws {
        let probe = try ReactorProbe()
        var request = ProcessRequest.shell("echo small; seq 1 50000 >&2; exit 3")
        request.headBytes = 100_000
        request.tailBytes = 1000
        request.streamsLargeOutput = true
        probe.reactor.start(token: 1, request)
        var streamed: [OutputChunk.Stream: [UInt8]] = [:]
        var end: ProcessEnd?
        while end == nil, let event = await probe.next() {
            switch event {
            case .output(_, let stream, let offset, let bytes):
                #expect(offset == UInt64(streamed[stream]?.count ?? 0))
                streamed[stream, default: []] += bytes
            case .ended(_, let ended): end = ended
            default: break
            }
        }
        #expect(streamed[.stderr]?.count == 288_894)
        #expect(end?.stderr.omittedBytes == 288_894 - 101_000)

        request = .shell("seq 1 5000")
        request.headBytes = 100_000
        request.streamsLargeOutput = true
        probe.reactor.start(token: 2, request)
        while let event = await probe.next() {
            if case .output = event { Issue.record("small output was streamed") }
            if case .ended(2, let ended) = event {
                #expect(ended.stdout.totalBytes == 23_893)
                break
            }
        }
    }

    @Test func aLateFollowerGetsWhatWasKept() async throws {
        let directory = try TemporaryDirectory()
        let fifo = directory.file("go")
        mkfifo(fifo, 0o600)
        let probe = try ReactorProbe()
        probe.reactor.start(token: 1, .shell("echo early; read line < \(fifo); echo $line"))
        // Opening returns when the script has written its first line and waits for us.
        let gate = open(fifo, O_WRONLY | O_CLOEXEC)
        probe.reactor.setStreaming(token: 1, true)
        await probe.waitForOutput("early\n", of: 1)
        _ = write(gate, "late\n", 5)
        close(gate)
        await probe.waitForOutput("late\n", of: 1)
        #expect(try await probe.end(of: 1).stdout.text == "early\nlate\n")
    }

    @Test func pausedOutputStopsTheWriterUntilItIsResumed() async throws {
        let directory = try TemporaryDirectory()
        mkfifo(directory.file("go"), 0o600)
        let probe = try ReactorProbe()
        let script = "echo begin; read line < \(directory.file("go")); head -c 1000000 /dev/zero; echo end >&2"
        probe.reactor.start(token: 1, .shell(script, streams: true))
        await probe.waitForOutput("begin", of: 1)
        probe.reactor.pauseOutput(token: 1)
        probe.reactor.pauseOutput(token: 1)
        // Another process runs from start to end: the pause is in force by then, and disturbs nobody else.
        probe.reactor.start(token: 2, .command("true"))
        #expect(try await probe.end(of: 2).exit == .exited(0))
        directory.write("go", "go\n")
        probe.reactor.start(token: 3, .command("true"))
        while case let event? = await probe.next() {
            if case .output(1, _, _, _) = event { Issue.record("output of a paused process") }
            if case .ended(3, _) = event { break }
        }
        probe.reactor.resumeOutput(token: 1)
        #expect(try await probe.end(of: 1).stdout.totalBytes == 1_000_006)
    }

    @Test func cpuTimeAndMemoryAreMeasured() async throws {
        // Far more than this test process has itself with all other tests beside, so that the number is the child's own.
        var request = ProcessRequest.shell("head -c 1500M /dev/zero | tail -c 1500M > /dev/null")
        request.headBytes = 0
        let end = try await ReactorProbe().run(request)
        #expect(end.exit == .exited(0))
        #expect(end.systemMicroseconds + end.userMicroseconds > 0)
        #expect((end.peakMemoryBytes ?? 0) > 1_500_000_000)
    }

    @Test func aSmallProgramIsNotChargedForTheAgentsMemory() async throws {
        #expect(try await ReactorProbe().run(.command("true")).peakMemoryBytes == nil)
    }
}
