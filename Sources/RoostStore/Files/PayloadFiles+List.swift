import Glibc
import RoostModel

/// What is in the payload directory.
extension PayloadFiles {
    /// A file below the payload directory.
    struct Found {
        var path: String
        /// nil: it has no payload's name.
        var name: PayloadName?
        var bytes: Int
    }

    /// Every file below the payload directory; empty when there is none.
    func list() throws(RoostError) -> [Found] {
        var found: [Found] = []
        for folder in try Self.entries(of: directory).sorted() {
            let folder = "\(directory)/\(folder)"
            var status = stat()
            guard lstat(folder, &status) == 0 else { continue }
            guard status.st_mode & S_IFMT == S_IFDIR else {
                found.append(Found(path: folder, name: nil, bytes: Int(status.st_size)))
                continue
            }
            for entry in try Self.entries(of: folder).sorted() {
                let path = "\(folder)/\(entry)"
                guard lstat(path, &status) == 0 else { continue }
                let isFile = status.st_mode & S_IFMT == S_IFREG
                found.append(
                    Found(path: path, name: isFile ? PayloadName(fileName: entry) : nil, bytes: Int(status.st_size)))
            }
        }
        return found
    }

    static func entries(of directory: String) throws(RoostError) -> [String] {
        guard let stream = opendir(directory) else {
            if errno == ENOENT { return [] }
            throw StoreFailure.system("cannot read the directory", directory)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }
}
