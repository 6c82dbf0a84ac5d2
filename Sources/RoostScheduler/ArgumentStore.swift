package import RoostModel

/// The arguments of a job's tasks, as they came: chunk after chunk, each freed when none of its tasks will run again.
///
///     chunks   [0 ..< 1024)  [1024 ..< 2048)  [2048 ..< 2100)  …
package struct ArgumentStore {
    package struct Chunk {
        package var first: TaskIndex
        package var payloads: PayloadArray
        package var count: UInt32
        /// Tasks of this chunk that may run, or run again.
        package var open: UInt32
    }

    private var chunks: [Chunk] = []
    /// Bytes held now.
    package private(set) var byteCount = 0

    package init() {}

    package mutating func append(first: TaskIndex, _ payloads: PayloadArray) {
        byteCount += payloads.bytes.count
        chunks.append(
            Chunk(first: first, payloads: payloads, count: UInt32(payloads.count), open: UInt32(payloads.count)))
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

    /// These tasks will not run again; a chunk of which none will is freed.
    package mutating func ended(_ tasks: TaskRange) {
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
    }
}
