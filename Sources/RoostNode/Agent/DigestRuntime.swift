import RoostModel

/// Runs digest tasks where they stand: inside the agent, a batch at a time.
enum DigestRuntime {
    static func run(_ start: WorkerStart) -> OutcomeBatch {
        let began = RoostModel::Clock.now()
        var batch = OutcomeBatch(job: start.job.id, epoch: start.epoch)
        let slice = start.arguments
        batch.payloads.reserve(payloads: slice.count, bytes: 8 * slice.count)
        var task = start.tasks.first
        for offset in 0..<slice.count {
            batch.append(task: task, attempt: start.attempt, littleEndian: Digest.of(slice[offset]))
            task += 1
        }
        batch.runNanoseconds = UInt64(max(0, (RoostModel::Clock.now() - began).wholeNanoseconds))
        return batch
    }
}
