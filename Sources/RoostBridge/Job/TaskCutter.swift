package import RSerialization
package import RoostModel

/// A vector of R on its way to becoming the arguments of tasks: chunk by chunk, as the pool takes them.
///
///     X   header | VEC n | …                 stays as it came from R until it is cut
///     chunk   [flags seed item] [flags seed item] …
package struct TaskCutter: Sendable {
    private var cutter: RCutter
    /// The next task's stream; nil: tasks have none.
    private var seed: RStreamSeed?
    private var tasksPerChunk: Int
    /// The bytes of the whole stream.
    package let byteCount: Int

    /// Reads a whole stream.
    /// - Throws: what is wrong with it; `needsAsList` when R must call `as.list` first.
    package init(_ stream: [UInt8], seed: RStreamSeed? = nil) throws(RSerializationError) {
        byteCount = stream.count
        cutter = try RCutter(stream)
        self.seed = seed
        let mean = max(1, byteCount / max(1, cutter.count))
        tasksPerChunk = max(1, min(Limits.chunkTasks, Limits.chunkBytes / mean))
    }

    package var count: Int { cutter.count }
    package var names: [UInt8]? { cutter.names }
    package var nativeEncoding: String { cutter.nativeEncoding }

    /// The next chunk of arguments; nil at the end.
    package mutating func next() throws(RSerializationError) -> PayloadArray? {
        var items = RItems()
        guard try cut(into: &items) > 0 else { return nil }
        return arguments(items)
    }

    /// A chunk may turn out larger than the vector's mean lets expect.
    private mutating func cut(into items: inout RItems) throws(RSerializationError) -> Int {
        do throws(RSerializationError) {
            return try cutter.next(tasksPerChunk, into: &items)
        } catch {
            guard error.code == .tooLarge, tasksPerChunk > 1 else { throw error }
            tasksPerChunk = 1
            return try cutter.next(1, into: &items)
        }
    }

    private mutating func arguments(_ items: RItems) -> PayloadArray {
        let source = items.bytes
        let sourceEnds = items.ends
        let header = RTaskPayload.headerBytes(hasSeed: seed != nil)
        var bytes: [UInt8] = []
        var ends: [UInt32] = []
        bytes.reserveCapacity(source.count + header * sourceEnds.count)
        ends.reserveCapacity(sourceEnds.count)
        var start = 0
        for end in sourceEnds {
            RTaskPayload.append(seed: seed, item: source[start..<Int(end)], to: &bytes)
            seed?.advance()
            ends.append(UInt32(truncatingIfNeeded: bytes.count))
            start = Int(end)
        }
        return PayloadArray(bytes: bytes, ends: ends)
    }
}
