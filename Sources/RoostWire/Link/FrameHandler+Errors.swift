import NIOCore
import NIOSSL
import RoostModel

extension FrameHandler {
    /// A channel's error in words for people.
    static func words(for error: any Error, isConnected: Bool) -> RoostError {
        if let known = error as? RoostError { return known }
        let code: RoostError.Code = isConnected ? .lost : .unreachable
        if let tls = error as? NIOSSLError {
            switch tls {
            case .handshakeFailed(let cause):
                return RoostError(
                    code, "the TLS handshake failed", remedy: "is a Roost server listening there?", cause: "\(cause)")
            case .uncleanShutdown:
                return RoostError(code, "the connection was cut")
            default:
                return RoostError(code, "the TLS connection failed", cause: "\(tls)")
            }
        }
        if let system = error as? IOError {
            return RoostError(code, "the connection was lost", cause: systemErrorText(system.errnoCode))
        }
        return RoostError(code, "the connection failed", cause: "\(error)")
    }
}

extension SocketAddress {
    /// `192.0.2.1:7117` or `[2001:db8::1]:7117`.
    static func words(_ address: SocketAddress) -> String {
        guard let host = address.ipAddress, let port = address.port else { return address.pathname ?? "unknown" }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
