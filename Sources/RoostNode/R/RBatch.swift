import RSerialization
import RoostModel

/// Tasks on their way into a worker and back.
enum RBatch {
    /// Kinds of frames, both ways; docs/r-worker.md.
    enum ToWorker { static let (job, run, forget, setup, setupFile) = (1, 2, 3, 4, 5) }
    enum FromWorker { static let (ready, done, condition, settled) = (1, 2, 3, 4) }

    /// The frame that has a worker run these tasks: what they need, and the list of their arguments.
    static func frame(_ start: WorkerStart, handle: Int32) throws(RoostError) -> WorkerFrame {
        var seeds: [Int32] = []
        var elements = RJoiner()
        elements.reserveCapacity(start.arguments.byteCount + 64)
        do throws(RSerializationError) {
            for position in 0..<start.arguments.count {
                let payload = start.arguments[position]
                guard let argument = RTaskPayload.Argument(payload) else {
                    throw RSerializationError(.malformed, "no argument of an R task")
                }
                if let seed = argument.seed { seeds += seed.integers }
                try elements.append(payload[argument.item])
            }
            var control = RJoiner()
            try control.append(RItem.integers([handle]))
            try control.append(seeds.count == 6 * start.arguments.count ? RItem.integers(seeds) : RItem.null)
            try control.append(RItem.logicals([start.streams || start.job.streamsConditions]))
            return WorkerFrame(kind: ToWorker.run, first: try control.finish(), second: try elements.finish())
        } catch {
            throw RoostError(.usage, "the argument of a task is no R object", cause: "\(error)")
        }
    }

    /// A frame whose first stream is a list of one number and these items.
    static func control(_ kind: Int, _ number: Int32, path: String? = nil, second: [UInt8] = []) -> WorkerFrame {
        do throws(RSerializationError) {
            var list = RJoiner()
            try list.append(RItem.integers([number]))
            if let path { try list.append(RItem.strings([path])) }
            return WorkerFrame(kind: kind, first: try list.finish(), second: second)
        } catch {
            preconditionFailure("our own items can be joined: \(error)")
        }
    }

    /// What the worker that says that it is ready calls its `tempdir()`.
    static func temporaryDirectory(_ frame: WorkerFrame) -> String? {
        guard case .list(let facts) = try? RValue(stream: frame.first), facts.elements.count >= 4,
            case .string(let directory) = facts.elements[3]
        else { return nil }
        return directory.elements.first?.text
    }

    /// Outcomes of all tasks of a batch, from what the worker answered.
    /// - Parameter printed: what a task that ran alone printed.
    static func outcomes(
        of start: WorkerStart, _ frame: WorkerFrame, printed: CapturedOutput?, node: String, nanoseconds: UInt64
    ) throws(RoostError) -> OutcomeBatch {
        do throws(RSerializationError) {
            return try read(start, frame, printed, node, nanoseconds)
        } catch {
            throw RoostError(.protocolViolation, "the worker's answer cannot be read", cause: "\(error)")
        }
    }

    private static func read(
        _ start: WorkerStart, _ frame: WorkerFrame, _ printed: CapturedOutput?, _ node: String, _ nanoseconds: UInt64
    ) throws(RSerializationError) -> OutcomeBatch {
        var cutter = try RCutter(frame.first)
        let values = try cutter.cut()
        // A worker may leave the last tasks of a batch undone.
        guard (1...start.arguments.count).contains(values.count) else {
            throw RSerializationError(.outOfRange, "\(values.count) values for \(start.arguments.count) tasks")
        }
        let report = try Report(frame.second, tasks: values.count)
        var batch = OutcomeBatch(job: start.job.id, epoch: start.epoch)
        batch.runNanoseconds = nanoseconds
        batch.payloads.reserve(payloads: values.count, bytes: values.bytes.count + values.count)
        for position in 0..<values.count {
            let value = values[position]
            let detail = report?.detail(of: position)
            let reason = report?.reason(of: position)
            batch.append(
                task: start.tasks.first + UInt32(position), attempt: start.attempt,
                code: reason == nil ? .succeeded : OutcomeCode(.failed, .failed),
                postMortem: reason.map { PostMortem(reason: $0, node: node, attempt: start.attempt) }
            ) { bytes in
                if let printed, printed.totalBytes > 0 { RTaskPayload.append(output: printed.shown, to: &bytes) }
                if let detail {
                    RTaskPayload.append(value: reason == nil ? value : nil, details: detail, to: &bytes)
                } else {
                    RTaskPayload.append(value: value, to: &bytes)
                }
            }
        }
        return batch
    }

    /// What a worker says of tasks that have something to say.
    private struct Report {
        /// Where in `items` a task's detail stands, by its position.
        private var index: [Int: Int] = [:]
        private var reasons: [Int: String] = [:]
        private let items: RItems

        /// nil for an empty stream.
        init?(_ stream: [UInt8], tasks: Int) throws(RSerializationError) {
            guard !stream.isEmpty else { return nil }
            var cutter = try RCutter(stream)
            items = try cutter.cut()
            guard items.count >= 2, case .integer(let positions) = try RValue(item: items[0]),
                case .string(let reasons) = try RValue(item: items[1]), positions.elements.count == items.count - 2,
                reasons.elements.count == items.count - 2
            else { throw RSerializationError(.outOfRange, "a report of tasks that is none") }
            for (offset, position) in positions.elements.enumerated() {
                guard position >= 1, Int(position) <= tasks else {
                    throw RSerializationError(.outOfRange, "a report of task \(position) of \(tasks)")
                }
                index[Int(position) - 1] = offset + 2
                self.reasons[Int(position) - 1] = reasons.elements[offset].text
            }
        }

        func detail(of position: Int) -> ArraySlice<UInt8>? { index[position].map { items[$0] } }
        /// The error in words; nil: the task succeeded.
        func reason(of position: Int) -> String? { reasons[position] }
    }
}
