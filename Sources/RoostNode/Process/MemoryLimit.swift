import Glibc
import Synchronization

/// How the memory of a process is limited.
package enum MemoryLimitMethod: Sendable, CustomStringConvertible {
    /// A cgroup of its own: counts the process with all it starts, and the kernel says when it killed.
    case cgroup
    /// RLIMIT_DATA: each process on its own; allocations beyond it fail.
    case dataSegment

    package var description: String {
        switch self {
        case .cgroup: "cgroup v2"
        case .dataSegment: "RLIMIT_DATA"
        }
    }
}

/// The directory under which limited processes get cgroups of their own, where the system lets us.
///
/// The v2 tree allows children with limits only in a group that has no processes itself. So where the group was handed
/// to us (systemd's `Delegate=`, or a container's own root) and holds only our processes, these move one level down,
/// and `agent` and the limited groups become siblings.
package struct MemoryGroups: Sendable {
    package static let shared: MemoryGroups? = MemoryGroups(
        cgroup: .current(), isPermitted: { access($0, W_OK) == 0 }, ownProcess: getpid())

    package let directory: String
    private static let count = Atomic<UInt64>(0)

    /// nil when there is no group, no memory controller or no permission. Nothing is changed then.
    package init?(cgroup: Cgroup, isPermitted: (String) -> Bool, ownProcess: Int32) {
        guard let directory = cgroup.unified else { return nil }
        let controllers = TextFile.text(directory + "/cgroup.controllers") ?? ""
        let enabled = TextFile.text(directory + "/cgroup.subtree_control") ?? ""
        guard controllers.split(whereSeparator: \.isWhitespace).contains("memory"),
            isPermitted(directory), isPermitted(directory + "/cgroup.procs"),
            isPermitted(directory + "/cgroup.subtree_control")
        else { return nil }
        self.directory = directory
        if enabled.split(whereSeparator: \.isWhitespace).contains("memory") { return }

        // Somebody else's processes are not ours to move: then the group was not handed to us.
        let procs = (TextFile.text(directory + "/cgroup.procs") ?? "").split(separator: "\n").compactMap { Int32($0) }
        guard procs.contains(ownProcess), procs.allSatisfy({ Self.isOurs($0, ownProcess) }) else { return nil }
        let agent = directory + "/agent-\(ownProcess)"
        guard mkdir(agent, 0o755) == 0 else { return nil }
        let moved = procs.allSatisfy { TextFile.write("\($0)", to: agent + "/cgroup.procs") == 0 }
        guard moved, TextFile.write("+memory", to: directory + "/cgroup.subtree_control") == 0 else {
            for process in procs { _ = TextFile.write("\(process)", to: directory + "/cgroup.procs") }
            rmdir(agent)
            return nil
        }
    }

    /// Ourselves, our guard, and workers that are running already.
    private static func isOurs(_ process: Int32, _ ownProcess: Int32) -> Bool {
        process == ownProcess
            || TextFile.text("/proc/\(process)/status")?.number(after: "PPid") == UInt64(ownProcess)
    }

    /// Makes a group with a limit; nil when the system refuses.
    func make(limitBytes: UInt64) -> MemoryGroup? {
        let number = Self.count.add(1, ordering: .relaxed).newValue
        let path = directory + "/worker-\(getpid())-\(number)"
        guard mkdir(path, 0o755) == 0 else { return nil }
        // Swap would only make the same end slower; not every kernel has the file.
        _ = TextFile.write("0", to: path + "/memory.swap.max")
        let procs = open(path + "/cgroup.procs", O_WRONLY | O_CLOEXEC)
        guard procs >= 0, TextFile.write("\(limitBytes)", to: path + "/memory.max") == 0 else {
            if procs >= 0 { close(procs) }
            rmdir(path)
            return nil
        }
        return MemoryGroup(path: path, procs: procs)
    }
}

/// The cgroup of one limited process.
struct MemoryGroup {
    let path: String
    /// The open cgroup.procs that the child writes itself into.
    let procs: Int32

    func closeProcs() { close(procs) }

    /// How many processes of the group the kernel killed for lack of memory.
    var memoryKills: UInt64? { TextFile.text(path + "/memory.events")?.number(after: "oom_kill") }

    /// The most memory the group had; nil before Linux 5.19.
    var peakBytes: UInt64? { TextFile.text(path + "/memory.peak").flatMap { UInt64($0.trimmedLine) } }

    /// Kills all its processes, also those that left the process group; before Linux 5.14 the guard does that later.
    func killAll() { _ = TextFile.write("1", to: path + "/cgroup.kill") }

    /// True: it is gone.
    func remove() -> Bool { rmdir(path) == 0 || errno == ENOENT }
}
