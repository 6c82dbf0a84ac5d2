import Glibc

/// What a node says about the machine it is on.
package struct MachineFacts: Equatable, Sendable {
    package var hostName: String
    /// System, release and processor, such as `Linux 6.1.0-18-amd64 x86_64`.
    package var platform: String
    /// The machine's memory, whatever part of it is ours; 0 when not known.
    package var totalMemoryBytes: UInt64
    /// How many processes were waiting for a CPU, over the last minute.
    package var loadAverage: Double

    package static func current() -> MachineFacts {
        var names = utsname()
        let known = uname(&names) == 0
        var load = 0.0
        return MachineFacts(
            hostName: known ? text(&names.nodename) : "localhost",
            platform: known ? "\(text(&names.sysname)) \(text(&names.release)) \(text(&names.machine))" : "Linux",
            totalMemoryBytes: (TextFile.text("/proc/meminfo") ?? "").number(after: "MemTotal").map { $0 * 1024 } ?? 0,
            loadAverage: getloadavg(&load, 1) == 1 ? load : 0)
    }

    /// A fixed-size field of C, which Swift sees as a tuple, up to its NUL.
    private static func text<Field>(_ field: inout Field) -> String {
        withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
