import Glibc
import RoostModel
import RoostNode
import Synchronization

/// A directory that goes away with its test.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/roost-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw HarnessFailure(what: "mkdtemp", errno: errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Self.remove(path) }

    func file(_ name: String) -> String { path + "/" + name }

    func write(_ name: String, _ text: String, mode: mode_t = 0o644) {
        let file = open(file(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        let bytes = Array(text.utf8)
        _ = Glibc.write(file, bytes, bytes.count)
        close(file)
    }

    private static func remove(_ path: String) {
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name != "." && name != ".." { remove(path + "/" + name) }
            }
            closedir(directory)
            rmdir(path)
        } else {
            unlink(path)
        }
    }
}

struct HarnessFailure: Error {
    var what: String
    var errno: Int32
}

/// A reactor whose events a test reads one by one.
final class ReactorProbe: Sendable {
    let reactor: ProcessReactor
    private let events: AsyncStream<ProcessEvent>
    /// Last events of processes that nobody had asked for yet.
    private let results = Mutex<[UInt64: Result<ProcessEnd, HarnessFailure>]>([:])

    init(guardLine: GuardLine? = nil) throws {
        let (events, continuation) = AsyncStream<ProcessEvent>.makeStream()
        self.events = events
        reactor = try ProcessReactor(guardLine: guardLine) { for event in $0 { continuation.yield(event) } }
    }

    deinit { reactor.shutDown() }

    /// The next event of any process.
    func next() async -> ProcessEvent? {
        var iterator = events.makeAsyncIterator()
        return await iterator.next()
    }

    /// Reads on until `token` has ended or could not start.
    func end(of token: UInt64) async throws -> ProcessEnd {
        while true {
            if let result = results.withLock({ $0.removeValue(forKey: token) }) { return try result.get() }
            guard let event = await next() else { throw HarnessFailure(what: "no more events", errno: 0) }
            keep(event)
        }
    }

    private func keep(_ event: ProcessEvent) {
        switch event {
        case .ended(let token, let end): results.withLock { $0[token] = .success(end) }
        case .couldNotStart(let token, let error, let message):
            results.withLock { $0[token] = .failure(HarnessFailure(what: message, errno: error)) }
        default: break
        }
    }

    /// Reads on until `token` has written `text` to its standard output.
    func waitForOutput(_ text: String, of token: UInt64) async {
        var seen = ""
        while !seen.contains(text), let event = await next() {
            keep(event)
            if case .output(token, .stdout, _, let bytes) = event { seen += String(decoding: bytes, as: UTF8.self) }
        }
    }

    func run(_ request: ProcessRequest) async throws -> ProcessEnd {
        reactor.start(token: 1, request)
        return try await end(of: 1)
    }

    func shell(_ script: String) async throws -> ProcessEnd { try await run(.shell(script)) }
}

extension ProcessRequest {
    static let path = "PATH=/usr/local/bin:/usr/bin:/bin"

    static func shell(_ script: String, streams: Bool = false) -> ProcessRequest {
        ProcessRequest(arguments: ["sh", "-c", script], environment: [path], streamsOutput: streams)
    }

    static func command(_ words: String...) -> ProcessRequest {
        ProcessRequest(arguments: CStringBlock(words), environment: [path])
    }
}

extension CapturedOutput {
    var text: String { String(decoding: head + tail, as: UTF8.self) }
}

/// The `roost` program built beside the tests.
let roostBinary: String = {
    let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
    let directory = bundle.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    return directory.isEmpty ? "./roost" : directory + "/roost"
}()
