import CRoostLinux
import Glibc
import RoostModel

/// The guard's side: waits until the agent is gone, and leaves nothing of it behind.
///
/// The process that calls this is the guard and does nothing else: it moves into its own session, ignores the
/// signals that stop agents, and closes every descriptor but `input`.
///
/// - Parameters:
///   - tag: what the agent's processes carry in `ROOST_GUARD`
///   - input: the read end of the agent's pipe
///   - onDeath: called when the agent died without saying goodbye, after its processes were killed
package func runGuard(tag: String, input: Int32, onDeath: () -> Void) {
    GuardProcess.detach(keeping: input)
    var roll = GuardRoll()
    let saidBye = roll.readToEnd(of: input)
    for group in roll.groups where group > 1 { kill(-group, SIGKILL) }
    TagSweep(tag: tag).killAll()
    if !saidBye { onDeath() }
}

/// The process groups that live, as the agent told.
///
/// Those with a lease it ends itself when that is over, should the agent be stopped and not do it: counted from when the
/// server last proved its contact, as the agent does, and a little longer.
struct GuardRoll {
    private(set) var groups: Set<Int32> = []
    /// In tenths of a second.
    private var leases: [Int32: Int64] = [:]
    private var provenAt: Int64?
    /// The agent goes first.
    private static let tenthsLater: Int64 = 2
    private var rest: [UInt8] = []
    private var saidBye = false
    /// How long the guard lets records pile up in the pipe, so that starts wake it ten times a second at most.
    private static let napMilliseconds: Int32 = 100

    /// Follows the records until the pipe closes. True: the agent said goodbye.
    mutating func readToEnd(of input: Int32) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        var isBusy = false
        while true {
            for group in takeExpired(at: Self.now()) where group > 1 { kill(-group, SIGKILL) }
            // Busy: only the closing wakes us, and the clock. Idle: the next record does.
            var waiting = pollfd(fd: input, events: isBusy ? 0 : Int16(POLLIN), revents: 0)
            if isBusy { poll(&waiting, 1, Self.napMilliseconds) }
            if waiting.revents == 0 {
                waiting.events = Int16(POLLIN)
                let idle = nextExpiry.map { Int32(clamping: max(0, $0 - Self.now()) * 100) } ?? -1
                let ready = poll(&waiting, 1, isBusy ? 0 : idle)
                isBusy = ready > 0
                if ready <= 0 { continue }
            }
            let count = read(input, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            if count <= 0 { return saidBye }
            take(buffer[..<count])
        }
    }

    /// CLOCK_BOOTTIME, in tenths of a second.
    private static func now() -> Int64 { RoostModel::Clock.now().nanoseconds / 100_000_000 }

    /// When the next lease is over; nil: there is none.
    var nextExpiry: Int64? {
        guard let provenAt else { return nil }
        return leases.values.min().map { provenAt + $0 + Self.tenthsLater }
    }

    /// The groups whose lease is over, each once.
    mutating func takeExpired(at now: Int64) -> [Int32] {
        guard let provenAt, !leases.isEmpty else { return [] }
        let expired = leases.filter { provenAt + $0.value + Self.tenthsLater <= now }.map(\.key)
        for group in expired { leases[group] = nil }
        return expired
    }

    mutating func take(_ bytes: ArraySlice<UInt8>) {
        rest += bytes
        let whole = rest.count / GuardRecord.size * GuardRecord.size
        for start in stride(from: 0, to: whole, by: GuardRecord.size) {
            guard let record = GuardRecord(rest[start..<start + GuardRecord.size]) else { continue }
            switch record.kind {
            case .started: groups.insert(record.group)
            case .ended:
                groups.remove(record.group)
                leases[record.group] = nil
            case .leased: leases[record.group] = record.lease == 0 ? nil : Int64(record.lease)
            case .proven: provenAt = Int64(UInt32(bitPattern: record.group))
            case .bye: saidBye = true
            }
        }
        rest.removeFirst(whole)
    }
}

