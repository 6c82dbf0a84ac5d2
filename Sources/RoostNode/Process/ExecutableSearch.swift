import Glibc

/// Finds programs by name in a PATH, and remembers where they were.
///
/// A pool starts the same few programs a million times; asking the file system each time would cost more than
/// everything else the agent does for a start.
struct ExecutableSearch {
    enum Found {
        case path([CChar])
        case missing(errno: Int32)
    }

    private var known: [[UInt8]: [CChar]] = [:]
    private static let mostKnown = 1024
    /// What POSIX shells search when PATH is not set.
    private static let standardPath = Array("/usr/local/bin:/usr/bin:/bin".utf8)

    /// The path of `name`. A name with a slash is a path already; a relative entry of `path` is meant from `directory`.
    mutating func find(_ name: [UInt8], path: [UInt8]?, directory: String) -> Found {
        if name.isEmpty { return .missing(errno: ENOENT) }
        if name.contains(UInt8(ascii: "/")) { return .path(Self.cString(name)) }
        let path = path ?? Self.standardPath
        let key = path + [0] + name
        if let hit = known[key] { return .path(hit) }

        var refused = ENOENT
        for entry in path.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false) {
            // An empty entry means the current directory, which will be the working directory.
            let candidate = (entry.isEmpty ? [UInt8(ascii: ".")] : Array(entry)) + [UInt8(ascii: "/")] + name
            let isAbsolute = candidate[0] == UInt8(ascii: "/")
            let seenFromHere = isAbsolute ? candidate : Array(directory.utf8) + [UInt8(ascii: "/")] + candidate
            switch Self.check(Self.cString(seenFromHere)) {
            case 0:
                let found = Self.cString(candidate)
                if isAbsolute {
                    if known.count >= Self.mostKnown { known.removeAll() }
                    known[key] = found
                }
                return .path(found)
            case EACCES: refused = EACCES
            default: break
            }
        }
        return .missing(errno: refused)
    }

    /// Forgets all places: a program was not where it used to be.
    mutating func forget() { known.removeAll() }

    private static func check(_ path: [CChar]) -> Int32 {
        var facts = stat()
        guard stat(path, &facts) == 0 else { return errno }
        guard facts.st_mode & S_IFMT == S_IFREG else { return EACCES }
        return access(path, X_OK) == 0 ? 0 : errno
    }

    private static func cString(_ bytes: [UInt8]) -> [CChar] { bytes.map { CChar(bitPattern: $0) } + [0] }
}
