import Foundation
import Glibc
import Testing

/// A process of a test: the `roost` that was built beside the tests, its output in files, ended by its id.
final class RoostProcess: @unchecked Sendable {
    // `Process` is used by one test at a time; only `processIdentifier` and `isRunning` are read elsewhere.
    private let process = Process()
    private let outputFile: String
    private let errorFile: String
    let arguments: [String]

    /// The program under test.
    static let executable: String = {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("roost").path
    }()

    /// - Parameters:
    ///   - program: Another one than `roost`, found in the PATH.
    ///   - prefix: What starts the program: `nsenter` and its arguments, say. It must become it.
    init(
        _ arguments: [String], program: String? = nil, within prefix: [String] = [], input: Pipe? = nil,
        environment: [String: String], directory: String, name: String
    ) throws {
        self.arguments = arguments
        outputFile = "\(directory)/\(name).out"
        errorFile = "\(directory)/\(name).err"
        for file in [outputFile, errorFile] {
            guard FileManager.default.createFile(atPath: file, contents: nil) else {
                throw Trouble(description: "cannot make \(file)")
            }
        }
        let isPlain = program == nil && prefix.isEmpty
        process.executableURL = URL(fileURLWithPath: isPlain ? Self.executable : "/usr/bin/env")
        process.arguments = isPlain ? arguments : prefix + [program ?? Self.executable] + arguments
        process.environment = environment
        process.currentDirectoryURL = URL(fileURLWithPath: directory)
        if let input { process.standardInput = input } else { process.standardInput = FileHandle.nullDevice }
        // Closed here and now: left to their ends, a thousand processes later they are a thousand descriptors.
        let files = [outputFile, errorFile].compactMap { FileHandle(forWritingAtPath: $0) }
        defer { for file in files { try? file.close() } }
        (process.standardOutput, process.standardError) = (files.first, files.last)
        try process.run()
    }

    var pid: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }
    var output: String { Self.text(outputFile) }
    var errors: String { Self.text(errorFile) }

    private static func text(_ path: String) -> String {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }

    /// The exit status of a process that has ended, as ``status(within:)`` gives it.
    var ended: Int32 {
        process.terminationReason == .uncaughtSignal ? 128 + process.terminationStatus : process.terminationStatus
    }

    func removeFiles() {
        for file in [outputFile, errorFile] { unlink(file) }
    }

    func signal(_ signal: Int32) { if isRunning { kill(pid, signal) } }

    /// The exit status; 128 and the signal's number for a process that a signal ended.
    func status(within limit: Duration = .seconds(60)) async throws -> Int32 {
        try await eventually("\(arguments.joined(separator: " ")) ends", within: limit) { !self.isRunning }
        process.waitUntilExit()
        return ended
    }

    /// Ends it whatever it does.
    func end() {
        guard isRunning else { return }
        kill(pid, SIGCONT)
        kill(pid, SIGKILL)
        process.waitUntilExit()
    }
}

/// What a test cannot go on after.
struct Trouble: Error, CustomStringConvertible {
    var description: String
}

/// Waits until a condition holds: looks again and again, and gives up after a time no healthy machine needs.
func eventually(
    _ what: String, within limit: Duration = .seconds(60), _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < end else { throw Trouble(description: "not within \(limit): \(what)") }
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// The processes of this machine that carry a mark in their command line or environment.
enum Marked {
    static func processes(_ mark: String) -> [Int32] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap { Int32($0) }.filter { pid in
            guard pid != getpid() else { return false }
            return ["cmdline", "environ"].contains { file in
                guard let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/\(file)") else { return false }
                return bytes.range(of: Data(mark.utf8)) != nil
            }
        }
    }
}
