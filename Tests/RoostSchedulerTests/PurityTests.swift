import Glibc
import Testing

/// The machines decide and do nothing: no clock, no randomness, no I/O, no concurrency. Their sources say so.
@Suite struct PurityTests {
    private static let allowedImports: Set<String> = [
        "RoostModel", "DequeModule", "HeapModule", "OrderedCollections", "BitCollections", "BasicContainers",
        "Collections",
    ]
    /// Words that would let the world in.
    private static let forbidden = [
        "async ", "await ", " Task {", " Task.", "Date(", "Clock", "clock_gettime", "random", "print(", "fopen",
        "read(fd", "write(fd", "FileManager", "getenv", "Thread", "Mutex", "@unchecked", "nonisolated(unsafe)", "time(",
    ]

    @Test(arguments: ["RoostScheduler", "RoostNode/Machine", "Roost/Machine"])
    func aMachinesSourcesLetNothingIn(_ folder: String) throws {
        let files = try sources(folder)
        #expect(!files.isEmpty)
        for file in files {
            for (number, line) in file.text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
                let code = line.split(separator: "//", maxSplits: 1, omittingEmptySubsequences: false)[0]
                let words = code.split(separator: " ")
                if let position = words.firstIndex(of: "import"), position <= 1 {
                    let module = words.dropFirst(position + 1).joined(separator: " ")
                    #expect(Self.allowedImports.contains(module), "\(file.name):\(number + 1) imports \(module)")
                }
                // Words in quotation marks are for people.
                let spoken = code.contains("\"")
                for word in Self.forbidden where !spoken && code.contains(word) {
                    Issue.record("\(file.name):\(number + 1) says '\(word)': \(code)")
                }
            }
        }
    }

    private struct Source {
        var name: String
        var text: String
    }

    private func sources(_ folder: String) throws -> [Source] {
        let here = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let path = "/\(here)/Sources/\(folder)"
        let directory = try #require(opendir(path), "no folder \(path)")
        defer { closedir(directory) }
        var files: [Source] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".swift") { files.append(Source(name: name, text: try contents("\(path)/\(name)"))) }
        }
        return files.sorted { $0.name < $1.name }
    }

    private func contents(_ path: String) throws -> String {
        let file = try #require(fopen(path, "r"), "cannot read \(path)")
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { break }
            bytes += buffer[0..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
