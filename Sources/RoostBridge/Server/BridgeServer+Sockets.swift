import Glibc
import NIOCore
import RoostModel
import RoostNode

/// Listening and connections on a ``ProcessEventLoop``.
extension BridgeServer {
    /// - Returns: the port.
    func listen(on loop: ProcessEventLoop) throws -> Int {
        let descriptor = socket(AF_INET, Self.stream, 0)
        guard descriptor >= 0 else { throw RoostError(.io, "no socket", cause: Self.error) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutableBytes(of: &address) { bytes in
            guard let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return false }
            return bind(descriptor, pointer, size) == 0 && Glibc.listen(descriptor, Int32(BridgeLimits.strangers)) == 0
                && getsockname(descriptor, pointer, &size) == 0
        }
        guard isListening else {
            let cause = Self.error
            close(descriptor)
            throw RoostError(.io, "the socket does not listen", cause: cause)
        }
        listeningSocket = loop.watch(descriptor) { _ in self.assumeIsolated { $0.accept(from: descriptor, on: loop) } }
        return Int(in_port_t(bigEndian: address.sin_port))
    }

    private static var stream: Int32 {
        Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    }

    private static var error: String { String(cString: strerror(errno)) }

    private func accept(from listener: Int32, on loop: ProcessEventLoop) {
        guard let listeningSocket else { return }
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else {
            guard errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS else { return }
            // Whoever knocks stays at the door; we would hear of him again and again.
            listeningSocket.wait(forBytes: false)
            loop.scheduleTask(in: .milliseconds(BridgeLimits.acceptPauseMilliseconds)) { listeningSocket.wait() }
            return
        }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        let id = nextConnection()
        let connection = BridgeSocket(id: id, descriptor: descriptor, server: self)
        guard opened(id, connection) else {
            close(descriptor)
            return
        }
        sockets[id] = connection
        connection.open(loop.watch(descriptor) { readiness in self.assumeIsolated { $0.socketReady(id, readiness) } })
    }

    private func socketReady(_ id: Int, _ readiness: DescriptorWatch.Readiness) { sockets[id]?.ready(readiness) }

    func forgetSocket(_ id: Int) {
        sockets[id] = nil
        closed(id)
    }
}
