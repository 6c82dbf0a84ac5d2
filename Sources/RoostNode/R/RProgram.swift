package import RoostModel

import Glibc

/// The R of this node, and the program its workers run.
package struct RProgram: Sendable {
    /// The R to start: a path, or a name looked up in PATH.
    package var executable: String
    /// As `R --version` says it, "4.2.2".
    package var version: String

    package init(executable: String, version: String) {
        self.executable = executable
        self.version = version
    }

    static let oldest = (major: 4, minor: 0)

    /// Asks R who it is.
    /// - Parameter executable: `R` by default.
    /// - Returns: nil when no name was given and no R is installed.
    /// - Throws: `.notFound` when the named R does not start, `.usage` when it is too old.
    package static func find(_ executable: String?) throws(RoostError) -> RProgram? {
        let name = executable ?? "R"
        guard let text = firstLine(of: name) else {
            guard let executable else { return nil }
            throw RoostError(
                .notFound, "R does not start as '\(executable)'",
                remedy: "Give --r the path of an R that is installed here, or install one: apt-get install r-base-core")
        }
        // "R version 4.2.2 Patched (2022-11-10 r83330) -- …", or "R Under development (unstable) …"
        let words = text.split(separator: " ")
        let version = words.count > 2 && words[1] == "version" ? String(words[2]) : text
        let numbers = version.split(separator: ".").compactMap { Int($0) }
        if numbers.count >= 2, (numbers[0], numbers[1]) < (oldest.major, oldest.minor) {
            throw RoostError(
                .usage, "R \(version) is too old: \(name)",
                remedy: "Roost's workers need R \(oldest.major).\(oldest.minor) or later.")
        }
        return RProgram(executable: name, version: version)
    }

    private static func firstLine(of executable: String) -> String? {
        let quoted = "'" + executable.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
        guard let pipe = popen("exec \(quoted) --version 2>/dev/null </dev/null", "r") else { return nil }
        var line = [CChar](repeating: 0, count: 512)
        let got = fgets(&line, Int32(line.count), pipe) != nil
        while fgetc(pipe) != EOF {}
        guard pclose(pipe) == 0, got else { return nil }
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.hasPrefix("R ") ? String(text.prefix { $0 != "\n" }) : nil
    }
}
