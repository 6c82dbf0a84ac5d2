import CRoostLinux
import Glibc

/// How much of the machine is ours: what the scheduler and the cgroups really grant, not what the board has.
package enum AvailableCPUs {
    /// How many workers can run at once without sharing a CPU: at least one.
    package static func slots() -> Int {
        let affinity = Int(roost_affinity_count())
        let online = affinity > 0 ? affinity : max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        return slots(affinity: online, quotas: quotas(of: .current()))
    }

    /// The memory we may use, in bytes: the machine's, or the tightest limit of our groups.
    package static func memoryBytes() -> UInt64 {
        let machine = (TextFile.text("/proc/meminfo") ?? "").number(after: "MemTotal").map { $0 * 1024 } ?? 0
        return memory(machine: machine, limits: memoryLimits(of: .current()))
    }

    // MARK: Pure parts

    /// The smaller of affinity and quotas (in CPUs), a part of a CPU rounded up to a slot.
    package static func slots(affinity: Int, quotas: [Double]) -> Int {
        var slots = affinity
        // A quota of 2.0000001 CPUs is somebody's rounding, not a third slot.
        for quota in quotas { slots = min(slots, Int((quota - 1e-6).rounded(.up))) }
        return max(1, slots)
    }

    package static func memory(machine: UInt64, limits: [UInt64]) -> UInt64 {
        ([machine].filter { $0 > 0 } + limits).min() ?? 0
    }

    /// CPUs granted by the text of a v2 `cpu.max`: `quota period`, or `max period`.
    package static func quota(cpuMax text: String) -> Double? {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 2, let quota = Double(words[0]), let period = Double(words[1]) else { return nil }
        return quota > 0 && period > 0 ? quota / period : nil
    }

    /// CPUs granted by the texts of v1's `cpu.cfs_quota_us` (-1: no limit) and `cpu.cfs_period_us`.
    package static func quota(cfsQuota: String, cfsPeriod: String) -> Double? {
        quota(cpuMax: cfsQuota.trimmedLine + " " + cfsPeriod.trimmedLine)
    }

    /// Bytes allowed by the text of v2's `memory.max` or v1's `memory.limit_in_bytes`.
    package static func memoryLimit(_ text: String) -> UInt64? {
        // v1 writes "no limit" as the largest page-aligned number it knows.
        guard let bytes = UInt64(text.trimmedLine), bytes > 0, bytes < 1 << 60 else { return nil }
        return bytes
    }

    // MARK: Reading

    private static func quotas(of cgroup: Cgroup) -> [Double] {
        var quotas: [Double] = []
        if let directory = cgroup.unified, let root = cgroup.unifiedRoot {
            for level in Cgroup.chain(from: directory, upTo: root) {
                if let quota = TextFile.text(level + "/cpu.max").flatMap(quota(cpuMax:)) { quotas.append(quota) }
            }
        }
        if let place = cgroup.controllers["cpu"] {
            for level in Cgroup.chain(from: place.directory, upTo: place.root) {
                guard let quotaText = TextFile.text(level + "/cpu.cfs_quota_us"),
                    let period = TextFile.text(level + "/cpu.cfs_period_us")
                else { continue }
                if let quota = quota(cfsQuota: quotaText, cfsPeriod: period) { quotas.append(quota) }
            }
        }
        return quotas
    }

    private static func memoryLimits(of cgroup: Cgroup) -> [UInt64] {
        var files: [String] = []
        if let directory = cgroup.unified, let root = cgroup.unifiedRoot {
            files += Cgroup.chain(from: directory, upTo: root).map { $0 + "/memory.max" }
        }
        if let place = cgroup.controllers["memory"] {
            files += Cgroup.chain(from: place.directory, upTo: place.root).map { $0 + "/memory.limit_in_bytes" }
        }
        return files.compactMap { TextFile.text($0).flatMap(memoryLimit) }
    }
}

extension String {
    /// The text without the spaces and line ends around it.
    var trimmedLine: String {
        let start = drop(while: \.isWhitespace)
        return String(start.reversed().drop(while: \.isWhitespace).reversed())
    }
}
