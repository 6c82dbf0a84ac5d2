package import NIOCore
import RSerialization

/// One frame from R, whole.
package struct BridgeFrame: Sendable {
    package var header: BridgeHeader
    package var control: Control
    /// The blob, divided as the control's `lengths` say, or the objects in a control without a blob. Of a blob R's streams leave the socket as arrays of their own, copied once.
    package var parts: [[UInt8]]

    package init(header: BridgeHeader, control: Control, parts: [[UInt8]] = []) {
        self.header = header
        self.control = control
        self.parts = parts
    }
}

/// Why the bytes of a connection are no frames.
package struct BridgeFault: Error, Hashable, Sendable, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}

/// Cuts the bytes of one connection into frames. Nothing is trusted before the secret was said.
///
/// Can move: header → control → blob → header, each when its bytes are there.
package struct BridgeFrameReader {
    private enum State {
        case header
        case control(BridgeHeader)
        case blob(BridgeHeader, Control, lengths: [Int], done: [[UInt8]])
    }

    private var state = State.header
    /// What the present state has read so far, and how much it wants.
    private var bytes: [UInt8] = []
    private var wanted = BridgeHeader.byteCount
    /// Whether the peer has said the secret.
    package var isTrusted = false

    package init() {}

    /// Takes what it needs; the next whole frame, or nil when more bytes are needed.
    package mutating func next(from rest: inout Slice<UnsafeRawBufferPointer>) throws(BridgeFault) -> BridgeFrame? {
        while true {
            let missing = wanted - bytes.count
            if missing > 0 {
                guard !rest.isEmpty else { return nil }
                let taken = rest.prefix(missing)
                bytes.append(contentsOf: taken)
                rest = rest.dropFirst(taken.count)
                if bytes.count < wanted { continue }
            }
            if let frame = try finishState() { return frame }
        }
    }

    package mutating func next(from buffer: inout ByteBuffer) throws(BridgeFault) -> BridgeFrame? {
        var result: Result<BridgeFrame?, BridgeFault> = .success(nil)
        buffer.readWithUnsafeReadableBytes { readable in
            var rest = readable[...]
            do throws(BridgeFault) { result = .success(try next(from: &rest)) } catch { result = .failure(error) }
            return readable.count - rest.count
        }
        return try result.get()
    }

    /// How many bytes are missing of the part of a blob that is being read; 0: no part is.
    package var missingOfPart: Int {
        guard case .blob = state else { return 0 }
        return wanted - bytes.count
    }

    /// Has `read` put up to `count` of the bytes that are missing where they belong; it says how many it put there.
    package mutating func readPart(
        _ count: Int, _ read: (UnsafeMutableRawBufferPointer) -> Int
    ) throws(BridgeFault) -> BridgeFrame? {
        precondition(count <= missingOfPart, "no more is read than belongs to the part")
        bytes.append(addingCapacity: count) { (space: inout OutputSpan<UInt8>) in
            space.withUnsafeMutableBufferPointer { whole, used in
                used += read(UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(whole)[used..<(used + count)]))
            }
        }
        return bytes.count == wanted ? try finishState() : nil
    }

    private mutating func finishState() throws(BridgeFault) -> BridgeFrame? {
        var whole: [UInt8] = []
        swap(&whole, &bytes)
        return try advance(whole)
    }

    private mutating func advance(_ whole: [UInt8]) throws(BridgeFault) -> BridgeFrame? {
        switch state {
        case .header:
            guard let header = BridgeHeader(whole) else { throw BridgeFault("what came is no header of a frame") }
            try check(header)
            want(header.controlBytes, .control(header))
            return nil
        case .control(let header):
            let control = try Self.control(whole)
            let lengths = try Self.lengths(control, header)
            guard let first = lengths.first else {
                want(BridgeHeader.byteCount, .header)
                return BridgeFrame(header: header, control: control, parts: control.objects)
            }
            want(first, .blob(header, control, lengths: lengths, done: []))
            return nil
        case .blob(let header, let control, let lengths, var done):
            done.append(whole)
            guard done.count < lengths.count else {
                want(BridgeHeader.byteCount, .header)
                return BridgeFrame(header: header, control: control, parts: done)
            }
            want(lengths[done.count], .blob(header, control, lengths: lengths, done: done))
            return nil
        }
    }

    private mutating func want(_ count: Int, _ next: State) {
        state = next
        wanted = count
        // Whoever knows the secret may make us hold what it says; a stranger's control is small.
        bytes.reserveCapacity(count)
    }

    private func check(_ header: BridgeHeader) throws(BridgeFault) {
        let most = isTrusted ? BridgeLimits.controlBytes : BridgeLimits.strangerControlBytes
        guard header.controlBytes <= most else {
            throw BridgeFault("a control of \(header.controlBytes) bytes; at most \(most) are allowed")
        }
        guard isTrusted || (header.blobBytes == 0 && header.sequence == 0) else {
            throw BridgeFault("the first frame of a connection must be its hello")
        }
        guard header.blobBytes <= BridgeLimits.parts * BridgeLimits.partBytes else {
            throw BridgeFault("a blob of \(header.blobBytes) bytes")
        }
    }

    private static func control(_ bytes: [UInt8]) throws(BridgeFault) -> Control {
        do throws(RSerializationError) {
            return try Control(bytes: bytes)
        } catch {
            throw BridgeFault("the control is no serialized list: \(error)")
        }
    }

    private static func lengths(_ control: Control, _ header: BridgeHeader) throws(BridgeFault) -> [Int] {
        guard header.blobBytes > 0 else { return [] }
        // A blob of one part need not say so.
        let numbers = control.numbers("lengths") ?? [Double(header.blobBytes)]
        guard numbers.count <= BridgeLimits.parts else { throw BridgeFault("a blob of \(numbers.count) parts") }
        var lengths: [Int] = []
        for number in numbers {
            guard let length = Int(exactly: number), (0...BridgeLimits.partBytes).contains(length) else {
                throw BridgeFault("a part of \(number) bytes; at most \(BridgeLimits.partBytes) are allowed")
            }
            lengths.append(length)
        }
        guard lengths.reduce(0, +) == header.blobBytes else {
            throw BridgeFault("lengths of \(lengths.reduce(0, +)) bytes in all for a blob of \(header.blobBytes)")
        }
        return lengths
    }
}
