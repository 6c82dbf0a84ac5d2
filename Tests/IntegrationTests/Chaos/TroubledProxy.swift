import Foundation
import Glibc
import Synchronization
import Testing

/// A TCP relay on loopback that can be told to behave like a bad network. One thread, one `poll`.
///
///     peer ─▶ toServer ─▶ server
///          ◀─ toPeer   ◀─
final class TroubledProxy: Sendable {
    /// What it does to a connection.
    enum Trouble: Equatable {
        /// Passes nothing on, and reads nothing, until then.
        case stalled(until: ContinuousClock.Instant)
        /// Passes on so many bytes a millisecond, until then.
        case slow(bytes: Int, until: ContinuousClock.Instant)
        /// Closes both ways, in the middle of whatever is under way.
        case cut
        /// Says to the server that no more will come, and goes on passing on what the server says.
        case halfClosed
    }

    private struct Orders {
        var troubles: [(share: Double, trouble: Trouble)] = []
        var isEnding = false
    }

    let port: Int
    private let orders = Mutex(Orders())
    private let hasEnded = Mutex(false)

    init(toPort target: Int) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = Self.address(0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && listen(listener, 128) == 0 && getsockname(listener, $0, &size) == 0
            }
        }
        try #require(isBound)
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { [self] in
            var relay = Relay(listener: listener, target: target)
            while true {
                let (troubles, isEnding) = orders.withLock { orders in
                    defer { orders.troubles = [] }
                    return (orders.troubles, orders.isEnding)
                }
                if isEnding { break }
                for (share, trouble) in troubles { relay.apply(trouble, share: share) }
                relay.turn()
            }
            relay.close()
            hasEnded.withLock { $0 = true }
        }
    }

    /// Troubles about this share of the connections there are, from 0 to 1.
    func trouble(_ trouble: Trouble, share: Double) {
        orders.withLock { $0.troubles.append((share, trouble)) }
    }

    func end() async throws {
        orders.withLock { $0.isEnding = true }
        try await eventually("the proxy ends") { hasEnded.withLock { $0 } }
    }

    fileprivate static func address(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return address
    }
}

/// The relay's connections; used by its thread only.
private struct Relay {
    /// One direction: what was read and is not yet written.
    struct Flow {
        var from: Int32
        var to: Int32
        var bytes: [UInt8] = []
        var hasEnded = false
        var saidEnd = false

        static let most = 256 << 10
    }

    struct Connection {
        var flows: [Flow]
        var trouble: TroubledProxy.Trouble?
        var isOver = false
    }

    let listener: Int32
    let target: Int
    var connections: [Connection] = []
    /// Which connections a share means is the relay's own draw: it depends on who has connected anyway.
    var dice = SystemRandomNumberGenerator()

    mutating func apply(_ trouble: TroubledProxy.Trouble, share: Double) {
        for index in connections.indices where Double.random(in: 0..<1, using: &dice) < share {
            switch trouble {
            case .stalled, .slow: connections[index].trouble = trouble
            case .cut: connections[index].isOver = true
            case .halfClosed: connections[index].flows[0].hasEnded = true
            }
        }
        sweep()
    }

    mutating func turn() {
        let now = ContinuousClock.now
        var polled = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
        for index in connections.indices {
            if isOver(connections[index].trouble, now) { connections[index].trouble = nil }
            let isStalled = if case .stalled = connections[index].trouble { true } else { false }
            for flow in connections[index].flows where !isStalled {
                if !flow.hasEnded && flow.bytes.count < Flow.most {
                    polled.append(pollfd(fd: flow.from, events: Int16(POLLIN), revents: 0))
                }
                if !flow.bytes.isEmpty { polled.append(pollfd(fd: flow.to, events: Int16(POLLOUT), revents: 0)) }
            }
        }
        let hasSlow = connections.contains { if case .slow = $0.trouble { true } else { false } }
        if hasSlow { usleep(1000) }
        guard poll(&polled, nfds_t(polled.count), 5) > 0 else { return }
        if polled[0].revents != 0 { acceptAll() }
        for index in connections.indices { move(index) }
        sweep()
    }

    private func isOver(_ trouble: TroubledProxy.Trouble?, _ now: ContinuousClock.Instant) -> Bool {
        switch trouble {
        case .stalled(let until), .slow(_, let until): until <= now
        case .cut, .halfClosed, nil: false
        }
    }

    private mutating func move(_ index: Int) {
        var most = 64 << 10
        switch connections[index].trouble {
        case .stalled: return
        case .slow(let bytes, _): most = bytes
        case .cut, .halfClosed, nil: break
        }
        var isOver = false
        for flow in 0..<2 { move(&connections[index].flows[flow], most, &isOver) }
        if isOver { connections[index].isOver = true }
        if connections[index].flows.allSatisfy(\.saidEnd) { connections[index].isOver = true }
    }

    private func move(_ flow: inout Flow, _ most: Int, _ isOver: inout Bool) {
        if !flow.hasEnded && flow.bytes.count < Flow.most {
            var buffer = [UInt8](repeating: 0, count: most)
            let count = recv(flow.from, &buffer, most, Int32(MSG_DONTWAIT))
            if count > 0 {
                flow.bytes += buffer[..<count]
            } else if count == 0 {
                flow.hasEnded = true
            } else if errno != EAGAIN && errno != EINTR {
                isOver = true
            }
        }
        if !flow.bytes.isEmpty {
            let count = send(
                flow.to, flow.bytes, min(most, flow.bytes.count), Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            if count > 0 {
                flow.bytes.removeFirst(count)
            } else if count < 0 && errno != EAGAIN && errno != EINTR {
                isOver = true
            }
        }
        if flow.hasEnded && flow.bytes.isEmpty && !flow.saidEnd {
            shutdown(flow.to, Int32(SHUT_WR))
            flow.saidEnd = true
        }
    }

    private mutating func acceptAll() {
        while true {
            let peer = accept(listener, nil, nil)
            guard peer >= 0 else { return }
            // A child that inherited it would keep it open.
            _ = fcntl(peer, F_SETFD, FD_CLOEXEC)
            let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var address = TroubledProxy.address(target)
            let isConnected = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                }
            }
            guard isConnected else {
                Glibc.close(peer)
                Glibc.close(server)
                continue
            }
            connections.append(Connection(flows: [Flow(from: peer, to: server), Flow(from: server, to: peer)]))
        }
    }

    private mutating func sweep() {
        for connection in connections where connection.isOver {
            Glibc.close(connection.flows[0].from)
            Glibc.close(connection.flows[0].to)
        }
        connections.removeAll(where: \.isOver)
    }

    mutating func close() {
        for index in connections.indices { connections[index].isOver = true }
        sweep()
        Glibc.close(listener)
    }
}
