import CRoostLinux
import Glibc
import Logging
import Roost
import RoostBridge
import RoostEmbedded
import RoostModel
import RoostNode
import UnixSignals

/// The half of `roost bridge` that stays: a pool, a listener, and a watch over whom it serves.
struct BridgeServing {
    private let flags: BridgeCommand
    private let log = LogLevel.info.logger("roost.bridge")

    init(_ flags: BridgeCommand) { self.flags = flags }

    func run() async -> Never {
        Self.keepFreedMemory()
        guard let text = BridgeHandover.readAll(STDIN_FILENO, within: .seconds(10)),
            let secrets = BridgeHandover.Secrets(text)
        else { _exit(ExitStatus.usage.rawValue) }
        do throws(RoostError) {
            let pool = try await openPool(secrets)
            let (server, port) = try await BridgeServer.start(
                pool: pool, configuration: configuration(secrets))
            ParentWatch.start(flags.parent) { server.end("the process \(flags.parent) has ended") }
            guard tell(.ready(port: port)) else { await leave(pool, "nobody waits for it") }
            log.info("serving", metadata: ["port": "\(port)", "parent": "\(flags.parent)"])
            let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
            // Ends with the process.
            Task { for await signal in signals { server.end("\(signal) was received") } }
            await leave(pool, await server.untilEnded())
        } catch {
            _ = tell(.failed(error))
            _exit(ExitStatus(error.code).rawValue)
        }
    }

    /// What passes through in megabytes is freed soon, and needed again sooner: without this, each page of it would be given
    /// back and fetched anew, which took half of the time of large tasks.
    private static func keepFreedMemory() { roost_keep_freed_memory(mappedBytes, keptBytes) }

    /// Blocks of so many bytes go back to the system when they are freed; of smaller ones so many bytes stay.
    private static let mappedBytes: Int32 = 32 << 20
    private static let keptBytes: Int32 = 64 << 20

    // MARK: The pool

    private func openPool(_ secrets: BridgeHandover.Secrets) async throws(RoostError) -> Pool {
        guard let slots = flags.slots else {
            return try await Pool.connect(
                flags.pool.address(), token: secrets.token, description: "R, process \(flags.parent), by \(PoolOptions.description)")
        }
        let wanted = OpenFiles.slots(slots == 0 ? AvailableCPUs.slots() : slots)
        guard let program = try RProgram.find(flags.rPath) else {
            throw RoostError(
                .notFound, "no R is in the PATH of this process",
                remedy:
                    "Put the directory of the R that is to run the tasks into PATH: Sys.setenv(PATH = …); or name it to roost bridge: --r PATH."
            )
        }
        var r = RConfiguration(program: program)
        // They start while R sends its first job.
        r.prestarted = min(wanted, AvailableCPUs.slots())
        return try await EmbeddedPool.open(slots: wanted, guardExecutable: Environment.executable(), r: r).pool
    }

    private func configuration(_ secrets: BridgeHandover.Secrets) throws(RoostError) -> BridgeConfiguration {
        let isHere = flags.slots != nil
        return BridgeConfiguration(
            pool: isHere ? "embedded" : "\(try flags.pool.address())", user: isHere ? Environment.userName : nil,
            version: RoostVersion.text, secret: secrets.secret)
    }

    // MARK: Beginning and end

    /// False: the launcher is gone.
    private func tell(_ answer: BridgeHandover.Answer) -> Bool {
        var isHeard = true
        do throws(SystemError) {
            try FileWriting.writeAll(Array(answer.text.utf8), to: STDOUT_FILENO)
        } catch { isHeard = false }
        // Closes both pipes; whatever prints from now on prints nowhere.
        let nowhere = open("/dev/null", O_RDWR | O_CLOEXEC)
        if nowhere >= 0 {
            dup2(nowhere, STDIN_FILENO)
            dup2(nowhere, STDOUT_FILENO)
        }
        return isHeard
    }

    /// Cancels what runs, and goes.
    private func leave(_ pool: Pool, _ reason: String) async -> Never {
        log.info("ending", metadata: ["reason": "\(reason)"])
        // A server out of reach must not keep us: the process ends at the latest then.
        let alarm = Task {
            try await Task.sleep(for: .seconds(BridgeLimits.closeSeconds))
            _exit(ExitStatus.roostFailed.rawValue)
        }
        await pool.close()
        alarm.cancel()
        _exit(0)
    }
}

/// Waits for the end of the process that is served, on a thread of its own.
enum ParentWatch {
    private final class Watch: Sendable {
        let pid: Int32
        let onEnd: @Sendable () -> Void

        init(_ pid: Int32, _ onEnd: @escaping @Sendable () -> Void) {
            self.pid = pid
            self.onEnd = onEnd
        }

        func run() {
            let pidfd = roost_pidfd_open(pid)
            if pidfd >= 0 {
                var waiting = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
                while poll(&waiting, 1, -1) <= 0 {}
                close(pidfd)
            } else {
                // It is gone already; or this is an old kernel, and we have to look again and again.
                while kill(pid, 0) == 0 || errno == EPERM { sleep(1) }
            }
            onEnd()
        }
    }

    /// Nobody waits for the thread: it ends with the process, this one or the watched one.
    static func start(_ pid: Int32, onEnd: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let watch = Unmanaged.passRetained(Watch(pid, onEnd))
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Watch>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, watch.toOpaque())
        guard code == 0 else {
            watch.release()
            return onEnd()
        }
        pthread_detach(thread)
    }
}
