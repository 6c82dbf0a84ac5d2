import CRoostLinux
import Glibc

/// Why a program did not start, in words that name the path.
extension Spawner {
    func describeMissing(_ request: borrowing ProcessRequest, _ error: Int32) -> String {
        let name = programName(request)
        if name.contains("/") { return "cannot start \(name): \(words(error))" }
        if error == EACCES { return "cannot start \(name): it was found in PATH but may not be executed" }
        let path = request.environment.strings.first { $0.hasPrefix("PATH=") }.map { String($0.dropFirst(5)) }
        return "cannot start \(name): no such program in PATH (\(path ?? "not set"))"
    }

    func describe(_ request: borrowing ProcessRequest, step: roost_spawn_step, _ error: Int32) -> String {
        let name = programName(request)
        switch step {
        case roost_spawn_step_directory:
            return "cannot start \(name): working directory \(request.workingDirectory): \(words(error))"
        case roost_spawn_step_limit:
            return "cannot start \(name): its memory limit cannot be set: \(words(error))"
        case roost_spawn_step_program where error == ENOENT:
            return exists(name, from: request.workingDirectory)
                ? "cannot start \(name): the file is there, but its interpreter (#! line) or loader is not"
                : "cannot start \(name): \(words(error))"
        case roost_spawn_step_program where error == E2BIG:
            return "cannot start \(name): arguments and environment are together longer than the system allows"
        case roost_spawn_step_process where error == EAGAIN:
            return "cannot start \(name): this user or machine may have no more processes (see ulimit -u)"
        default:
            return "cannot start \(name): \(words(error))"
        }
    }

    private func programName(_ request: borrowing ProcessRequest) -> String {
        request.executable ?? request.arguments.strings.first ?? ""
    }

    private func exists(_ name: String, from directory: String) -> Bool {
        guard name.contains("/") else { return true }
        return access(name.hasPrefix("/") ? name : directory + "/" + name, F_OK) == 0
    }
}

/// What an errno means, as the C library says it.
func words(_ error: Int32) -> String {
    guard let text = strerror(error) else { return "error \(error)" }
    return String(cString: text).lowercasedFirst
}

extension String {
    fileprivate var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}
