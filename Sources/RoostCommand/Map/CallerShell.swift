import Glibc

/// Which shell runs the lines of commands that need one, on this machine: the one that the caller speaks.
///
/// As GNU parallel does: `PARALLEL_SHELL`, else bash when it has exported functions to us, else the nearest
/// ancestor process that is a shell, else `/bin/sh`.
enum CallerShell {
    static func path(environmentNames: [String]) -> String {
        if let named = getenv("PARALLEL_SHELL"), named.pointee != 0 { return String(cString: named) }
        let ancestor = ancestor()
        let hasFunctions = environmentNames.contains { $0.hasPrefix("BASH_FUNC_") }
        if hasFunctions && ancestor.map(name) != "bash" { return "bash" }
        return ancestor ?? "/bin/sh"
    }

    /// Shells that understand our quoting.
    private static let shells: Set<String> = ["sh", "ash", "bash", "dash", "ksh", "ksh93", "mksh", "yash", "zsh"]
    /// How far up we look.
    private static let mostAncestors = 16

    private static func ancestor() -> String? {
        var process = getppid()
        for _ in 0..<mostAncestors where process > 1 {
            if let program = readLink("/proc/\(process)/exe"), shells.contains(name(program)) { return program }
            guard let parent = parent(of: process) else { return nil }
            process = parent
        }
        return nil
    }

    private static func name(_ path: String) -> String {
        String(path[(path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex)...])
    }

    private static func readLink(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &buffer, buffer.count)
        guard count > 0, count < buffer.count else { return nil }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The fourth word of `/proc/PID/stat`; the second, in parentheses, may have blanks in it.
    private static func parent(of process: Int32) -> Int32? {
        guard let bytes = try? FileWriting.readAll("/proc/\(process)/stat"),
            let end = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let words = bytes[(end + 1)...].split(separator: UInt8(ascii: " "))
        return words.count > 1 ? Int32(String(decoding: words[1], as: UTF8.self)) : nil
    }
}
