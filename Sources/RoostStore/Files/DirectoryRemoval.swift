import Glibc
import RoostModel

/// Whole directories.
enum DirectoryRemoval {
    /// Removes a directory and all in it, as far as that can be done.
    static func remove(_ directory: String) {
        for name in (try? PayloadFiles.entries(of: directory)) ?? [] {
            let path = "\(directory)/\(name)"
            if unlink(path) != 0 { remove(path) }
        }
        rmdir(directory)
    }

    /// Every plain file below a directory, by its path from there; nothing of the names at its top that are left out.
    static func relativeFiles(
        _ directory: String, leaving isLeftOut: (String) -> Bool = { _ in false }
    ) throws(RoostError) -> [String] {
        var files: [String] = []
        for name in try PayloadFiles.entries(of: directory).sorted() where !isLeftOut(name) {
            var status = stat()
            guard lstat("\(directory)/\(name)", &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFREG {
                files.append(name)
            } else if status.st_mode & S_IFMT == S_IFDIR {
                files += try relativeFiles("\(directory)/\(name)").map { "\(name)/\($0)" }
            }
        }
        return files
    }

    /// Removes what a backup left that was killed: its process is gone.
    static func sweepHeld(_ data: String) throws(RoostError) {
        for name in try PayloadFiles.entries(of: data) where name.hasPrefix(StoreBackup.holding) {
            guard let process = Int32(name.dropFirst(StoreBackup.holding.count)) else { continue }
            if kill(process, 0) != 0 && errno == ESRCH { remove("\(data)/\(name)") }
        }
    }
}