/// What makes a process a guard.
enum GuardProcess {
    static func detach(keeping input: Int32) {
        // Started by `GuardLine` it leads a session already, and this says so with an error.
        setsid()
        for ignored in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU] {
            signal(ignored, SIG_IGN)
        }
        chdir("/")
        closeAll(but: input)
        // The out-of-memory killer should look elsewhere; only root may ask for that.
        _ = TextFile.write("-900", to: "/proc/self/oom_score_adj")
    }

    /// Output that a guard held open would never end for whoever reads the agent's.
    private static func closeAll(but input: Int32) {
        let devNull = open("/dev/null", O_RDWR)
        for standard in [Int32(0), 1, 2] where standard != input && devNull >= 0 { dup2(devNull, standard) }
        let kept = UInt32(max(input, 2))
        if input > 2 { closeRange(3, UInt32(input) - 1) }
        closeRange(kept + 1, UInt32.max)
    }

    private static func closeRange(_ first: UInt32, _ last: UInt32) {
        guard first <= last, roost_close_range(first, last) != 0 else { return }
        var limit = rlimit()
        let most =
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 ? min(limit.rlim_cur, 65536) : 65536
        for descriptor in first...max(first, min(last, UInt32(most))) { close(Int32(descriptor)) }
    }
}

/// Kills every process that carries a tag in its environment: what left its process group, and what was started in the
/// moment before the agent could register it.
///
/// A process that replaced its environment and left its group escapes; nothing short of a cgroup holds that one.
struct TagSweep {
    let tag: [UInt8]
    /// Processes may start others while we look: sweep until nobody is left, 100 times at most.
    private static let mostRounds = 100
    /// How long a round waits for the killed to go; one may be stuck in a dead network file system.
    private static let roundNanoseconds: Int64 = 100_000_000
    private static let mostEnvironment = 4 << 20

    init(tag: String) { self.tag = Array(tag.utf8) }

    /// True: none is left.
    @discardableResult
    func killAll() -> Bool {
        guard !tag.isEmpty else { return true }
        for _ in 0..<Self.mostRounds {
            var killed = killOnce()
            if killed.isEmpty { return true }
            let deadline = Clock.monotonic() + Self.roundNanoseconds
            for index in killed.indices where killed[index].fd >= 0 {
                poll(&killed[index], 1, Int32(max(0, deadline - Clock.monotonic()) / 1_000_000))
                close(killed[index].fd)
            }
        }
        return false
    }

    /// Sends SIGKILL to each process with the tag; answers what to wait for, one entry each.
    private func killOnce() -> [pollfd] {
        var killed: [pollfd] = []
        guard let directory = opendir("/proc") else { return killed }
        defer { closedir(directory) }
        let own = getpid()
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let pid = Int32(name), pid > 1, pid != own else { continue }
            // The pidfd comes first: the number may belong to another process by the time we kill.
            let pidfd = roost_pidfd_open(pid)
            guard carriesTag(pid) else {
                if pidfd >= 0 { close(pidfd) }
                continue
            }
            if pidfd < 0 { kill(pid, SIGKILL) } else { _ = roost_pidfd_send_signal(pidfd, SIGKILL) }
            killed.append(pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0))
        }
        return killed
    }

    private func carriesTag(_ pid: Int32) -> Bool {
        guard let environment = TextFile.bytes("/proc/\(pid)/environ", limit: Self.mostEnvironment) else {
            return false
        }
        return environment.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress, let name = Self.find(Array("ROOST_GUARD=".utf8), in: bytes) else {
                return false
            }
            // A nested agent's workers name several tags.
            let value = UnsafeRawBufferPointer(start: start + name, count: bytes.count - name).prefix { $0 != 0 }
            return Self.find(tag, in: UnsafeRawBufferPointer(rebasing: value)) != nil
        }
    }

    private static func find(_ needle: [UInt8], in bytes: UnsafeRawBufferPointer) -> Int? {
        guard let start = bytes.baseAddress, let hit = roost_find(start, bytes.count, needle, needle.count) else {
            return nil
        }
        return UnsafeRawPointer(hit) - start
    }
}
