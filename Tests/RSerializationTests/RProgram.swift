import Foundation
import Testing

/// Runs R. Without R these tests cannot say anything, so they fail and say what to install.
enum RProgram {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// Runs `script` on a directory.
    /// - Returns: what it printed.
    static func run(_ script: String, directory: String) throws -> String {
        let file = "\(directory)/script-\(UInt64.random(in: 0 ... .max)).R"
        try Data(script.utf8).write(to: URL(filePath: file))
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["Rscript", "--vanilla", file, directory]
        process.environment = ProcessInfo.processInfo.environment.merging(["LC_ALL": "C.UTF-8"]) { $1 }
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        if process.terminationStatus == 127 {
            throw Failure(description: "these tests need R: `make setup` installs r-base-core")
        }
        guard process.terminationStatus == 0 else { throw Failure(description: "R ended with \(process.terminationStatus): \(text)") }
        return text
    }
}

/// A directory that goes when the last who uses it does.
final class ScratchDirectory: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "rserialization-\(UUID().uuidString)").path(percentEncoded: false)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ bytes: [UInt8], to name: String) throws { try Data(bytes).write(to: URL(filePath: "\(path)/\(name)")) }
    func read(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(filePath: "\(path)/\(name)"))) }
}

/// Streams that R wrote, at the first use.
struct Fixtures: Sendable {
    struct Stream: Sendable {
        /// Name of the object, then version and order of bytes: `double.v3x` is XDR of version 3.
        var file: String
        var bytes: [UInt8]
        var object: String { String(file.prefix { $0 != "." }) }
    }

    let directory: ScratchDirectory
    let streams: [Stream]

    private static let shared = Result { try Fixtures() }

    /// - Throws: when R is missing or fails.
    static func all() throws -> Fixtures { try shared.get() }

    private init() throws {
        let directory = try ScratchDirectory()
        self.directory = directory
        _ = try RProgram.run(fixtureScript, directory: directory.path)
        let index = String(decoding: try directory.read("index.txt"), as: UTF8.self)
        streams = try index.split(separator: "\n").map { Stream(file: String($0), bytes: try directory.read(String($0))) }
    }

    func stream(_ file: String) throws -> [UInt8] {
        try #require(streams.first { $0.file == file }, "R wrote no \(file)").bytes
    }
}
