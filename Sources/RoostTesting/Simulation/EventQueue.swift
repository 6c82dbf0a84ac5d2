package import RoostModel

/// What will happen, ordered by when, then by when it was decided: total, so the same in every run.
package struct EventQueue<Element> {
    private struct Entry {
        var at: Instant
        var order: UInt64
        var element: Element

        func isBefore(_ other: Entry) -> Bool { at == other.at ? order < other.order : at < other.at }
    }

    private var heap: [Entry] = []
    private var nextOrder: UInt64 = 0

    package init() {}

    package var count: Int { heap.count }

    package mutating func schedule(_ element: Element, at instant: Instant) {
        heap.append(Entry(at: instant, order: nextOrder, element: element))
        nextOrder += 1
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    package mutating func popFirst() -> (at: Instant, element: Element)? {
        guard let last = heap.popLast() else { return nil }
        guard let first = heap.first else { return (last.at, last.element) }
        heap[0] = last
        var parent = 0
        while true {
            let left = 2 * parent + 1
            guard left < heap.count else { break }
            let right = left + 1
            let child = right < heap.count && heap[right].isBefore(heap[left]) ? right : left
            guard heap[child].isBefore(heap[parent]) else { break }
            heap.swapAt(child, parent)
            parent = child
        }
        return (first.at, first.element)
    }
}
