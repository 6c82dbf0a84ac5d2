import NIOCore
import RSerialization
import RoostBridge
import RoostModel

/// A frame as R would write it.
func frame(_ sequence: UInt64, _ reply: UInt64 = 0, parts: [[UInt8]] = [], _ build: (inout ControlWriter) -> Void) -> [UInt8] {
    var control = ControlWriter()
    build(&control)
    if !parts.isEmpty { control.set("lengths", parts.map { Double($0.count) }) }
    let stream = control.stream()
    let header = BridgeHeader(
        sequence: sequence, reply: reply, controlBytes: stream.count, blobBytes: parts.reduce(0) { $0 + $1.count })
    return header.bytes + stream + parts.joined()
}

func hello(_ secret: String, reply: UInt64 = 0) -> [UInt8] {
    frame(0, reply) {
        $0.set("op", "hello")
        $0.set("protocol", item: RItem.integers([1]))
        $0.set("secret", secret)
    }
}

extension BridgeFrameReader {
    /// All frames in these bytes, fed in pieces of `size`.
    mutating func frames(_ bytes: [UInt8], size: Int = .max) throws -> [BridgeFrame] {
        var frames: [BridgeFrame] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            var buffer = ByteBuffer(bytes: rest.prefix(size))
            rest = rest.dropFirst(size)
            while let frame = try next(from: &buffer) { frames.append(frame) }
        }
        return frames
    }
}

extension OutgoingFrame {
    /// As R reads it.
    func read() throws -> BridgeFrame {
        var reader = BridgeFrameReader()
        reader.isTrusted = true
        guard let frame = try reader.frames(Array(pieces.joined())).first else { throw BridgeFault("no whole frame") }
        return frame
    }
}

/// A stream of a list of numbers with names.
func list(_ numbers: [Double], names: [String]? = nil) throws -> [UInt8] {
    var joiner = RJoiner()
    for number in numbers { try joiner.append(RItem.doubles([number])) }
    return try joiner.finish(names: names.map { RItem.strings($0) })
}
