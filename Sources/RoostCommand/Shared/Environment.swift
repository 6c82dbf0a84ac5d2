import Glibc

/// The process's environment and where a person's files belong.
enum Environment {
    /// The variable's value; nil when it is not set or empty.
    static func value(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    /// All variables, as `NAME=value`.
    static func all() -> [String] {
        var entries: [String] = []
        var next = environ
        while let entry = next.pointee {
            entries.append(String(cString: entry))
            next += 1
        }
        return entries
    }

    /// The person's home; `/` for accounts without one.
    static var home: String {
        if let home = value("HOME") { return home }
        guard let entry = getpwuid(getuid()) else { return "/" }
        return String(cString: entry.pointee.pw_dir)
    }

    /// Who runs this, for names of tokens and the like.
    static var userName: String {
        if let entry = getpwuid(getuid()) { return String(cString: entry.pointee.pw_name) }
        return "user-\(getuid())"
    }

    /// `~/.config/roost`, unless XDG says otherwise: how this account reaches its pool.
    static var configDirectory: String { (value("XDG_CONFIG_HOME") ?? "\(home)/.config") + "/roost" }

    /// `~/.local/share/roost`: a server's secrets.
    static var dataDirectory: String { (value("XDG_DATA_HOME") ?? "\(home)/.local/share") + "/roost" }

    /// `~/.local/state/roost/node`: what makes a node the same node tomorrow.
    static var nodeStateDirectory: String { (value("XDG_STATE_HOME") ?? "\(home)/.local/state") + "/roost/node" }

    /// The running program's file, to start it again as a guard.
    static func executable() -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { bytes -> Int in
            guard let start = bytes.baseAddress else { return 0 }
            return readlink("/proc/self/exe", start.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        guard count > 0, count < buffer.count else { return nil }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }
}
