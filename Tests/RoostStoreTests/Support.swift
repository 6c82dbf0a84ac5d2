import Glibc
import RoostModel
import RoostScheduler
import RoostStore
import RoostWire

/// A fresh directory that goes, with all in it, when the test does.
final class TemporaryDirectory: Sendable {
    let path: String

    init() {
        path = "/tmp/roost-store-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        mkdir(path, 0o700)
    }

    deinit { Self.remove(path) }

    static func remove(_ directory: String) {
        for (name, isDirectory) in entries(directory) {
            if isDirectory { remove("\(directory)/\(name)") } else { unlink("\(directory)/\(name)") }
        }
        rmdir(directory)
    }

    static func entries(_ directory: String) -> [(name: String, isDirectory: Bool)] {
        guard let stream = opendir(directory) else { return [] }
        defer { closedir(stream) }
        var found: [(String, Bool)] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != "." && name != ".." { found.append((name, entry.pointee.d_type == UInt8(DT_DIR))) }
        }
        return found.sorted { $0.0 < $1.0 }
    }

    /// Every file below, by its path.
    static func files(_ directory: String) -> [String] {
        entries(directory).flatMap { name, isDirectory in
            isDirectory ? files("\(directory)/\(name)") : ["\(directory)/\(name)"]
        }
    }

    var database: String { "\(path)/pool.sqlite" }
    var payloadFiles: [String] { Self.files("\(path)/payloads") }

    func copy(to other: TemporaryDirectory) {
        func copy(_ from: String, _ to: String) {
            for (name, isDirectory) in Self.entries(from) {
                if isDirectory {
                    mkdir("\(to)/\(name)", 0o700)
                    copy("\(from)/\(name)", "\(to)/\(name)")
                } else {
                    File.write(File.read("\(from)/\(name)"), to: "\(to)/\(name)")
                }
            }
        }
        copy(path, other.path)
    }
}

enum File {
    static func read(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var status = stat()
        stat(path, &status)
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes.prefix(count))
    }

    static func write(_ bytes: [UInt8], to path: String) {
        unlink(path)
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress.map { $0 + written }, bytes.count - written) }
            if count <= 0 { break }
            written += count
        }
        close(file)
    }

    static func flip(_ path: String, byte: Int, bit: Int) {
        let file = open(path, O_RDWR)
        var value: UInt8 = 0
        pread(file, &value, 1, byte)
        value ^= 1 << UInt8(bit)
        pwrite(file, &value, 1, byte)
        close(file)
    }
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
struct Dice: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }
}

extension PoolDatabase {
    /// Commits one group, and waits until it is on the disk or failed.
    func write(_ writes: [StoreWrite]) async -> RoostError? {
        await withCheckedContinuation { continuation in commit(writes) { continuation.resume(returning: $0) } }
    }

    static func open(
        _ directory: TemporaryDirectory, fileBytes: Int = 2000, argumentBytes: Int = Limits.cachedArgumentBytes
    ) throws(RoostError) -> (store: PoolDatabase, pool: StoredPool) {
        var options = StoreOptions()
        options.fileBytes = fileBytes
        options.argumentBytes = argumentBytes
        return try open(directory: directory.path, pool: 7, options: options)
    }
}

/// Small things to write.
enum Sample {
    static func spec(_ id: UInt64, common: [UInt8] = []) -> JobSpec {
        JobSpec(id: JobID(rawValue: id), name: "job \(id)", runtime: .command, common: common, retention: .durable)
    }

    static func arguments(_ count: Int, bytes: Int = 20) -> PayloadArray {
        PayloadArray((0..<count).map { [UInt8](repeating: UInt8(truncatingIfNeeded: $0), count: bytes) })
    }

    static func outcomes(_ job: UInt64, first: TaskIndex, count: Int, bytes: Int = 8) -> OutcomeBatch {
        var batch = OutcomeBatch(job: JobID(rawValue: job), epoch: 1, node: "node")
        for task in first..<(first + UInt32(count)) {
            batch.append(
                task: task, attempt: 1, code: .succeeded,
                payload: [UInt8](repeating: UInt8(truncatingIfNeeded: task), count: bytes)[...])
        }
        return batch
    }

    static func granted(_ job: UInt64, _ first: TaskIndex, _ count: UInt32) -> StoreWrite {
        let run = AttemptRun(
            job: JobID(rawValue: job), epoch: 1, number: 1, tasks: TaskRange(first: first, count: count))
        return .task(JobID(rawValue: job), .granted(run, NodeID(rawValue: 5)))
    }

    /// A job of some tasks, half of them finished, with setup and a node; some payloads large.
    static func small(_ id: UInt64, number: UInt32) -> [StoreWrite] {
        var spec = spec(id, common: [UInt8](repeating: 9, count: id % 2 == 0 ? 100 : 5000))
        spec.session = SessionID(rawValue: id)
        spec.setup = 1
        let job = spec.id
        return [
            .setup(SetupEntry(session: spec.session, number: 1, payload: [1, 2, 3]), user: "ann"),
            .nodeJoined(NodeID(rawValue: id + 100), Incarnation(rawValue: 3), name: "node \(id)"),
            .opened(spec, number: number, user: "ann"),
            .appended(job, first: 0, arguments(10)), .appended(job, first: 10, arguments(4, bytes: 1000)),
            granted(id, 0, 14), .task(job, .outcomes(sequence: 0, outcomes(id, first: 0, count: 5))),
            .task(job, .outcomes(sequence: 1, outcomes(id, first: 10, count: 3, bytes: 900))),
            .task(job, .charged(9, failures: 0, crashes: 2, losses: 0, PostMortem(reason: "killed", signal: 9))),
        ]
    }
}
