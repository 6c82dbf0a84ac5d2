import Glibc
import Roost
import RoostModel
import RoostWire

extension MapOutcome {
    /// The outcomes of a batch, as the session wants them.
    /// - Parameter isHere: whether they ran in this process: then the node has no name, as in GNU parallel's logs.
    static func outcomes(of batch: OutcomeBatch, isHere: Bool) -> [MapOutcome] {
        var outcomes: [MapOutcome] = []
        outcomes.reserveCapacity(batch.count)
        var position = 0
        for run in batch.tasks {
            for task in run.first..<run.end {
                outcomes.append(MapOutcome(batch, task: task, position: position, isHere: isHere))
                position += 1
            }
        }
        return outcomes
    }

    private init(_ batch: OutcomeBatch, task: TaskIndex, position: Int, isHere: Bool) {
        let code = batch.code(at: position)
        let postMortem = batch.postMortems.isEmpty ? nil : batch.postMortem(at: position)
        // What never ran returned nothing.
        let result = try? CommandResult(payload: batch.payloads[position])
        self.init(
            index: Int(task), attempt: Int(batch.attempt(at: position)), kind: code.kind,
            reason: postMortem?.reason ?? (code == .succeeded ? "" : Self.words(code.end)),
            host: isHere ? ":" : batch.node)
        if let result {
            startSeconds = Double(result.startNanoseconds) / 1e9
            runSeconds = Double(result.runNanoseconds) / 1e9
            signal = result.signal ?? 0
            exitStatus = result.exitStatus ?? 0
            stdout = result.stdout
            stderr = result.stderr
            slot = result.slot > 0 ? Int(result.slot) : nil
        }
        switch code.end {
        case .succeeded, .failed, .crashed: break
        case .couldNotStart:
            // Said where a shell would say it: with the task's other errors.
            if exitStatus == 0 { exitStatus = 127 }
            stderr = CapturedOutput(head: Array("roost: \(reason)\n".utf8))
        case .timedOut, .memoryExceeded, .cancelled, .reclaimed, .nodeLost, .neverRan:
            exitStatus = -1
        }
    }

    private static func words(_ end: AttemptEnd) -> String {
        switch end {
        case .succeeded: ""
        case .failed: "failed"
        case .crashed: "was killed"
        case .timedOut: "ran longer than its timeout"
        case .memoryExceeded: "went over its memory limit"
        case .couldNotStart: "could not be started"
        case .cancelled: "was cancelled"
        case .reclaimed: "its node was taken away"
        case .nodeLost: "its node was lost"
        case .neverRan: "was not run"
        }
    }
}
