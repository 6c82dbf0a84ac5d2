import Foundation
import Glibc
import RoostTesting
import Synchronization

/// Network namespaces, one for the server and one for each of its peers, and between them a network that loses packets, delays them
/// and falls silent: what a cable, a radio or a firewall does, and no proxy can, since nobody is told that anything is wrong.
///
///     peer ── tun 10.111.0.2 ──▶ relay ──▶ tun 10.111.0.1 ── server
///          ◀──                 (a thread)                ◀──
///
/// A namespace lives as long as the process that holds it, a device as long as its descriptor: both end with this process, however it does.
final class TroubledNetwork: Sendable {
    /// What happens to the packets of one peer, until then.
    enum Fault {
        /// All are lost: of both directions, or only what the peer sends, or only what it is sent.
        case silence(toServer: Bool, toPeer: Bool)
        /// This share is lost.
        case loss(Double)
        /// Each is late by as much, the one more, the other less, so that some overtake others.
        case delay(from: Duration, to: Duration)
    }

    /// Packets that came through, and what became of the others.
    struct Counts {
        var passed = 0
        var silenced = 0
        var lost = 0
        var delayed = 0
    }

    struct Order {
        var peer: Int
        var fault: Fault
        var until: ContinuousClock.Instant
    }

    private struct State {
        var orders: [Order] = []
        var isHealed = false
        var isEnding = false
        var hasEnded = false
        var counts = Counts()
    }

    /// What the relay's thread and this share: a network that is let go ends its thread.
    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    static let serverHost = "10.111.0.1"

    /// Why there can be none; nil: there can.
    static let missing: String? = {
        let path = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        for tool in ["ip", "unshare", "nsenter"] where !path.contains(where: { access("\($0)/\(tool)", X_OK) == 0 }) {
            return "no '\(tool)' in the PATH"
        }
        let device = open("/dev/net/tun", O_RDWR | O_CLOEXEC)
        guard device >= 0 else { return "/dev/net/tun: \(String(cString: strerror(errno)))" }
        close(device)
        let probe = Process()
        probe.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        probe.arguments = ["unshare", "--net", "ip", "tuntap", "add", "dev", "probe", "mode", "tun"]
        probe.standardError = FileHandle.nullDevice
        guard (try? probe.run()) != nil else { return "no /usr/bin/env" }
        probe.waitUntilExit()
        return probe.terminationStatus == 0 ? nil : "this user may make no network namespaces or no devices in them"
    }()

    private let holders: [RoostProcess]
    /// What holders read: they end when it does.
    private let inputs: [Pipe]
    private let shared = Shared()

    /// - Parameter peers: How many there are, besides the server.
    init(_ stage: Stage, peers: Int, _ dice: inout SeededGenerator) async throws {
        var holders: [RoostProcess] = []
        var inputs: [Pipe] = []
        var devices: [Int32] = []
        do {
            for place in 0...peers {
                let input = Pipe()
                let holder = try stage.start(["--net", "cat"], program: "unshare", input: input)
                inputs.append(input)
                holders.append(holder)
                try await eventually("a network namespace") {
                    guard holder.isRunning else { throw Trouble(description: "unshare: \(holder.errors)") }
                    return Self.namespace(of: holder.pid) != Self.namespace(of: getpid())
                }
                let name = "rt\(getpid() % 100_000)x\(place)"
                devices.append(try Self.openDevice(name))
                let inside = Self.within(holder.pid)
                for command in [
                    ["ip", "link", "set", name, "netns", "\(holder.pid)"],
                    inside + ["ip", "address", "add", "10.111.0.\(place + 1)/24", "dev", name],
                    inside + ["ip", "link", "set", name, "txqueuelen", "5000", "up"],
                    inside + ["ip", "link", "set", "lo", "up"],
                ] {
                    let process = try stage.start(Array(command.dropFirst()), program: command[0])
                    guard try await process.status() == 0 else { throw Trouble(description: "\(command): \(process.errors)") }
                    stage.discard(process)
                }
            }
        } catch {
            for device in devices { close(device) }
            throw error
        }
        self.holders = holders
        self.inputs = inputs
        let relay = PacketRelay(devices: devices, dice: dice.fork())
        Thread.detachNewThread { [shared, devices] in
            var relay = relay
            while true {
                let (orders, isHealed, isEnding) = shared.state.withLock { state in
                    defer { (state.orders, state.isHealed) = ([], false) }
                    state.counts = relay.counts
                    return (state.orders, state.isHealed, state.isEnding)
                }
                if isEnding { break }
                if isHealed { relay.heal() }
                for order in orders { relay.apply(order) }
                relay.turn()
            }
            for device in devices { close(device) }
            shared.state.withLock { $0.hasEnded = true }
        }
    }

    deinit { shared.state.withLock { $0.isEnding = true } }

    /// What starts a program in the namespace of the server, or of a peer, from 1 on.
    func within(_ place: Int) -> [String] { Self.within(holders[place].pid) }

    var counts: Counts { shared.state.withLock { $0.counts } }

    /// Troubles a peer, from 1 on.
    func trouble(_ peer: Int, _ fault: Fault, until: ContinuousClock.Instant) {
        shared.state.withLock { $0.orders.append(Order(peer: peer, fault: fault, until: until)) }
    }

    func heal() { shared.state.withLock { ($0.orders, $0.isHealed) = ([], true) } }

    /// Ends all; a namespace that a process is still in lives on.
    func end() async throws {
        shared.state.withLock { $0.isEnding = true }
        try await eventually("the relay ends") { shared.state.withLock { $0.hasEnded } }
        for input in inputs { try? input.fileHandleForWriting.close() }
        for holder in holders { _ = try await holder.status() }
    }

    private static func within(_ pid: Int32) -> [String] { ["nsenter", "--net=/proc/\(pid)/ns/net"] }

    private static func namespace(of pid: Int32) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/ns/net")
    }

    /// A device of packets without headers of their own, which goes when its descriptor is closed.
    private static func openDevice(_ name: String) throws -> Int32 {
        let device = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK)
        guard device >= 0 else { throw Trouble(description: "/dev/net/tun: \(String(cString: strerror(errno)))") }
        // struct ifreq: a name of 16 bytes, then IFF_TUN | IFF_NO_PI.
        var request = [UInt8](repeating: 0, count: 40)
        request.replaceSubrange(0..<name.utf8.count, with: name.utf8)
        (request[16], request[17]) = (0x01, 0x10)
        let setInterface: UInt = 0x4004_54CA
        guard ioctl(device, setInterface, &request) == 0 else {
            defer { close(device) }
            throw Trouble(description: "a tun device: \(String(cString: strerror(errno)))")
        }
        return device
    }
}
