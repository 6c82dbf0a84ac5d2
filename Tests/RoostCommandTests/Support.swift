import Glibc
import RoostCommand
import RoostModel
import Testing

/// Bytes of a text, for tests that speak bytes.
func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

/// Text of bytes; what is no UTF-8 shows as U+FFFD.
func text(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self) }

/// What a writer would have printed by now, and what it keeps for later.
struct Paper {
    private(set) var printed: [OutputChunk.Stream: [UInt8]] = [:]
    private var kept: [Int: [OutputChunk.Stream: [UInt8]]] = [:]

    mutating func take(_ writes: [OutputWrite]) {
        for write in writes {
            switch write.place {
            case .output: printed[write.stream, default: []] += write.bytes
            case .kept(let task): kept[task, default: [:]][write.stream, default: []] += write.bytes
            case .printKept(let task, let endsLine):
                let bytes = kept[task]?.removeValue(forKey: write.stream) ?? []
                #expect(!bytes.isEmpty && endsLine == (bytes.last == UInt8(ascii: "\n")))
                printed[write.stream, default: []] += bytes
            case .dropKept(let task): #expect(kept[task]?.removeValue(forKey: write.stream) != nil)
            }
        }
    }

    func text(_ stream: OutputChunk.Stream = .stdout) -> String { RoostCommandTests.text(printed[stream] ?? []) }
    var keepsNothing: Bool { kept.values.allSatisfy(\.isEmpty) }
}

/// A directory for one test, removed with everything in it when the test is over.
final class TemporaryDirectory {
    let path: String

    init() throws {
        var template = Array("/tmp/roost-test-XXXXXX".utf8CString)
        let made = mkdtemp(&template).map { String(cString: $0) }
        path = try #require(made, "a temporary directory can be made")
    }

    deinit { remove(path) }

    func write(_ name: String, _ content: [UInt8]) throws -> String {
        let file = "\(path)/\(name)"
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        #expect(Glibc.write(descriptor, content, content.count) == content.count)
        return file
    }

    func read(_ name: String) -> [UInt8]? {
        let descriptor = open("\(path)/\(name)", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var content = [UInt8](repeating: 0, count: 1 << 20)
        let count = Glibc.read(descriptor, &content, content.count)
        return count < 0 ? nil : Array(content[..<count])
    }

    private func remove(_ path: String) {
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != "." && name != ".." { remove("\(path)/\(name)") }
            }
            closedir(directory)
        }
        _ = Glibc.remove(path)
    }
}

/// All tasks that a command line makes, as `--dry-run` would print them.
func dryRun(_ arguments: [[UInt8]]) throws -> [[UInt8]] {
    let plan = try MapPlan(arguments: arguments, surroundings: .init())
    let reader = try MapTaskReader(plan)
    var lines: [[UInt8]] = []
    while let task = try reader.next() {
        lines.append(plan.template.line(values: task.input.values, sequence: task.input.sequence))
    }
    return lines
}

func dryRun(_ arguments: String...) throws -> [String] { try dryRun(arguments.map(bytes)).map(text) }
