import Glibc
import RoostModel

/// What an agent and a worker that outlives its tasks say to each other.
///
///     kind, bytes of first, bytes of second: three doubles, little-endian │ first │ second
///
/// Doubles, because R reads them in one go whatever their size.
package struct WorkerFrame: Equatable, Sendable {
    package var kind: Int
    package var first: [UInt8]
    package var second: [UInt8]

    package init(kind: Int, first: [UInt8], second: [UInt8] = []) {
        self.kind = kind
        self.first = first
        self.second = second
    }

    static let headerBytes = 24

    var header: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headerBytes)
        for number in [kind, first.count, second.count] {
            withUnsafeBytes(of: Double(number).bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
        }
        return bytes
    }
}

/// Puts frames together from a pipe. Whatever a task writes into the pipe is refused by its header.
struct WorkerFrameReader {
    private var header: [UInt8] = []
    private var kind = 0
    private var parts: [[UInt8]] = []
    /// How much the part that is being read will have.
    private var wanted = 0
    private var secondBytes = 0
    private var isInBody = false

    private static let mostKind = 255.0
    private static let mostBytes = Double(Limits.payloadBytes) + 65536

    /// Takes in what was read; frames that became whole.
    /// - Returns: false when the bytes are no frame.
    mutating func take(_ bytes: UnsafeRawBufferPointer, _ whole: (WorkerFrame) -> Void) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            if isInBody {
                let count = min(missing, rest.count)
                parts[parts.count - 1].append(contentsOf: rest.prefix(count))
                rest = rest.dropFirst(count)
                finishParts(whole)
            } else {
                let count = min(WorkerFrame.headerBytes - header.count, rest.count)
                header.append(contentsOf: rest.prefix(count))
                rest = rest.dropFirst(count)
                guard header.count == WorkerFrame.headerBytes else { break }
                guard begin() else { return false }
                finishParts(whole)
            }
        }
        return true
    }

    /// Bytes that may be read straight into the frame; 0 between frames.
    var missing: Int { isInBody ? wanted - (parts.last?.count ?? 0) : 0 }

    /// Reads up to `count` bytes of the body straight from the pipe; what `read` said.
    mutating func readBody(from descriptor: Int32, _ count: Int, _ whole: (WorkerFrame) -> Void) -> Int {
        var result = 0
        parts[parts.count - 1].append(addingCapacity: count) { (space: inout OutputSpan<UInt8>) in
            space.withUnsafeMutableBufferPointer { bytes, used in
                result = read(descriptor, bytes.baseAddress?.advanced(by: used), count)
                used += max(0, result)
            }
        }
        if result > 0 { finishParts(whole) }
        return result
    }

    private mutating func begin() -> Bool {
        let numbers = (0..<3).map { index in
            Double(bitPattern: header[(8 * index)..<(8 * index + 8)].reversed().reduce(0) { $0 << 8 | UInt64($1) })
        }
        guard (1...Self.mostKind).contains(numbers[0]), numbers[0] == numbers[0].rounded(),
            numbers[1...].allSatisfy({ (0...Self.mostBytes).contains($0) && $0 == $0.rounded() })
        else { return false }
        kind = Int(numbers[0])
        secondBytes = Int(numbers[2])
        beginPart(Int(numbers[1]))
        isInBody = true
        return true
    }

    private mutating func beginPart(_ bytes: Int) {
        var part: [UInt8] = []
        // Not all at once: a header may lie.
        part.reserveCapacity(min(bytes, 16 << 20))
        wanted = bytes
        parts.append(part)
    }

    private mutating func finishParts(_ whole: (WorkerFrame) -> Void) {
        while isInBody, missing == 0 {
            if parts.count == 1 {
                beginPart(secondBytes)
            } else {
                let frame = WorkerFrame(kind: kind, first: parts[0], second: parts[1])
                parts.removeAll()
                header.removeAll(keepingCapacity: true)
                isInBody = false
                whole(frame)
            }
        }
    }
}
