package import RSerialization
package import RoostModel

/// Outcomes as R takes them: one list of values, and what there is to say about those tasks that have more to say.
package struct JoinedOutcomes: Sendable {
    /// The stream of the list of values, NULL where a task has none.
    package var values: [UInt8] = []
    /// How each task ended, in the order of the values: the number of its ``OutcomeKind``, or `pending`.
    package var states: [UInt8] = []
    /// Whether `states` says anything: not when all succeeded.
    package var hasTrouble = false
    /// The positions among the values, from 1, of tasks with details, and the stream of the list of these.
    package var detailed: [Int32] = []
    package var details: [UInt8]?
    package var postMortems: [Positioned] = []

    package init() {}

    /// Whether there is nothing to say but the values.
    var isPlain: Bool { !hasTrouble && details == nil && postMortems.isEmpty }

    package static let pending: UInt8 = 4

    /// A post-mortem and the index of its task, from 1.
    package struct Positioned: Sendable {
        package var index: Int32
        package var postMortem: PostMortem
    }
}

extension JobOutcomes {
    /// Joins the outcomes of `tasks`, in this order.
    /// - Throws: what is wrong with one of the values.
    package func joined(
        _ tasks: some Sequence<TaskIndex>, names: [UInt8]? = nil, nativeEncoding: String = "UTF-8"
    ) throws(RSerializationError) -> JoinedOutcomes {
        var joined = JoinedOutcomes()
        var values = ItemRun(nativeEncoding: nativeEncoding)
        var details: ItemRun?
        for task in tasks {
            guard let (number, position) = place(of: task), !isReleased(number) else {
                joined.states.append(JoinedOutcomes.pending)
                joined.hasTrouble = true
                try values.append(Self.null[...])
                continue
            }
            let code = batches[number].code(at: position)
            let payload = batches[number].payloads[position]
            let outcome = RTaskPayload.Outcome(payload)
            joined.states.append(code.kind.rawValue)
            try values.append(outcome?.value.map { payload[$0] } ?? Self.null[...])
            if let outcome, outcome.details != nil || outcome.output != nil {
                joined.detailed.append(Int32(truncatingIfNeeded: joined.states.count))
                let detail = outcome.details.map { payload[$0] }
                if details == nil { details = ItemRun(nativeEncoding: nativeEncoding) }
                if let output = outcome.output {
                    try details?.append(Self.detail(detail, printed: payload[output])[...])
                } else if let detail {
                    try details?.append(detail)
                }
            }
            if code.kind != .succeeded {
                joined.hasTrouble = true
                joined.postMortems.append(
                    .init(index: Int32(truncatingIfNeeded: task + 1), postMortem: postMortem(number, position, code)))
            }
        }
        joined.values = try values.finish(names: names)
        joined.details = try details?.finish(names: nil)
        return joined
    }

    /// Whether they are joined where the connections are served.
    package var areFew: Bool { taskCount <= BridgeLimits.inlineTasks && byteCount <= BridgeLimits.inlineBytes }

    /// Joins the outcomes of all tasks.
    package func joined(names: [UInt8]?, nativeEncoding: String) throws(RSerializationError) -> JoinedOutcomes {
        try joined(0..<TaskIndex(taskCount), names: names, nativeEncoding: nativeEncoding)
    }

    /// Off the event loop: joining a gigabyte takes its time.
    @concurrent
    package func joinedElsewhere(
        _ tasks: [TaskIndex]?, names: [UInt8]?, nativeEncoding: String
    ) async throws(RSerializationError) -> JoinedOutcomes {
        if let tasks { return try joined(tasks, names: names, nativeEncoding: nativeEncoding) }
        return try joined(names: names, nativeEncoding: nativeEncoding)
    }

    private static let null = RItem.null

    /// A task's details with what it printed among them.
    private static func detail(
        _ item: ArraySlice<UInt8>?, printed: ArraySlice<UInt8>
    ) throws(RSerializationError) -> [UInt8] {
        // R has no string with a NUL in it.
        let text = RValue.string(RVector([.text(String(decoding: printed.filter { $0 != 0 }, as: UTF8.self))]))
        guard let item else {
            let names = RValue.string(RVector([.text("output")]))
            return try RValue.list(RVector([text], meta: RMeta([RAttribute(.text("names"), names)]))).item()
        }
        var object = try RObject(item: item)
        if case .list(var list) = object.value, case .string(let names)? = list.meta["names"],
            let position = names.elements.firstIndex(of: .text("output")), position < list.elements.count
        {
            list.elements[position] = text
            object.value = .list(list)
        }
        return try object.item()
    }

    /// The evidence, with where and when; a bare sentence where nobody gave any.
    private func postMortem(_ number: Int, _ position: Int, _ code: OutcomeCode) -> PostMortem {
        let batch = batches[number]
        var found = batch.postMortems.find(position) ?? PostMortem(reason: code.sentence)
        if found.reason.isEmpty { found.reason = code.sentence }
        if found.node.isEmpty && code.end != .neverRan { found.node = batch.node }
        if found.attempt == 0 { found.attempt = batch.attempt(at: position) }
        return found
    }
}

extension [OutcomeBatch.PositionedPostMortem] {
    /// They ascend: a batch of a thousand failures is not searched a thousand times.
    fileprivate func find(_ position: Int) -> PostMortem? {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if self[middle].position < UInt32(position) { low = middle + 1 } else { high = middle }
        }
        return low < count && self[low].position == UInt32(position) ? self[low].postMortem : nil
    }
}

extension OutcomeCode {
    /// What happened, for a task without a post-mortem.
    fileprivate var sentence: String {
        switch end {
        case .succeeded: "it succeeded"
        case .failed: "it failed"
        case .crashed: "its worker died"
        case .timedOut: "it ran longer than its time limit"
        case .memoryExceeded: "it asked for more memory than its limit"
        case .couldNotStart: "its worker could not be started"
        case .cancelled: "it was cancelled"
        case .reclaimed: "its node was drained"
        case .nodeLost: "its node was lost"
        case .neverRan: "it never ran: its job was cancelled"
        }
    }
}

/// Items on their way into a list. Small ones are gathered, so that the joiner sees many at a time.
private struct ItemRun {
    private var joiner: RJoiner
    private var bytes: [UInt8] = []
    private var ends: [UInt32] = []

    private static let gatherBytes = 256 << 10
    private static let largeItem = 16 << 10

    init(nativeEncoding: String) { joiner = RJoiner(nativeEncoding: nativeEncoding) }

    mutating func append(_ item: ArraySlice<UInt8>) throws(RSerializationError) {
        if item.count >= Self.largeItem {
            try flush()
            try joiner.append(item)
            return
        }
        bytes.append(contentsOf: item)
        ends.append(UInt32(bytes.count))
        if bytes.count >= Self.gatherBytes { try flush() }
    }

    private mutating func flush() throws(RSerializationError) {
        guard !ends.isEmpty else { return }
        try joiner.append(RItems(bytes: bytes, ends: ends))
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
    }

    mutating func finish(names: [UInt8]?) throws(RSerializationError) -> [UInt8] {
        try flush()
        var last = RJoiner()
        swap(&last, &joiner)
        return try last.finish(names: names)
    }
}
