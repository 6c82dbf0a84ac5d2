import CRoostLinux
import RoostModel

/// The limit of memory under which a worker runs the tasks of one job, and what it said when it met it.
enum ProcessMemory {
    /// However small the limit, R has room to say that it met it, in bytes.
    private static let least: UInt64 = 16 << 20

    /// Sets how much data memory the process may have in all (RLIMIT_DATA): what it asks for beyond that it does not get, and R makes
    /// an error of that. What it has already it keeps. 0: no limit.
    static func limit(_ processID: Int32, to bytes: Int64) {
        guard processID > 0 else { return }
        guard bytes > 0 else {
            _ = roost_limit_data(processID, 0)
            return
        }
        let now = (TextFile.text("/proc/\(processID)/status")?.number(after: "VmData") ?? 0) << 10
        _ = roost_limit_data(processID, max(UInt64(bytes), now + least))
    }
}

extension OutcomeBatch {
    /// Tasks that R refused memory went over their limit.
    mutating func noteMemoryLimit(_ bytes: Int64) {
        for index in postMortems.indices {
            let reason = postMortems[index].postMortem.reason
            guard reason.hasPrefix("cannot allocate") || reason.contains("std::bad_alloc") else { continue }
            postMortems[index].postMortem.reason = "\(reason); the task's memory limit is \(bytes >> 20) MiB"
            let position = Int(postMortems[index].position)
            if position < codes.count { codes[position] = OutcomeCode(.failed, .memoryExceeded) }
        }
    }
}

/// What R prints when a signal catches it, before its traceback.
enum CaughtSignal {
    private static let mark = Array("*** caught ".utf8)
    private static let most = 200

    /// `*** caught segfault ***` and the line behind it, which says the address; nil when there is no such thing.
    static func line(in bytes: [UInt8]) -> String? {
        let found = bytes.withUnsafeBytes { bytes -> Int? in
            guard let base = bytes.baseAddress, let place = roost_find(base, bytes.count, Self.mark, Self.mark.count) else { return nil }
            return base.distance(to: place)
        }
        guard let found else { return nil }
        let lines = bytes[found...].prefix(most).split(separator: UInt8(ascii: "\n")).prefix(2)
        return lines.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
    }
}
