import Glibc
import RoostModel

/// Whole directories.
enum DirectoryRemoval {
    /// Removes a directory and all in it, as far as that can be done.
    static func remove(_ directory: String) {
        empty(directory)
        rmdir(directory)
    }

    static func empty(_ directory: String) {
        for name in (try? PayloadFiles.entries(of: directory)) ?? [] {
            let path = "\(directory)/\(name)"
            if unlink(path) != 0 { remove(path) }
        }
    }

    /// Removes what a backup left that was killed: its process is gone.
    static func sweepHeld(_ data: String) throws(RoostError) {
        for name in try PayloadFiles.entries(of: data) where name.hasPrefix(StoreBackup.holding) {
            guard let process = Int32(name.dropFirst(StoreBackup.holding.count)) else { continue }
            if kill(process, 0) != 0 && errno == ESRCH { remove("\(data)/\(name)") }
        }
    }
}
