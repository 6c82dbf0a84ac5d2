import Glibc
import NIOCore
import NIOPosix
import RoostModel

/// Host names to addresses: all of them, and within a limited time.
enum Resolver {
    /// Never empty. The system's resolver runs on a thread of its own; a name server that does not answer costs the
    /// caller ``Limits/connectTimeout``, not more.
    static func addresses(
        host: String, port: Int, on loop: any EventLoop, isPassive: Bool = false
    ) async throws(RoostError) -> [SocketAddress] {
        guard (0...65_535).contains(port) else { throw RoostError(.usage, "\(port) is not a port: 0 to 65535") }
        if let address = try? SocketAddress(ipAddress: host, port: port) { return [address] }
        let answer = loop.makePromise(of: [SocketAddress].self)
        let late = RoostError(
            .unreachable, "the name \(host) was not resolved within \(Limits.connectTimeout.inSeconds) s",
            remedy: "check the name and this machine's name servers, or use an IP address")
        let timer = loop.scheduleTask(in: .connectTimeout) { answer.fail(late) }
        NIOSingletons.posixBlockingThreadPool.submit { state in
            guard case .active = state else { return answer.fail(late) }
            answer.completeWith(Result { try lookUp(host, port: port, isPassive: isPassive) })
        }
        do {
            let addresses = try await answer.futureResult.get()
            timer.cancel()
            return addresses
        } catch let error as RoostError {
            timer.cancel()
            throw error
        } catch {
            throw RoostError(.unreachable, "the name \(host) cannot be resolved", cause: "\(error)")
        }
    }

    private static func lookUp(_ host: String, port: Int, isPassive: Bool) throws(RoostError) -> [SocketAddress] {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = isPassive ? AI_PASSIVE : AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        let status = unsafe getaddrinfo(host, "\(port)", &hints, &list)
        guard status == 0 else {
            let cause = unsafe status == EAI_SYSTEM ? systemErrorText(errno) : String(cString: gai_strerror(status))
            throw RoostError(
                .unreachable, "the name \(host) cannot be resolved",
                remedy: "check the name and this machine's name servers, or use an IP address", cause: cause)
        }
        defer { unsafe freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var entry = unsafe list
        while let current = unsafe entry {
            if let address = unsafe current.pointee.ai_addr.flatMap({ unsafe socketAddress($0) }),
                !addresses.contains(address)
            {
                addresses.append(address)
            }
            unsafe entry = current.pointee.ai_next
        }
        guard !addresses.isEmpty else { throw RoostError(.unreachable, "the name \(host) has no address") }
        return addresses
    }

    private static func socketAddress(_ raw: UnsafeMutablePointer<sockaddr>) -> SocketAddress? {
        switch CInt(unsafe raw.pointee.sa_family) {
        case AF_INET:
            unsafe raw.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { SocketAddress(unsafe $0.pointee) }
        case AF_INET6:
            unsafe raw.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { SocketAddress(unsafe $0.pointee) }
        default: nil
        }
    }
}

extension SocketAddress {
    /// Whether only this machine can be at the other end.
    var isLoopback: Bool {
        switch self {
        case .v4: ipAddress?.hasPrefix("127.") ?? false
        case .v6: ipAddress == "::1" || (ipAddress?.hasPrefix("::ffff:127.") ?? false)
        case .unixDomainSocket: true
        }
    }
}
