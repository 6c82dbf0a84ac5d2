import NIOCore
import RoostModel
import RoostScheduler
import RoostWire

/// Facts as rows of the table `facts`: what kind of fact, and its content.
enum FactForm {
    enum Kind: Int64 {
        case granted = 1, outcomes, charged, reopened, cancelRequested
    }

    static func encode(_ fact: TaskFact) -> (kind: Kind, content: ByteBuffer) {
        switch fact {
        case .granted(let attempts, let node): (.granted, StoredForm.encode(attempts, node: node))
        case .outcomes(let sequence, let batch): (.outcomes, StoredForm.encode(batch, sequence: sequence))
        case .charged(let task, let failures, let crashes, let losses, let postMortem):
            (.charged, StoredForm.encode(charge(task, failures, crashes, losses, postMortem)))
        case .reopened(let ranges): (.reopened, StoredForm.encode(ranges))
        case .cancelRequested(let ranges): (.cancelRequested, StoredForm.encode(ranges))
        }
    }

    /// Payloads of outcomes are empty; there are as many as there were.
    static func decode(_ kind: Kind, _ content: ByteBuffer) throws(WireFault) -> TaskFact {
        switch kind {
        case .granted:
            let (attempts, node) = try StoredForm.granted(content)
            return .granted(attempts, node)
        case .outcomes:
            let (sequence, batch) = try StoredForm.outcomes(content)
            return .outcomes(sequence: sequence, batch)
        case .charged:
            let charge = try StoredForm.charge(content)
            return .charged(
                charge.task, failures: charge.failures, crashes: charge.crashes, losses: charge.losses, charge.postMortem)
        case .reopened: return .reopened(try StoredForm.ranges(content))
        case .cancelRequested: return .cancelRequested(try StoredForm.ranges(content))
        }
    }

    private static func charge(
        _ task: TaskIndex, _ failures: UInt8, _ crashes: UInt8, _ losses: UInt8, _ postMortem: PostMortem?
    ) -> StoredForm.Charge {
        var charge = StoredForm.Charge()
        charge.task = task
        charge.failures = failures
        charge.crashes = crashes
        charge.losses = losses
        charge.postMortem = postMortem
        return charge
    }
}
