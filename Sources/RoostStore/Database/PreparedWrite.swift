import NIOCore
import RoostModel
import RoostScheduler
import RoostWire

/// A ``StoreWrite`` with everything encoded, so that the transaction that writes it has only rows to write.
enum PreparedWrite {
    case opened(JobID, number: UInt32, user: String, spec: ByteBuffer, common: StoredBody)
    case appended(JobID, first: TaskIndex, StoredBody)
    case changed(JobID, JobStanding)
    case fact(JobID, FactForm.Kind, ByteBuffer)
    case outcomes(JobID, sequence: UInt64, ByteBuffer, StoredBody)
    case forgotten(JobID)
    case setup(SessionID, number: UInt32, user: String, StoredBody)
    case sessionForgotten(SessionID)
    case nodeJoined(NodeID, Incarnation, name: String)
    case nodeGone(NodeID)
}

/// What goes into one transaction: rows, and the files that must be there before them.
struct PreparedGroup {
    private(set) var writes: [PreparedWrite] = []
    private(set) var files: [PayloadName: ByteBuffer] = [:]

    mutating func add(_ write: StoreWrite, fileBytes: Int) {
        switch write {
        case .opened(let spec, let number, let user):
            let common = body(ByteBuffer(bytes: spec.common), fileBytes)
            writes.append(.opened(spec.id, number: number, user: user, spec: StoredForm.encode(spec), common: common))
        case .appended(let job, let first, let arguments):
            writes.append(.appended(job, first: first, body(StoredForm.encode(arguments), fileBytes)))
        case .changed(let job, let standing): writes.append(.changed(job, standing))
        case .task(let job, let fact):
            let (kind, content) = FactForm.encode(fact)
            if case .outcomes(let sequence, let batch) = fact {
                let payloads = body(StoredForm.encode(batch.payloads), fileBytes)
                writes.append(.outcomes(job, sequence: sequence, content, payloads))
            } else {
                writes.append(.fact(job, kind, content))
            }
        case .forgotten(let job): writes.append(.forgotten(job))
        case .setup(let entry, let user):
            let payload = body(ByteBuffer(bytes: entry.payload), fileBytes)
            writes.append(.setup(entry.session, number: entry.number, user: user, payload))
        case .sessionForgotten(let session): writes.append(.sessionForgotten(session))
        case .nodeJoined(let node, let incarnation, let name):
            writes.append(.nodeJoined(node, incarnation, name: name))
        case .nodeGone(let node): writes.append(.nodeGone(node))
        }
    }

    private mutating func body(_ content: ByteBuffer, _ fileBytes: Int) -> StoredBody {
        guard content.readableBytes > fileBytes else { return .inline(content) }
        let name = PayloadName(of: content)
        files[name] = content
        return .file(name, bytes: content.readableBytes)
    }
}

extension StoreWrite {
    /// Roughly how many payload bytes it brings.
    var payloadBytes: Int {
        switch self {
        case .opened(let spec, _, _): spec.common.count
        case .appended(_, _, let arguments): arguments.bytes.count
        case .task(_, .outcomes(_, let batch)): batch.payloads.bytes.count
        case .setup(let entry, _): entry.payload.count
        case .task, .changed, .forgotten, .sessionForgotten, .nodeJoined, .nodeGone: 0
        }
    }
}
