import NIOCore
import RoostModel

/// What a large message consists of: bytes in our buffer, with payloads between them that stay where they are.
struct WireContent {
    private var parts: [Part]
    private var position = 0
    /// Bytes not yet taken.
    private(set) var remaining: Int

    private enum Part {
        case encoded(ByteBuffer)
        case shared(ArraySlice<UInt8>)

        var count: Int {
            switch self {
            case .encoded(let buffer): buffer.readableBytes
            case .shared(let bytes): bytes.count
            }
        }
    }

    /// All that was written into `writer`, from its buffer's byte `start` on.
    init(_ writer: ProtobufWriter, from start: Int = 0) {
        parts = []
        remaining = 0
        var index = start
        for blob in writer.shared {
            append(writer.buffer, from: index, to: blob.index)
            parts.append(.shared(blob.bytes))
            remaining += blob.bytes.count
            index = blob.index
        }
        append(writer.buffer, from: index, to: writer.buffer.writerIndex)
    }

    private mutating func append(_ buffer: ByteBuffer, from: Int, to: Int) {
        guard to > from, let slice = buffer.getSlice(at: from, length: to - from) else { return }
        parts.append(.encoded(slice))
        remaining += slice.readableBytes
    }

    /// Moves up to `most` bytes into `output`.
    mutating func take(most: Int, into output: inout ByteBuffer) {
        var wanted = most
        while wanted > 0, position < parts.count {
            let count = min(wanted, parts[position].count)
            switch parts[position] {
            case .encoded(var buffer):
                if var slice = buffer.readSlice(length: count) { output.writeBuffer(&slice) }
                parts[position] = .encoded(buffer)
            case .shared(let bytes):
                output.writeBytes(bytes.prefix(count))
                parts[position] = .shared(bytes.dropFirst(count))
            }
            if parts[position].count == 0 {
                // Give the payload back as soon as it is sent.
                parts[position] = .encoded(ByteBuffer())
                position += 1
            }
            wanted -= count
            remaining -= count
        }
    }
}

/// Messages that wait to be sent in pieces, a queue for each lane, served in turn.
///
/// Only the first message of a lane is ever begun, so what follows a large payload in its lane stays behind it; at
/// most ``mostOpen`` messages, of no more bytes together than a peer accepts, are begun at a time.
struct OutgoingStreams {
    private struct Stream {
        var id: UInt32
        var content: WireContent
        var total: Int
        var isBegun = false
    }

    private struct Lane {
        var id: WireLane
        var streams: CircularBuffer<Stream>
    }

    private static let mostOpen = Limits.streamsPerConnection / 2

    private var lanes: [Lane] = []
    private var nextID: UInt32 = 1
    private var openBytes = 0

    /// Messages behind one of lane ``WireLane/last``, which waits until all lanes are empty.
    private var later = CircularBuffer<(WireLane, WireContent)>()

    var isEmpty: Bool { lanes.isEmpty }

    /// Whether a message of this lane has to queue behind another one.
    func mustQueue(_ lane: WireLane) -> Bool {
        switch lane {
        case .urgent: false
        case .last: !isEmpty
        case .job, .session: !later.isEmpty || lanes.contains { $0.id == lane }
        }
    }

    mutating func append(_ content: WireContent, lane: WireLane) {
        if lane != .urgent, !later.isEmpty || (lane == .last && !isEmpty) {
            later.append((lane, content))
        } else {
            enqueue(content, lane)
        }
    }

    private mutating func enqueue(_ content: WireContent, _ lane: WireLane) {
        let stream = Stream(id: nextID, content: content, total: content.remaining)
        nextID &+= 1
        if let position = lanes.firstIndex(where: { $0.id == lane }) {
            lanes[position].streams.append(stream)
        } else {
            lanes.append(Lane(id: lane, streams: [stream]))
        }
    }

    /// Lets those in that waited for everything before them, up to the next that does.
    private mutating func admitLater() {
        guard lanes.isEmpty else { return }
        while let (lane, content) = later.first, lane != .last || lanes.isEmpty {
            later.removeFirst()
            enqueue(content, lane)
            if lane == .last { return }
        }
    }

    /// Writes one fragment, of at most a frame's size, of the lane whose turn it is.
    mutating func writeFragment(into output: inout ByteBuffer) {
        guard let position = lanes.prefix(Self.mostOpen).firstIndex(where: canGo) else { return }
        var lane = lanes.remove(at: position)
        var stream = lane.streams.removeFirst()
        write(&stream, into: &output)
        if stream.content.remaining > 0 {
            lane.streams.prepend(stream)
        } else {
            openBytes -= stream.total
        }
        // Begun lanes stay among the first ones, so that no more than `mostOpen` are ever begun.
        if !lane.streams.isEmpty { lanes.insert(lane, at: min(lanes.count, Self.mostOpen - 1)) }
        admitLater()
    }

    /// A message is begun only when it and the begun ones are together no more than a peer accepts.
    private func canGo(_ lane: Lane) -> Bool {
        guard let head = lane.streams.first else { return false }
        return head.isBegun || openBytes == 0 || openBytes + head.total <= Limits.messageBytes
    }

    private mutating func write(_ stream: inout Stream, into output: inout ByteBuffer) {
        let start = output.writerIndex
        output.writeInteger(0 as UInt32)
        output.writeInteger(FrameKind.fragment.rawValue)
        output.writeInteger(stream.id)
        let room = Limits.frameBytes - FrameSizes.fragmentHead
        var flags: UInt8 = stream.content.remaining > room ? FragmentAssembler.more : 0
        if !stream.isBegun { flags |= FragmentAssembler.first }
        output.writeInteger(flags)
        if !stream.isBegun {
            output.writeInteger(UInt64(stream.total))
            stream.isBegun = true
            openBytes += stream.total
        }
        stream.content.take(most: room, into: &output)
        output.setInteger(UInt32(output.writerIndex - start - 4), at: start)
    }
}
