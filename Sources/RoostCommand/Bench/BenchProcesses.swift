import FoundationEssentials
import Glibc
import Roost
import RoostModel
import RoostNode
import RoostServer
import RoostWire

/// The server and the nodes of a benchmark: processes of this same binary, in a directory that goes with them.
struct BenchProcesses {
    let url: String
    let clientToken: String
    private(set) var serverProcess: ProcessFigures
    private let directory: String
    private let address: String
    private let events: AsyncStream<[ProcessEvent]>
    private let reactor: ProcessReactor
    private let guardLine: GuardLine

    static func start(nodes: Int, slots: Int) async throws(RoostError) -> BenchProcesses {
        let directory = try temporaryDirectory()
        let (events, told) = AsyncStream<[ProcessEvent]>.makeStream()
        let reactor: ProcessReactor
        let guardLine: GuardLine
        do {
            // A benchmark that is killed leaves no server and no nodes behind.
            guardLine = try GuardLine.start(executable: "/proc/self/exe", arguments: ["guard"])
            reactor = try ProcessReactor(guardLine: guardLine) { told.yield($0) }
        } catch {
            throw RoostError(.io, "cannot start processes", cause: "\(error)")
        }
        do throws(RoostError) {
            let (serverPID, address) = try await startServer(reactor, events, directory, listen: "127.0.0.1:0")
            let now = WallTime.now()
            let tokens = try TokenStore(directory: "\(directory)/data")
            let authority = try CertificateAuthority.open(directory: "\(directory)/data", at: now)
            func token(_ role: Role) throws(RoostError) -> String {
                try tokens.create(
                    role: role, user: "bench", lifetime: .seconds(3600), authority: authority.fingerprint, at: now
                ).text
            }
            let url = "roost://\(address)"
            let nodeToken = try token(.node)
            for node in 0..<nodes {
                run(
                    reactor, token: UInt64(2 + node),
                    [
                        "node", "start", "--zero", "--slots", "\(slots)", "--pool", url, "--state",
                        "\(directory)/node-\(node)", "--name", "bench-\(node)",
                    ], ["ROOST_TOKEN=\(nodeToken)"])
            }
            return BenchProcesses(
                url: url, clientToken: try token(.client), serverProcess: ProcessFigures(pid: serverPID),
                directory: directory, address: address, events: events, reactor: reactor, guardLine: guardLine)
        } catch {
            reactor.shutDown()
            guardLine.bye()
            DirectoryTree.remove(directory)
            throw error
        }
    }

    /// Kills the server, and starts it again with what it has left on its disk.
    /// - Returns: Seconds from the new one's start until it listens.
    mutating func restartServer() async throws(RoostError) -> Double {
        reactor.signal(token: Self.serverToken, SIGKILL)
        _ = try await Self.first(events) { if case .ended(Self.serverToken, _) = $0 { true } else { nil } }
        unlink(Self.readyFile(directory))
        let began = Clock.now()
        let (pid, _) = try await Self.startServer(reactor, events, directory, listen: address)
        serverProcess = ProcessFigures(pid: pid)
        return (Clock.now() - began).inSeconds
    }

    func stop() {
        reactor.shutDown()
        guardLine.bye()
        DirectoryTree.remove(directory)
    }

    private static func temporaryDirectory() throws(RoostError) -> String {
        let base = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        let directory = "\(base)/roost-bench-\(UInt64.random(in: .min ... .max))"
        try PrivateFiles.ensureDirectory(directory)
        return directory
    }

    private static func run(_ reactor: ProcessReactor, token: UInt64, _ arguments: [String], _ environment: [String]) {
        let inherited = ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" }
            .filter { !$0.hasPrefix("ROOST_") }
        reactor.start(
            token: token,
            ProcessRequest(
                executable: "/proc/self/exe", arguments: CStringBlock(["roost"] + arguments),
                environment: CStringBlock(inherited + environment), headBytes: 4096, tailBytes: 4096))
    }

    private static let serverToken: UInt64 = 1

    private static func readyFile(_ directory: String) -> String { "\(directory)/ready" }

    /// - Returns: The server's process and the address at which it listens.
    private static func startServer(
        _ reactor: ProcessReactor, _ events: AsyncStream<[ProcessEvent]>, _ directory: String, listen: String
    ) async throws(RoostError) -> (Int32, String) {
        let ready = readyFile(directory)
        run(
            reactor, token: serverToken,
            ["server", "start", "--listen", listen, "--data", "\(directory)/data", "--ready-file", ready], [])
        let pid = try await first(events) { event in
            if case .started(serverToken, let pid) = event { pid } else { nil }
        }
        return (pid, try await contents(of: ready))
    }

    /// What `found` makes of the first event of which it makes something.
    private static func first<Found>(
        _ events: AsyncStream<[ProcessEvent]>, _ found: (ProcessEvent) -> Found?
    ) async throws(RoostError) -> Found {
        for await batch in events {
            for event in batch {
                if case .couldNotStart(_, _, let message) = event { throw RoostError(.io, message) }
                if let found = found(event) { return found }
            }
        }
        throw RoostError(.io, "the benchmark's processes are gone")
    }

    /// Waits for the file that a server writes when it listens.
    private static func contents(of path: String) async throws(RoostError) -> String {
        let deadline = Clock.now() + .seconds(30)
        while Clock.now() < deadline {
            if let bytes = FileManager.default.contents(atPath: path), !bytes.isEmpty {
                var text = String(decoding: bytes, as: UTF8.self)
                while text.last?.isWhitespace == true { text.removeLast() }
                return text
            }
            do { try await Task.sleep(for: .milliseconds(2)) } catch { throw RoostError(.cancelled, "stopped") }
        }
        throw RoostError(.unreachable, "the benchmark's server did not listen within 30 s")
    }
}

/// What the kernel says of a running process.
struct ProcessFigures: Sendable {
    let pid: Int32

    /// Nanoseconds of CPU all its threads have used.
    var cpuNanoseconds: Int64? {
        guard let threads = try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task") else { return nil }
        var sum: Int64 = 0
        for thread in threads {
            guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/task/\(thread)/schedstat"),
                let first = String(decoding: data, as: UTF8.self).split(separator: " ").first, let ran = Int64(first)
            else { continue }
            sum += ran
        }
        return sum
    }

    /// Resident memory in bytes.
    var residentBytes: Int? { bytes("VmRSS:") }

    /// The most resident memory it ever had, in bytes.
    var mostResidentBytes: Int? { bytes("VmHWM:") }

    private func bytes(_ name: String) -> Int? {
        guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/status") else { return nil }
        for line in String(decoding: data, as: UTF8.self).split(separator: "\n") where line.hasPrefix(name) {
            return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
        }
        return nil
    }
}
