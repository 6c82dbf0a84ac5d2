import Glibc
import Roost
import RoostEmbedded
import RoostModel
import Synchronization
import Testing

/// An embedded pool for the time of a test, closed however the test ends.
func withPool<Result>(slots: Int = 2, _ body: (Pool) async throws -> Result) async throws -> Result {
    let pool = try await Pool.embedded(slots: slots)
    do {
        let result = try await body(pool)
        await pool.close()
        return result
    } catch {
        await pool.close()
        throw error
    }
}

/// A directory that goes with the test.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/roost-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw RoostError(.io, "cannot make a directory below /tmp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        guard let directory = opendir(path) else { return }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { unlink("\(path)/\(name)") }
        }
        closedir(directory)
        rmdir(path)
    }
}

/// A gate that tasks wait at until the test opens it: `read < GATE` in a shell returns when ``open()`` was called.
///
/// A named pipe: no polling, and nothing that depends on how fast the machine is.
final class Gate: Sendable {
    let path: String
    private let descriptor: Int32
    private let directory: TemporaryDirectory

    init(_ name: String, in directory: TemporaryDirectory) throws {
        path = "\(directory.path)/\(name)"
        self.directory = directory
        guard mkfifo(path, 0o600) == 0 else { throw RoostError(.io, "cannot make a named pipe") }
        // Reading and writing: opening waits for nobody.
        descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw RoostError(.io, "cannot open a named pipe") }
    }

    /// A shell command that waits at the gate.
    var wait: String { "read gate < \(path)" }

    /// Lets so many tasks through.
    func open(times: Int = 1) {
        let lines = Array(String(repeating: "go\n", count: times).utf8)
        precondition(write(descriptor, lines, lines.count) == lines.count, "a pipe takes a few bytes at once")
    }

    deinit { close(descriptor) }
}

/// Processes of this machine whose command line contains a text that no other has.
func processes(mentioning text: String) -> [Int32] {
    guard let directory = opendir("/proc") else { return [] }
    defer { closedir(directory) }
    var found: [Int32] = []
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        guard let pid = Int32(name), let file = fopen("/proc/\(pid)/cmdline", "r") else { continue }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = fread(&bytes, 1, bytes.count, file)
        fclose(file)
        if String(decoding: bytes[..<count], as: UTF8.self).contains(text) { found.append(pid) }
    }
    return found
}

/// Waits until no process mentions the text: a kill that was sent takes the kernel a moment, and nobody is told
/// when a grandchild is gone. A process that stays is ended by the suite's time limit.
func noProcess(mentions text: String) async throws -> Bool {
    while !processes(mentioning: text).isEmpty { try await Task.sleep(for: .milliseconds(2)) }
    return true
}

/// What a handler was told, for the test to look at.
final class Record<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])
    private let told = AsyncStream<Element>.makeStream()

    func note(_ element: Element) {
        elements.withLock { $0.append(element) }
        told.continuation.yield(element)
    }

    var all: [Element] { elements.withLock { $0 } }

    /// Waits until something was noted that the test waits for.
    func first(where isWanted: (Element) -> Bool) async -> Element? {
        for await element in told.stream where isWanted(element) { return element }
        return nil
    }
}

extension JobHandle {
    /// All outcomes, in the order in which they come.
    func collect() async throws -> [TaskOutcome] {
        var outcomes: [TaskOutcome] = []
        for try await outcome in results { outcomes.append(outcome) }
        return outcomes
    }
}
