import DequeModule
import RoostModel
import RoostScheduler

/// What travels over a simulated connection.
enum Packet {
    case nodeHello(NodeHello)
    case clientHello
    case welcome(Welcome)
    case fromNode(NodeToServer)
    case fromClient(ClientToServer)
    case toNode(ServerToNode)
    case toClient(ServerToClient)
    /// The sender closed the connection; nothing comes after it.
    case end

    /// Whether somebody waits for it: a connection that ends before it arrives leaves the two sides of two minds.
    var matters: Bool {
        switch self {
        case .fromNode(.heartbeat), .fromNode(.output), .fromNode(.running), .toNode(.heartbeat),
            .toNode(.watch), .fromClient(.heartbeat), .fromClient(.watch), .toClient(.heartbeat), .toClient(.output),
            .toClient(.progress), .nodeHello, .clientHello, .welcome, .end:
            false
        case .fromNode, .fromClient, .toNode, .toClient: true
        }
    }
}

/// A connection: first in, first out in each direction, nothing in common with any other connection.
final class SimulatedConnection {
    enum Peer: Equatable {
        case node(Int)
        case client(Int)
    }

    /// One direction.
    struct Lane {
        var packets: Deque<Packet> = []
        /// When the packet sent last arrives; the next one arrives no earlier.
        var lastArrival = Instant.zero
    }

    let id: ConnectionID
    let peer: Peer
    /// Which life of the peer opened it.
    let life: Int
    var up = Lane()
    var down = Lane()
    /// Whether the server still reads and writes it; likewise the peer.
    var isOpenAtServer = true
    var isOpenAtPeer = true
    /// Nothing gets through any more, in neither direction; each side may not know it yet.
    var isDead = false
    /// The server was told who is there.
    var isKnown = false

    init(id: ConnectionID, peer: Peer, life: Int) {
        self.id = id
        self.peer = peer
        self.life = life
    }
}
