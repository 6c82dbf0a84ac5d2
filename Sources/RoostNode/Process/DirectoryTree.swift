import Glibc

/// What stands in a directory of ours, and its removal.
package enum DirectoryTree {
    package static func remove(_ path: String) {
        guard let entries = entries(of: path) else {
            unlink(path)
            return
        }
        for (name, isDirectory) in entries {
            let child = "\(path)/\(name)"
            if isDirectory { remove(child) } else { unlink(child) }
        }
        rmdir(path)
    }

    /// What is in a directory, in no order; nil when it is none, or cannot be read.
    package static func entries(of path: String) -> [(name: String, isDirectory: Bool)]? {
        guard let directory = opendir(path) else { return nil }
        defer { closedir(directory) }
        var entries: [(name: String, isDirectory: Bool)] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { entries.append((name, entry.pointee.d_type == UInt8(DT_DIR))) }
        }
        return entries
    }
}
