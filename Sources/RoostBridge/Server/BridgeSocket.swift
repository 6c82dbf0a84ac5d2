import DequeModule
import Glibc
import RoostNode

/// One connection from R on the thread that watches the R processes: no other thread is woken between R and its workers.
///
/// ```
///   R ──▶ small frames: many in one read          large parts: read into the array that they stay in
///     ◀── small answers: one write, R wakes once  large ones: from the arrays they are, as the socket takes them
/// ```
final class BridgeSocket: BridgeLink {
    private let id: Int
    private let server: BridgeServer
    private let descriptor: Int32
    private var watch: DescriptorWatch?
    private var reader = BridgeFrameReader()
    /// Pieces of frames that the socket has not taken, and how much of the first it has.
    private var outgoing: Deque<[UInt8]> = []
    private var written = 0
    private var waitsForRoom = false
    private var isClosed = false
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: BridgeSocket.readBytes, alignment: 16)

    /// What is read at once between the parts of large frames.
    private static let readBytes = 64 << 10
    /// What is read at once of a large part.
    private static let partBytes = 4 << 20
    /// After so many reads or writes others have their turn.
    private static let stepsPerTurn = 16

    init(id: Int, descriptor: Int32, server: BridgeServer) {
        self.id = id
        self.descriptor = descriptor
        self.server = server
    }

    deinit { buffer.deallocate() }

    func open(_ watch: DescriptorWatch) { self.watch = watch }

    var isWritable: Bool { outgoing.isEmpty && !isClosed }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        outgoing.removeAll()
        watch?.close()
        let (id, server) = (id, server)
        server.assumeIsolated { $0.forgetSocket(id) }
    }

    func ready(_ readiness: DescriptorWatch.Readiness) {
        if readiness.canWrite && waitsForRoom { pump() }
        if readiness.canRead && !isClosed { readSome() }
    }

    // MARK: From R

    private func readSome() {
        do throws(BridgeFault) {
            for _ in 0..<Self.stepsPerTurn where !isClosed {
                guard try readOnce() else { return }
            }
        } catch {
            close()
        }
    }

    /// - Returns: whether there may be more.
    private func readOnce() throws(BridgeFault) -> Bool {
        let missing = reader.missingOfPart
        let wanted: Int
        var count = 0
        if missing >= Self.readBytes {
            wanted = min(missing, Self.partBytes)
            let frame = try reader.readPart(wanted) { space in
                count = recv(descriptor, space.baseAddress, space.count, 0)
                return max(0, count)
            }
            if let frame { receive(frame) }
        } else {
            wanted = buffer.count
            count = recv(descriptor, buffer.baseAddress, wanted, 0)
            if count > 0 {
                var rest = UnsafeRawBufferPointer(rebasing: buffer[..<count])[...]
                while !isClosed, let frame = try reader.next(from: &rest) { receive(frame) }
            }
        }
        if count > 0 { return count == wanted || missing > count }
        if count < 0 && (errno == EAGAIN || errno == EINTR) { return false }
        close()
        return false
    }

    private func receive(_ frame: BridgeFrame) {
        let (id, server) = (id, server)
        switch server.assumeIsolated({ $0.received(id, frame) }) {
        case .goOn: break
        case .trust: reader.isTrusted = true
        case .close: close()
        }
    }

    // MARK: To R

    func send(_ frames: [OutgoingFrame]) {
        guard !isClosed else { return }
        for frame in frames {
            if frame.byteCount <= Self.readBytes {
                outgoing.append(frame.pieces.count == 1 ? frame.pieces[0] : Array(frame.pieces.joined()))
            } else {
                for piece in frame.pieces where !piece.isEmpty { outgoing.append(piece) }
            }
        }
        if !waitsForRoom { pump() }
    }

    private func pump() {
        for _ in 0..<Self.stepsPerTurn {
            guard let piece = outgoing.first else { return waitForRoom(false) }
            let count = piece.withUnsafeBytes { bytes in
                Glibc.send(descriptor, bytes.baseAddress?.advanced(by: written), bytes.count - written, Int32(MSG_NOSIGNAL))
            }
            if count < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN { break }
                // Reading will say that it is broken, as soon as all that came has been read.
                outgoing.removeAll()
                written = 0
                shutdown(descriptor, Int32(SHUT_RDWR))
                return waitForRoom(false)
            }
            written += count
            if written == piece.count {
                outgoing.removeFirst()
                written = 0
            }
        }
        waitForRoom(!outgoing.isEmpty)
    }

    private func waitForRoom(_ waits: Bool) {
        guard waits != waitsForRoom else { return }
        waitsForRoom = waits
        watch?.wait(forRoom: waits)
    }
}
