import NIOCore
import RoostModel
import RoostWire

/// Writes down what a connection's handler says.
final class FrameRecorder: FrameSink {
    var frames: [(kind: FrameKind, body: ByteBuffer)] = []
    var reads = 0
    var endings: [RoostError] = []

    func connected() {}
    func frameReceived(_ kind: FrameKind, _ body: inout ByteBuffer) throws(RoostError) { frames.append((kind, body)) }
    func readEnded() { reads += 1 }
    func writabilityChanged(_ isWritable: Bool) {}
    func closed(_ reason: RoostError) { endings.append(reason) }
}

/// Writes down what a link says.
final class LinkRecorder<Incoming: WireMessage>: LinkDelegate {
    var batches: [[Incoming]] = []
    var writability: [Bool] = []
    var endings: [RoostError] = []
    var onReceive: (([Incoming]) -> Void)?

    var messages: [Incoming] { batches.flatMap { $0 } }

    func linkReceived(_ messages: [Incoming]) {
        batches.append(messages)
        onReceive?(messages)
    }
    func linkWritabilityChanged(_ isWritable: Bool) { writability.append(isWritable) }
    func linkClosed(_ reason: RoostError) { endings.append(reason) }
}
