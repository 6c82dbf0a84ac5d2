import CRoostLinux
import Glibc
import RoostModel

/// How processes end.
///
/// ```
///   leader ends ──▶ drain ── both pipes at their end ──────────────────────────▶ finish
///                     └───── others of the group hold them: wait a moment ──▶ drain ┘
///   finish: SIGKILL to the group, then reap. In this order, because the unreaped leader keeps the group's
///   number from being given to somebody else.
/// ```
extension ReactorLoop {
    func leaderEnded(_ slot: Int) {
        children[slot].endMonotonic = Clock.monotonic()
        // A worker may have sent its last frame and left.
        while children[slot].frames?.input ?? -1 >= 0, framesReady(slot) {}
        if drain(slot) || shutDownDeadline != nil { return finish(slot) }
        // Others of its group have the pipes, and say with their closing that they have done.
        watchPipes(slot, at: children[slot].endMonotonic)
        // Its descriptor stays readable; it has nothing more to say.
        epoll_ctl(epoll, EPOLL_CTL_DEL, children[slot].pidfd, nil)
        lingering.append(
            Lingering(
                slot: slot, generation: children[slot].generation,
                deadline: children[slot].endMonotonic + Numbers.lingerNanoseconds))
    }

    /// Does what was put off until now.
    func deadlinesPassed() {
        guard !lingering.isEmpty || !unwatched.isEmpty || timers.next != nil else { return }
        let now = Clock.monotonic()
        expireLingering(now)
        watchDuePipes(at: now)
        for timer in timers.takeDue(at: now) { timer.perform(true) }
    }

    /// Ends the lingering processes whose pipes have closed or whose time is over.
    private func expireLingering(_ now: Int64) {
        lingering.removeAll { entry in
            let child = children[entry.slot]
            guard isAlive(entry) else { return true }
            let isDone = child.stdout.descriptor < 0 && child.stderr.descriptor < 0
            guard isDone || entry.deadline <= now || shutDownDeadline != nil else { return false }
            if !isDone { _ = drain(entry.slot) }
            finish(entry.slot)
            return true
        }
    }

    private func finish(_ slot: Int) {
        let pid = children[slot].pid
        kill(-pid, SIGKILL)
        var status: Int32 = 0
        var usage = rusage()
        let reaped = wait4(pid, &status, WNOHANG, &usage)
        let exit: ProcessEnd.Exit =
            if reaped != pid {
                .exited(-1)
            } else if status & 0x7f == 0 {
                .exited(status >> 8 & 0xff)
            } else {
                .signalled(status & 0x7f, coreDumped: status & 0x80 != 0)
            }
        let group = children[slot].memoryGroup
        let peak = group?.peakBytes ?? ownPeak.peakOfChild(kilobytes: UInt64(max(0, usage.ru_maxrss)))
        let end = ProcessEnd(
            exit: exit, startNanoseconds: children[slot].startNanoseconds,
            runNanoseconds: children[slot].endMonotonic - children[slot].startMonotonic,
            userMicroseconds: microseconds(usage.ru_utime), systemMicroseconds: microseconds(usage.ru_stime),
            peakMemoryBytes: peak, outOfMemoryKilled: wasKilledForMemory(slot, exit),
            stdout: children[slot].stdout.capture.captured, stderr: children[slot].stderr.capture.captured)
        events.append(.ended(token: children[slot].token, end))
        if let group {
            group.killAll()
            removeLater(group)
        }
        release(slot)
    }

    /// Gives back everything a reaped process held.
    func release(_ slot: Int) {
        closePipe(slot, .stdout)
        closePipe(slot, .stderr)
        closeFrames(slot)
        if children[slot].pidfd >= 0 { close(children[slot].pidfd) }
        guardLine?.unregister(children[slot].pid)
        slotOfToken[children[slot].token] = nil
        children[slot] = Child(generation: children[slot].generation)
        freeSlots.append(slot)
    }

    private func wasKilledForMemory(_ slot: Int, _ exit: ProcessEnd.Exit) -> Bool? {
        // The group is the process's own: any kill in it is meant.
        if let kills = children[slot].memoryGroup?.memoryKills { return kills > 0 }
        guard let before = children[slot].memoryKillsBefore else { return nil }
        // 137 is how a shell says that its command was killed so.
        let looksKilled = exit == .exited(137) || exit == .signalled(SIGKILL, coreDumped: false)
        guard looksKilled, !children[slot].killedByUs else { return false }
        return memoryKills.read().map { $0 > before }
    }

    private func microseconds(_ time: timeval) -> Int64 { Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_usec) }

    func send(_ signal: Int32, toToken token: UInt64) {
        guard let slot = slotOfToken[token] else { return }
        if signal == SIGKILL { children[slot].killedByUs = true }
        kill(-children[slot].pid, signal)
    }

    func shutDown() {
        guard shutDownDeadline == nil else { return }
        shutDownDeadline = Clock.monotonic() + Numbers.shutDownNanoseconds
        for token in slotOfToken.keys { send(SIGKILL, toToken: token) }
        expireLingering(Clock.monotonic())
    }

    /// Removes a memory group once its last process is gone; killed ones take a moment.
    func removeLater(_ group: MemoryGroup) {
        groupsToRemove.append(group)
        groupsToRemove.removeAll { $0.remove() }
    }
}
