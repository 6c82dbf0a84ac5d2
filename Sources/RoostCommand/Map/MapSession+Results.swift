import RoostModel

extension MapSession {
    /// Completes a task's results files: what came while it ran is there already; `seq` comes last and says that
    /// the others are complete.
    mutating func writeResults(
        _ outcome: MapOutcome, _ task: Pending, _ layout: ResultsLayout, into actions: inout [MapAction]
    ) {
        var isWhole = true
        for (stream, file, captured) in [
            (OutputChunk.Stream.stdout, ResultsLayout.File.stdout, outcome.stdout),
            (.stderr, .stderr, outcome.stderr),
        ] {
            let path = layout.path(of: file, values: task.values, sequence: task.sequence)
            let streamed = task.streamedAttempt == outcome.attempt ? task.streamed[stream] ?? 0 : 0
            if streamed > 0 && streamed == captured.count { continue }
            if captured.omittedBytes == 0 {
                actions.append(.writeResult(path: path, offset: 0, bytes: captured.head + captured.tail))
                continue
            }
            // Nobody has the middle, unless it was streamed: write what there is at its place.
            if streamed < captured.head.count {
                let rest = Array(captured.head[streamed...])
                actions.append(.writeResult(path: path, offset: streamed, bytes: rest))
            }
            let tailStart = captured.count - captured.tail.count
            let missing = tailStart - max(streamed, captured.head.count)
            if missing > 0 {
                isWhole = false
                overridingStatus = .roostFailed
                let file = String(decoding: path, as: UTF8.self)
                note("task \(task.sequence): \(missing) bytes of its output are missing in \(file)", into: &actions)
            }
            if streamed < captured.count {
                let skipped = max(0, streamed - tailStart)
                actions.append(
                    .writeResult(path: path, offset: tailStart + skipped, bytes: Array(captured.tail[skipped...])))
            }
        }
        // Without `seq` a resumed run does the task again.
        guard isWhole else { return }
        let path = layout.path(of: .sequence, values: task.values, sequence: task.sequence)
        actions.append(.writeResult(path: path, offset: 0, bytes: [UInt8]("\(task.sequence)")))
    }
}
