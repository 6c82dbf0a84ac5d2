import Glibc
import RoostModel
import RoostNode
import Synchronization
import Testing

/// What cannot start says why, in words, and disturbs nothing else.
@Suite(.timeLimit(.minutes(1)))
struct ProcessStartTests {
    private func refusal(_ request: ProcessRequest) async throws -> (errno: Int32, message: String) {
        let probe = try ReactorProbe()
        probe.reactor.start(token: 9, .shell("read line < /dev/null; echo fine"))
        probe.reactor.start(token: 1, request)
        var refusal: (Int32, String)?
        var neighbour: ProcessEnd?
        while refusal == nil || neighbour == nil, let event = await probe.next() {
            switch event {
            case .couldNotStart(1, let error, let message): refusal = (error, message)
            case .ended(9, let end): neighbour = end
            default: break
            }
        }
        #expect(neighbour?.stdout.text == "fine\n")
        return try #require(refusal)
    }

    @Test func aMissingProgramIsNamed() async throws {
        let (error, message) = try await refusal(.command("no-such-program-here"))
        #expect(error == ENOENT)
        #expect(message == "cannot start no-such-program-here: no such program in PATH (/usr/local/bin:/usr/bin:/bin)")
    }

    @Test func aMissingPathIsNamed() async throws {
        let (error, message) = try await refusal(.command("/no/such/program"))
        #expect(error == ENOENT)
        #expect(message == "cannot start /no/such/program: no such file or directory")
    }

    @Test func aMissingInterpreterIsToldFromAMissingProgram() async throws {
        let directory = try TemporaryDirectory()
        directory.write("script", "#!/no/such/interpreter\n", mode: 0o755)
        let (error, message) = try await refusal(.command(directory.file("script")))
        #expect(error == ENOENT)
        #expect(message.contains("interpreter"))
    }

    @Test func aFileThatIsNotAProgramIsNamed() async throws {
        let directory = try TemporaryDirectory()
        directory.write("data", "not a program")
        let (error, message) = try await refusal(.command(directory.file("data")))
        #expect(error == EACCES)
        #expect(message == "cannot start \(directory.file("data")): permission denied")
    }

    @Test func aMissingWorkingDirectoryIsNamed() async throws {
        var request = ProcessRequest.command("true")
        request.workingDirectory = "/no/such/directory"
        let (error, message) = try await refusal(request)
        #expect(error == ENOENT)
        #expect(message == "cannot start true: working directory /no/such/directory: no such file or directory")
    }

    @Test func tooManyArgumentsAreTold() async throws {
        var request = ProcessRequest.command("true")
        for _ in 0..<40 { request.arguments.append(bytes: [UInt8](repeating: 65, count: 130_000)) }
        let (error, message) = try await refusal(request)
        #expect(error == E2BIG)
        #expect(message.contains("longer than the system allows"))
    }

    @Test func noCommandAndNulBytesAreRefused() async throws {
        #expect(try await refusal(ProcessRequest(arguments: [], environment: [])).errno == EINVAL)
        #expect(try await refusal(.command("echo", "a\0b")).errno == EINVAL)
    }

    @Test func withoutDescriptorsAStartFailsAndTheNextOneWorks() async throws {
        await #expect(processExitsWith: .exitCode(42)) {
            let probe = try ReactorProbe()
            var before = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before)
            for room in UInt(0)..<8 {
                // Descriptors are given lowest first, so the next one's number says how many there may be.
                let next = dup(0)
                close(next)
                var limit = rlimit(rlim_cur: rlim_t(next) + rlim_t(room), rlim_max: before.rlim_max)
                setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
                probe.reactor.start(token: 1, .command("/bin/true"))
                let event = await probe.end(orRefusalOf: 1)
                if room < 4 { #expect(event == EMFILE) }
                setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &before)
                probe.reactor.start(token: 1, .command("/bin/true"))
                #expect(await probe.end(orRefusalOf: 1) == 0)
            }
            exit(42)
        }
    }

    @Test func programsAreFoundInTheRequestsOwnPath() async throws {
        let directory = try TemporaryDirectory()
        directory.write("greet", "#!/bin/sh\necho hello\n", mode: 0o755)
        var request = ProcessRequest.command("greet")
        request.environment = ["PATH=/no/such:\(directory.path)"]
        let probe = try ReactorProbe()
        #expect(try await probe.run(request).stdout.text == "hello\n")
        // Moved since it was found: looked for again.
        unlink(directory.file("greet"))
        probe.reactor.start(token: 2, request)
        await #expect(throws: HarnessFailure.self) { try await probe.end(of: 2) }
        // A relative entry is meant from the working directory.
        directory.write("greet", "#!/bin/sh\necho again\n", mode: 0o755)
        request.environment = ["PATH=."]
        request.workingDirectory = directory.path
        #expect(try await probe.run(request).stdout.text == "again\n")
    }
}

extension ReactorProbe {
    /// 0 when the process ran, otherwise why it did not.
    func end(orRefusalOf token: UInt64) async -> Int32 {
        do {
            _ = try await end(of: token)
            return 0
        } catch {
            return (error as? HarnessFailure)?.errno ?? -1
        }
    }
}

/// Many short processes, as in `roost map`.
@Suite(.timeLimit(.minutes(2)))
struct ManyProcessesTests {
    /// Keeps `width` processes running until `total` have ended; starts come from the reactor's own callback.
    static func runMany(_ total: UInt64, width: UInt64) async throws -> Int {
        struct Progress {
            var started: UInt64
            var ended = 0
            var failed = 0
        }
        let progress = Mutex(Progress(started: width))
        let holder = Mutex<ProcessReactor?>(nil)
        let (done, continuation) = AsyncStream<Int>.makeStream()
        let reactor = try ProcessReactor(guardLine: nil) { events in
            for event in events {
                guard case .ended(let token, let end) = event else { continue }
                let next: UInt64? = progress.withLock {
                    $0.ended += 1
                    if end.exit != .exited(0) || end.stdout.text != "\(token)\n" { $0.failed += 1 }
                    if $0.ended == Int(total) { continuation.yield($0.failed) }
                    guard $0.started < total else { return nil }
                    $0.started += 1
                    return $0.started
                }
                if let next { holder.withLock { $0 }?.start(token: next, .command("echo", "\(next)")) }
            }
        }
        holder.withLock { $0 = reactor }
        for token in 1...width { reactor.start(token: token, .command("echo", "\(token)")) }
        var iterator = done.makeAsyncIterator()
        let failed = await iterator.next() ?? -1
        holder.withLock { $0 = nil }
        reactor.shutDown()
        return failed
    }

    static func openDescriptors() -> Int { (0..<Int32(1024)).count { fcntl($0, F_GETFD) >= 0 } }

    @Test func twoHundredRunTwoAtATime() async throws {
        #expect(try await Self.runMany(200, width: 2) == 0)
    }

    @Test func fiftyAtOnce() async throws {
        #expect(try await Self.runMany(200, width: 50) == 0)
    }

    @Test func noDescriptorIsLeftOpen() async throws {
        await #expect(processExitsWith: .exitCode(42)) {
            _ = try await ManyProcessesTests.runMany(2, width: 2)
            let before = ManyProcessesTests.openDescriptors()
            _ = try await ManyProcessesTests.runMany(200, width: 4)
            #expect(ManyProcessesTests.openDescriptors() == before)
            exit(42)
        }
    }
}
