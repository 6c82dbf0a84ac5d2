/// A table whose rows keep their number: freed slots are used again, lowest last freed first.
///
/// Rows are reached by index, in place: `table[slot].field += 1` copies nothing.
package struct SlotTable<Element> {
    private var rows: [Element?] = []
    private var free: [Int] = []

    package init() {}

    /// How many rows are in use.
    package var count: Int { rows.count - free.count }

    /// The slots in use, ascending.
    package var slots: [Int] { rows.indices.filter { rows[$0] != nil } }

    /// One more than the highest slot ever used.
    package var end: Int { rows.count }

    package func isUsed(_ slot: Int) -> Bool { slot >= 0 && slot < rows.count && rows[slot] != nil }

    package mutating func insert(_ row: Element) -> Int {
        if let slot = free.popLast() {
            rows[slot] = row
            return slot
        }
        rows.append(row)
        return rows.count - 1
    }

    package mutating func remove(_ slot: Int) {
        rows[slot] = nil
        free.append(slot)
    }

    package subscript(slot: Int) -> Element {
        _read {
            guard rows[slot] != nil else { preconditionFailure("slot \(slot) is empty") }
            yield rows[slot].unsafelyUnwrapped
        }
        _modify {
            guard rows[slot] != nil else { preconditionFailure("slot \(slot) is empty") }
            yield &rows[slot]!
        }
    }
}
