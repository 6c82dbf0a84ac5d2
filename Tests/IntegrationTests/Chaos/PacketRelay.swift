import Foundation
import Glibc
import RoostTesting

/// What passes packets on between the devices of a ``TroubledNetwork``; used by its thread only.
struct PacketRelay {
    /// What happens to a peer's packets, and until when.
    private struct Peer {
        var silentToServer = ContinuousClock.now
        var silentToPeer = ContinuousClock.now
        var loss: (share: Double, until: ContinuousClock.Instant) = (0, .now)
        var delay: (from: Duration, to: Duration, until: ContinuousClock.Instant) = (.zero, .zero, .now)
    }

    private struct Late {
        var due: ContinuousClock.Instant
        var device: Int32
        var packet: [UInt8]
    }

    private(set) var counts = TroubledNetwork.Counts()
    /// The server's first.
    private let devices: [Int32]
    private var peers: [Peer]
    private var late: [Late] = []
    private var dice: SeededGenerator
    private var buffer = [UInt8](repeating: 0, count: 2048)

    init(devices: [Int32], dice: SeededGenerator) {
        self.devices = devices
        self.dice = dice
        peers = Array(repeating: Peer(), count: devices.count)
    }

    mutating func apply(_ order: TroubledNetwork.Order) {
        switch order.fault {
        case .silence(let toServer, let toPeer):
            if toServer { peers[order.peer].silentToServer = order.until }
            if toPeer { peers[order.peer].silentToPeer = order.until }
        case .loss(let share): peers[order.peer].loss = (share, order.until)
        case .delay(let from, let to): peers[order.peer].delay = (from, to, order.until)
        }
    }

    mutating func heal() { peers = Array(repeating: Peer(), count: devices.count) }

    /// Waits some milliseconds for packets, and passes on what there is.
    mutating func turn() {
        var polls = devices.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        poll(&polls, nfds_t(polls.count), late.isEmpty ? 5 : 1)
        let now = ContinuousClock.now
        for place in polls.indices where polls[place].revents != 0 {
            while true {
                let count = read(devices[place], &buffer, buffer.count)
                guard count > 0 else { break }
                pass(Array(buffer[..<count]), from: place, at: now)
            }
        }
        for packet in late where packet.due <= now { send(packet.packet, packet.device) }
        late.removeAll { $0.due <= now }
    }

    private mutating func pass(_ packet: [UInt8], from: Int, at now: ContinuousClock.Instant) {
        // Of IPv4; the last byte of the address says who it is for.
        guard packet.count >= 20, packet[0] >> 4 == 4 else { return }
        let to = from == 0 ? Int(packet[19]) - 1 : 0
        guard devices.indices.contains(to), to != from else { return }
        let peer = peers[from == 0 ? to : from]
        if now < (from == 0 ? peer.silentToPeer : peer.silentToServer) {
            counts.silenced += 1
        } else if now < peer.loss.until && dice.chance(peer.loss.share) {
            counts.lost += 1
        } else if now < peer.delay.until {
            counts.delayed += 1
            late.append(Late(due: now + dice.even(peer.delay.from, peer.delay.to), device: devices[to], packet: packet))
        } else {
            send(packet, devices[to])
        }
    }

    /// A full queue loses it, as queues do.
    private mutating func send(_ packet: [UInt8], _ device: Int32) {
        if write(device, packet, packet.count) == packet.count { counts.passed += 1 } else { counts.lost += 1 }
    }
}
