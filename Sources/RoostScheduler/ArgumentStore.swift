package import RoostModel

/// The arguments of a job's tasks, as they came: chunk after chunk, each freed when none of its tasks will run again. Those of a
/// durable job are on disk, too, chunk by chunk, and may be there only.
///
///     chunks   [0 ..< 1024)  [1024 ..< 2048)  [2048 ..< 2100)  …
package struct ArgumentStore {
    package struct Chunk {
        package var first: TaskIndex
        package var payloads: PayloadArray
        package var count: UInt32
        /// Tasks of this chunk that may run, or run again.
        package var open: UInt32
        /// The payloads are in the store only: here are as many empty ones.
        package var isStored = false
    }

    private var chunks: [Chunk] = []
    /// Bytes held in memory now.
    package private(set) var byteCount = 0

    package init() {}

    /// - Parameter isStored: They are left on disk: these payloads are empty, or may be dropped.
    package mutating func append(first: TaskIndex, _ payloads: PayloadArray, isStored: Bool = false) {
        let count = UInt32(payloads.count)
        let payloads = isStored ? PayloadArray(empty: payloads.count) : payloads
        byteCount += payloads.bytes.count
        chunks.append(Chunk(first: first, payloads: payloads, count: count, open: count, isStored: isStored))
    }

    /// The chunk that holds `task`.
    private func position(of task: TaskIndex) -> Int {
        var low = 0
        var high = chunks.count - 1
        while low < high {
            let middle = (low + high + 1) / 2
            if chunks[middle].first <= task { low = middle } else { high = middle - 1 }
        }
        return low
    }

    /// The arguments of the longest beginning of `tasks` that stands in one chunk.
    package func slice(_ tasks: TaskRange) -> PayloadSlice {
        let chunk = chunks[position(of: tasks.first)]
        precondition(!chunk.payloads.isEmpty, "arguments are kept while a task of their chunk is open")
        let from = Int(tasks.first - chunk.first)
        return chunk.payloads.slice(from..<min(from + Int(tasks.count), Int(chunk.count)))
    }

    /// Where the arguments of these tasks, which stand in one chunk, are when they are not here.
    package func storedPlace(of tasks: TaskRange) -> (place: StoredPlace, positions: Range<Int>)? {
        let chunk = position(of: tasks.first)
        guard chunks[chunk].isStored else { return nil }
        let from = Int(tasks.first - chunks[chunk].first)
        return (.arguments(chunk: chunk), from..<(from + Int(tasks.count)))
    }

    /// Whatever is on disk is from now on only there. The bytes that this frees.
    package mutating func leaveOnDisk() -> Int {
        defer { byteCount = 0 }
        for index in chunks.indices where chunks[index].open > 0 && !chunks[index].isStored {
            chunks[index].payloads = PayloadArray(empty: Int(chunks[index].count))
            chunks[index].isStored = true
        }
        return byteCount
    }

    /// These tasks will not run again; a chunk of which none will is freed. The bytes that this frees.
    @discardableResult
    package mutating func ended(_ tasks: TaskRange) -> Int {
        let before = byteCount
        var next = tasks.first
        var index = position(of: next)
        while next < tasks.end {
            let here = min(tasks.end, chunks[index].first + chunks[index].count) - next
            chunks[index].open -= here
            if chunks[index].open == 0 {
                byteCount -= chunks[index].payloads.bytes.count
                chunks[index].payloads = PayloadArray()
            }
            next += here
            index += 1
        }
        return before - byteCount
    }
}
