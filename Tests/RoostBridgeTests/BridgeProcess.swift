import Foundation
import Glibc
import RSerialization
import RoostBridge
import Testing

struct Trouble: Error, CustomStringConvertible { var description: String }

/// A real `roost bridge --slots 2`, with a parent that a test may kill. All of it is gone when the test has ended.
final class BridgeProcess {
    private let parent = Process()
    let port: Int
    let secret: String
    let pid: Int32

    /// The `roost` that was built with these tests: it stands beside them.
    static let roost: String = {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("roost").path
    }()

    init() throws {
        parent.executableURL = URL(fileURLWithPath: "/bin/sleep")
        parent.arguments = ["1000"]
        try parent.run()
        let run: (status: Int32, output: String, errors: String)
        do {
            run = try Self.run(["bridge", "--slots", "2", "--parent", "\(parent.processIdentifier)"])
        } catch {
            kill(parent.processIdentifier, SIGKILL)
            throw error
        }
        let words = run.output.split(separator: " ")
        guard run.status == 0, words.count == 5, words[0] == "roost-bridge", words[1] == "1", let port = Int(words[2]),
            let pid = Int32(words[4].trimmingCharacters(in: .newlines)), words[3].count == 32
        else {
            kill(parent.processIdentifier, SIGKILL)
            throw Trouble(description: "no bridge: \(run)")
        }
        self.port = port
        self.pid = pid
        secret = String(words[3])
    }

    /// Runs `roost` to its end.
    static func run(
        _ arguments: [String], environment: [String: String] = [:]
    ) throws -> (status: Int32, output: String, errors: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: roost)
        process.arguments = arguments
        var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("ROOST_") }
        variables["XDG_CONFIG_HOME"] = "/nonexistent"
        process.environment = variables.merging(environment) { _, new in new }
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        let complaint = try errors.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: text, as: UTF8.self), String(decoding: complaint, as: UTF8.self))
    }

    func killParent() {
        kill(parent.processIdentifier, SIGKILL)
        parent.waitUntilExit()
    }

    /// Whether the bridge is there; a dead one that nobody has buried is not.
    var isAlive: Bool {
        guard let stat = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return false }
        let state = String(decoding: stat, as: UTF8.self).split(separator: ")").last?.split(separator: " ").first
        return state != "Z" && state != "X"
    }

    func waitForEnd() async throws {
        let end = ContinuousClock.now + .seconds(60)
        while isAlive {
            guard ContinuousClock.now < end else { throw Trouble(description: "the bridge \(pid) does not end") }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    func connect() throws -> Wire { try Wire(port: port) }

    /// A connection that has been welcomed; what the bridge had got, and the connection.
    func greeted(reply: UInt64 = 0) throws -> (wire: Wire, got: Double) {
        let wire = try connect()
        try wire.write(hello(secret, reply: reply))
        let answer = try wire.frame()
        guard answer.control.flag("ok") == true, let got = answer.control.number("got") else {
            throw Trouble(description: "not welcome: \(answer.control)")
        }
        return (wire, got)
    }

    deinit {
        if isAlive { kill(pid, SIGKILL) }
        kill(parent.processIdentifier, SIGKILL)
    }
}

/// The R session's end of a connection, plain and blocking.
final class Wire {
    private let socket: Int32

    init(port: Int) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw Trouble(description: "cannot connect: \(String(cString: strerror(errno)))") }
    }

    deinit { close(socket) }

    func write(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { throw Trouble(description: "cannot write: \(String(cString: strerror(errno)))") }
            rest = rest.dropFirst(count)
        }
    }

    /// So many bytes; fewer at the end.
    func read(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while bytes.count < count {
            let got = recv(socket, &buffer, min(buffer.count, count - bytes.count), 0)
            guard got > 0 else { break }
            bytes += buffer[..<got]
        }
        return bytes
    }

    /// Whether the bridge has closed the connection, once all it sent is read.
    var isClosed: Bool {
        var byte: UInt8 = 0
        let got = recv(socket, &byte, 1, 0)
        return got == 0 || (got < 0 && errno == ECONNRESET)
    }

    func frame() throws -> BridgeFrame {
        let head = read(BridgeHeader.byteCount)
        guard let header = BridgeHeader(head) else { throw Trouble(description: "no frame: \(head)") }
        return try OutgoingFrame.whole(head + read(header.controlBytes + header.blobBytes))
    }

    /// The final answer to a request.
    func answer(to request: UInt64) throws -> BridgeFrame {
        while true {
            let frame = try frame()
            if frame.header.reply == request && frame.control.flag("more") != true { return frame }
        }
    }

    /// Asks, and waits for the answer.
    func ask(_ sequence: UInt64, reply: UInt64 = 0, parts: [[UInt8]] = [], _ build: (inout ControlWriter) -> Void) throws -> BridgeFrame {
        try write(RoostBridgeTests.frame(sequence, reply, parts: parts, build))
        return try answer(to: sequence)
    }
}

extension OutgoingFrame {
    static func whole(_ bytes: [UInt8]) throws -> BridgeFrame {
        var reader = BridgeFrameReader()
        reader.isTrusted = true
        guard let frame = try reader.frames(bytes).first else { throw BridgeFault("no whole frame in \(bytes.count) bytes") }
        return frame
    }
}
