import DequeModule
package import RoostModel

/// A job's outcomes in the order in which they were recorded; readers hold cursors into it.
///
///         base            acknowledged         end
///          ▼                   ▼                ▼
///      …  [batch][batch][batch][batch][batch][batch]
///          numbered by sequence; forgotten from the front
package struct OutcomeLog {
    package struct Entry {
        package var batch: OutcomeBatch
        /// Who has to be told when this batch is safe: the node and its number for the batch.
        package var origin: Origin?
        /// Tasks whose owner has not acknowledged them.
        package var open: UInt32
        /// The payloads are in the store only.
        package var isStored = false
    }

    /// Where a batch came from.
    package struct Origin {
        package var nodeSlot: Int
        /// Slots are used again; lives are not.
        package var life: UInt64
        package var sequence: UInt64
    }

    private var entries: Deque<Entry> = []
    package private(set) var base: UInt64 = 0
    /// Payload bytes held now.
    package private(set) var byteCount = 0

    package init() {}

    package var end: UInt64 { base + UInt64(entries.count) }

    package subscript(sequence: UInt64) -> Entry { entries[Int(sequence - base)] }

    /// The sequence of the appended batch.
    @discardableResult
    package mutating func append(_ batch: OutcomeBatch, origin: Origin?) -> UInt64 {
        byteCount += batch.payloads.bytes.count
        entries.append(Entry(batch: batch, origin: origin, open: UInt32(batch.count)))
        return end - 1
    }

    /// Appends a batch whose payloads are in the store.
    package mutating func append(stored batch: OutcomeBatch) {
        entries.append(Entry(batch: batch, origin: nil, open: 0, isStored: true))
    }

    /// The batch's payloads can be read from the store.
    package mutating func dropPayloads(of sequence: UInt64) {
        guard sequence >= base, sequence < end, !entries[Int(sequence - base)].isStored else { return }
        let position = Int(sequence - base)
        byteCount -= entries[position].batch.payloads.bytes.count
        entries[position].batch.payloads = PayloadArray(empty: entries[position].batch.count)
        entries[position].isStored = true
    }

    /// `count` more tasks of the batch are acknowledged; the origin, when that was the last of them.
    package mutating func acknowledge(_ sequence: UInt64, count: UInt32) -> Origin? {
        guard sequence >= base else { return nil }
        let position = Int(sequence - base)
        entries[position].open -= min(count, entries[position].open)
        guard entries[position].open == 0 else { return nil }
        let origin = entries[position].origin
        entries[position].origin = nil
        return origin
    }

    /// Another life of the node has the batch now; false when it is acknowledged already.
    package mutating func adopt(_ sequence: UInt64, by origin: Origin) -> Bool {
        guard sequence >= base, sequence < end, entries[Int(sequence - base)].open > 0 else { return false }
        entries[Int(sequence - base)].origin = origin
        return true
    }

    /// Frees acknowledged batches at the front.
    package mutating func trim() {
        while let first = entries.first, first.open == 0 {
            byteCount -= first.batch.payloads.bytes.count
            entries.removeFirst()
            base += 1
        }
    }
}
