import Glibc

/// How often the kernel has killed for lack of memory around here: in our cgroup where it counts, else on the machine.
struct OutOfMemoryCounter {
    private let file: String?
    private var last: UInt64?
    private var lastReadAt = Int64.min
    /// A process's "before" may be this old, so that 10,000 starts a second do not read the file 10,000 times.
    private static let freshNanoseconds: Int64 = 1_000_000_000

    init(cgroup: Cgroup = .current()) {
        var candidates: [String] = []
        if let directory = cgroup.unified { candidates.append(directory + "/memory.events") }
        if let place = cgroup.controllers["memory"] { candidates.append(place.directory + "/memory.oom_control") }
        candidates.append("/proc/vmstat")
        file = candidates.first { Self.count(in: $0) != nil }
    }

    /// The count now.
    mutating func read() -> UInt64? {
        last = file.flatMap(Self.count)
        return last
    }

    /// The count at most a second ago.
    mutating func recent(now: Int64) -> UInt64? {
        if last == nil || now - lastReadAt > Self.freshNanoseconds {
            lastReadAt = now
            return read()
        }
        return last
    }

    private static func count(in file: String) -> UInt64? { TextFile.text(file)?.number(after: "oom_kill") }
}

/// The agent's own peak memory, which hides in every child's.
///
/// The kernel starts the count of a new program with the peak of the memory it left, and a child leaves its
/// parent's. So a number not above ours says nothing about the child.
struct OwnPeakMemory {
    private var peakKilobytes: UInt64 = 0
    /// The kernel adds up its counters per CPU, roughly.
    private static let marginKilobytes: UInt64 = 4096

    mutating func peakOfChild(kilobytes: UInt64) -> UInt64? {
        // Small programs, the many, stop here; ours only grows.
        if kilobytes <= peakKilobytes + Self.marginKilobytes { return nil }
        peakKilobytes = TextFile.text("/proc/self/status")?.number(after: "VmHWM") ?? 0
        return kilobytes > peakKilobytes + Self.marginKilobytes ? kilobytes * 1024 : nil
    }
}
