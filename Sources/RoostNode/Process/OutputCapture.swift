package import RoostModel

/// Keeps the first `headLimit` and the last `tailLimit` bytes of a stream in memory that never grows beyond both.
///
/// ```
///   head: filled once            tail: a ring, once it is full
///   [0 ……………… headLimit)          [… newest | oldest …]
///                                           ▲ next
/// ```
package struct OutputCapture {
    let headLimit: Int
    let tailLimit: Int
    package private(set) var totalBytes: UInt64 = 0
    private var head: [UInt8] = []
    private var tail: [UInt8] = []
    /// Where the next byte goes in a full ring.
    private var next = 0

    package init(headLimit: Int, tailLimit: Int) {
        self.headLimit = max(0, headLimit)
        self.tailLimit = max(0, tailLimit)
    }

    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        totalBytes += UInt64(bytes.count)
        var rest = bytes[...]
        let forHead = min(headLimit - head.count, rest.count)
        if forHead > 0 {
            head.append(contentsOf: rest.prefix(forHead))
            rest = rest.dropFirst(forHead)
        }
        // Of a piece longer than the ring only the end can stay.
        rest = rest.suffix(tailLimit)
        let grow = min(tailLimit - tail.count, rest.count)
        if grow > 0 {
            tail.append(contentsOf: rest.prefix(grow))
            rest = rest.dropFirst(grow)
        }
        while !rest.isEmpty {
            let run = min(tailLimit - next, rest.count)
            tail.withUnsafeMutableBytes {
                UnsafeMutableRawBufferPointer(rebasing: $0[next..<next + run])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: rest.prefix(run)))
            }
            next = (next + run) % tailLimit
            rest = rest.dropFirst(run)
        }
    }

    /// What is kept so far.
    package var captured: CapturedOutput {
        let straight = next == 0 ? tail : Array(tail[next...] + tail[..<next])
        return CapturedOutput(head: head, tail: straight, totalBytes: totalBytes)
    }
}
