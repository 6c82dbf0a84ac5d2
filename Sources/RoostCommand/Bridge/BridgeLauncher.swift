import CRoostLinux
import Glibc
import Roost
import RoostModel

/// The half of `roost bridge` that R waits for: starts the other one apart from R's session, prints where it listens, and is gone.
struct BridgeLauncher {
    private let flags: BridgeCommand

    /// Connecting has limits of its own, which are shorter.
    private static let startLimit: Duration = .seconds(60)

    init(_ flags: BridgeCommand) { self.flags = flags }

    func run() throws(RoostError) {
        guard kill(flags.parent, 0) == 0 || errno == EPERM else {
            throw RoostError(.usage, "--parent: there is no process \(flags.parent)")
        }
        let secrets = BridgeHandover.Secrets(secret: Self.newSecret(), token: try token())
        let child = try start(secrets)
        switch try answer(of: child) {
        case .ready(let port): Terminal.print("roost-bridge 1 \(port) \(secrets.secret) \(child.pid)\n")
        case .failed(let error): throw error
        }
    }

    /// Found out here, where wrong usage can be said at once.
    private func token() throws(RoostError) -> String? {
        guard flags.slots == nil else { return nil }
        let address = try flags.pool.address()
        let token = try flags.pool.tokenText(for: .client)
        _ = try Pool.security(of: address, token: token)
        return token
    }

    private static func newSecret() -> String {
        (0..<16).map { _ in
            let byte = String(UInt8.random(in: 0...255), radix: 16)
            return byte.count == 1 ? "0" + byte : byte
        }.joined()
    }

    // MARK: The other half

    private struct Child {
        var pid: Int32
        var output: Int32
    }

    private func start(_ secrets: BridgeHandover.Secrets) throws(RoostError) -> Child {
        guard let executable = Environment.executable() else {
            throw RoostError(.io, "cannot find this program's own file", cause: "/proc/self/exe cannot be read")
        }
        var input: [Int32] = [-1, -1]
        var output: [Int32] = [-1, -1]
        let log = open(flags.log ?? "/dev/null", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        guard log >= 0 else {
            throw RoostError(.io, "cannot write \(flags.log ?? "/dev/null")", cause: String(cString: strerror(errno)))
        }
        defer { close(log) }
        guard roost_pipe(&input, 0) == 0, roost_pipe(&output, 0) == 0 else {
            throw RoostError(.io, "cannot make a pipe", cause: String(cString: strerror(errno)))
        }
        let pid = Self.spawn(executable, arguments, input: input[0], output: output[1], log: log)
        close(input[0])
        close(output[1])
        guard case .success(let pid) = pid else {
            throw RoostError(.io, "cannot start \(executable) in the background", cause: Self.words(pid))
        }
        try? FileWriting.writeAll(Array(secrets.text.utf8), to: input[1])
        close(input[1])
        return Child(pid: pid, output: output[0])
    }

    private var arguments: [String] {
        var arguments = ["bridge", "--serve", "--parent", "\(flags.parent)"]
        if let slots = flags.slots { arguments += ["--slots", "\(slots)"] }
        if let pool = flags.pool.pool { arguments += ["--pool", pool] }
        if let path = flags.rPath { arguments += ["--r", path] }
        return arguments
    }

    private static func spawn(
        _ executable: String, _ arguments: [String], input: Int32, output: Int32, log: Int32
    ) -> Result<Int32, SystemError> {
        var words = ([executable] + arguments).map { strdup($0) }
        words.append(nil)
        // The token goes by the pipe: neither the serving half nor what it starts has it in its environment.
        var variables = Environment.all().filter { !$0.hasPrefix("ROOST_TOKEN=") }.map { strdup($0) }
        variables.append(nil)
        defer { for text in words + variables { free(text) } }
        let here = getcwd(nil, 0)
        defer { free(here) }
        var step: Int32 = 0
        var error: Int32 = 0
        let pid = words.withUnsafeBufferPointer { words in
            variables.withUnsafeBufferPointer { variables in
                "/".withCString { root in
                    var plan = roost_spawn_plan(
                        path: words[0], arguments: words.baseAddress, environment: variables.baseAddress,
                        directory: here ?? UnsafeMutablePointer(mutating: root), input: input, output: output, error: log,
                        frames_in: -1, frames_out: -1, program: -1,
                        cgroup_procs: -1, data_limit: 0, close_others: 1, new_session: 1, signals_blocked: 0)
                    return roost_spawn(&plan, &step, &error)
                }
            }
        }
        return pid > 0 ? .success(pid) : .failure(SystemError(code: error))
    }

    private static func words(_ result: Result<Int32, SystemError>) -> String {
        if case .failure(let error) = result { return error.message }
        return ""
    }

    private func answer(of child: Child) throws(RoostError) -> BridgeHandover.Answer {
        defer { close(child.output) }
        guard let text = BridgeHandover.readAll(child.output, within: Self.startLimit) else {
            kill(child.pid, SIGKILL)
            throw RoostError(.unreachable, "the bridge was not ready within \(Self.startLimit.components.seconds) s")
        }
        guard let answer = BridgeHandover.Answer(text) else {
            throw RoostError(
                .internal, "the bridge ended before it was ready", remedy: "With --log FILE it leaves its last words there.")
        }
        return answer
    }
}
