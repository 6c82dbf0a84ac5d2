import Glibc
import RoostModel
import RoostScheduler
import Testing

/// A million queued tasks with arguments of 100 bytes fit into 250 MB; when those are left on disk, into 60.
@Suite struct MemoryTests {
    @Test func aMillionQueuedTasksFit() async {
        // A process of its own, so that nothing else grows or shrinks meanwhile.
        await #expect(processExitsWith: .success) {
            let before = residentBytes()
            var scheduler = Scheduler(SchedulerConfiguration(), at: .zero)
            queueAMillion(&scheduler, .attached)
            let grown = residentBytes() - before
            exit(scheduler.jobs.count == 1 && grown > 100_000_000 && grown < 250_000_000 ? 0 : 1)
        }
    }

    @Test func aMillionDurableTasksLeaveTheirArgumentsOnDisk() async {
        await #expect(processExitsWith: .success) {
            let before = residentBytes()
            var configuration = SchedulerConfiguration()
            configuration.hasStore = true
            configuration.cachedArgumentBytes = 10_000_000
            var scheduler = Scheduler(configuration, at: .zero)
            queueAMillion(&scheduler, .durable)
            let grown = residentBytes() - before
            exit(scheduler.jobs.count == 1 && grown > 10_000_000 && grown < 60_000_000 ? 0 : 1)
        }
    }
}

private func queueAMillion(_ scheduler: inout Scheduler, _ retention: Retention) {
    let connection = ConnectionID(rawValue: 1)
    let spec = JobSpec(id: JobID(rawValue: 1), runtime: .command, retention: retention)
    var effects = Effects()
    scheduler.apply(
        .clientConnected(
            connection, Principal(role: .client, user: "ann"), ClientHello(session: SessionID(rawValue: 1)), peer: ""),
        at: .zero, into: &effects)
    scheduler.apply(.clientSaid(connection, .submit(spec)), at: .zero, into: &effects)
    let chunk = 1000
    for first in stride(from: 0, to: 1_000_000, by: chunk) {
        var payloads = PayloadArray()
        for task in first..<(first + chunk) { payloads.append([UInt8](repeating: UInt8(task & 255), count: 100)) }
        scheduler.apply(
            .clientSaid(
                connection,
                .append(AppendTasks(job: spec.id, first: TaskIndex(first), arguments: PayloadSlice(payloads)))),
            at: .zero, into: &effects)
        scheduler.settle(at: .zero, into: &effects)
        effects.removeAll()
    }
}

/// What this process holds in memory, as the kernel counts it.
private func residentBytes() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var buffer = [UInt8](repeating: 0, count: 256)
    let count = fread(&buffer, 1, buffer.count, file)
    let fields = String(decoding: buffer[0..<count], as: UTF8.self).split(separator: " ")
    guard fields.count > 1, let pages = Int(fields[1]) else { return 0 }
    return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
}
