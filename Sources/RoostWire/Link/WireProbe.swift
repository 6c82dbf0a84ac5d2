package import NIOCore
import NIOPosix
package import RoostModel

/// The first steps of a connection one by one, for whoever has to find out which of them fails.
package enum WireProbe {
    /// An address of a server, and how it reads: `192.0.2.1:7117`.
    package struct Address: Sendable, CustomStringConvertible {
        let address: SocketAddress
        package var description: String { SocketAddress.words(address) }
    }

    /// What a host's name resolves to; never empty, and never longer than ``Limits/connectTimeout``.
    package static func resolve(
        host: String, port: Int, on loop: any EventLoop
    ) async throws(RoostError) -> [Address] {
        try await Resolver.addresses(host: host, port: port, on: loop).map { Address(address: $0) }
    }

    /// How long a TCP connection to the address takes.
    package static func connect(to address: Address, on loop: any EventLoop) async throws(RoostError) -> Duration {
        let start = Clock.now()
        do {
            let channel = try await ClientBootstrap(group: loop).connectTimeout(.connectTimeout)
                .connect(to: address.address).get()
            let time = Clock.now() - start
            try? await channel.close().get()
            return time
        } catch let error as IOError {
            throw RoostError(.unreachable, "\(address) does not answer", cause: systemErrorText(error.errnoCode))
        } catch ChannelError.connectTimeout {
            throw RoostError(.unreachable, "\(address) did not answer within \(Limits.connectTimeout.inSeconds) s")
        } catch {
            throw RoostError(.unreachable, "\(address) does not answer", cause: "\(error)")
        }
    }
}
