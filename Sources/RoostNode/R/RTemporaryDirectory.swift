import Glibc

/// The directory that R has for its temporary files, `tempdir()`: R removes it when it ends, and cannot when it is killed.
///
///     <scratch>/r-12-0.temporary-<inode> → /tmp/RtmpAbCdEf     while the worker lives: an agent that is killed
///                                                              leaves it to the node's next start
package struct RTemporaryDirectory {
    private let path: String
    /// So that no later directory of the same name is taken for it.
    private let inode: UInt64
    private let note: String?

    private static let mark = ".temporary-"

    /// - Parameters:
    ///   - path: As the worker says it; nothing but R's own kind of directory, of this user, is ever removed.
    ///   - scratch: The worker's directory, beside which it is noted; nil: nowhere.
    package init?(_ path: String, besides scratch: String?) {
        guard let inode = Self.inode(of: path) else { return nil }
        self.path = path
        self.inode = inode
        note = scratch.map { "\($0)\(Self.mark)\(inode)" }
        // Without the note only a kill of the agent leaves something behind.
        if let note { _ = symlink(path, note) }
    }

    /// Removes what the worker has left.
    package func remove() {
        if Self.inode(of: path) == inode { DirectoryTree.remove(path) }
        if let note { unlink(note) }
    }

    /// Removes what the workers of a killed agent have left, whose directories were in this one.
    package static func removeAll(notedIn directory: String) {
        for (name, _) in DirectoryTree.entries(of: directory) ?? [] {
            guard let dash = name.lastIndex(of: "-"), name[...dash].hasSuffix(mark), let noted = UInt64(name[dash...].dropFirst()),
                let path = target(of: "\(directory)/\(name)")
            else { continue }
            if inode(of: path) == noted { DirectoryTree.remove(path) }
        }
    }

    private static func target(of link: String) -> String? {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(link, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }

    /// nil: there is no such directory of R's, or it is another user's.
    private static func inode(of path: String) -> UInt64? {
        guard path.hasPrefix("/"), let name = path.split(separator: "/").last, name.hasPrefix("Rtmp"), name.utf8.count == 10 else {
            return nil
        }
        var facts = stat()
        guard lstat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR, facts.st_uid == geteuid() else { return nil }
        return UInt64(facts.st_ino)
    }
}
