import NIOCore
import RoostModel
import RoostWire

/// Keeps a client connected: dials, and dials again after a cut, until the pool is closed or the server refuses.
struct ConnectionSupervisor: Sendable {
    let dialer: WireDialer
    let loop: any EventLoop
    let hello: ClientHello

    /// The first connection decides: its error is thrown, after some patience with a server that is being started. Later
    /// ones are tried again and again.
    func open() async throws(RoostError) -> (Pool, Task<Void, Never>) {
        let (cuts, cut) = AsyncStream<RoostError>.makeStream()
        let core: NIOLoopBound<ClientCore>
        do {
            core = try await loop.submit { [loop, hello] in
                NIOLoopBound(
                    ClientCore(session: hello.session, loop: loop) { cut.yield($0) }, eventLoop: loop)
            }.get()
        } catch {
            throw RoostError(.internal, "the client's event loop does not run", cause: "\(error)")
        }
        let welcome = try await dial(core, patience: Limits.firstConnectionPatience)
        let pool = Pool(loop: loop, session: hello.session, core: core, welcome: welcome)
        // It lives as long as the pool: closing the pool cancels it.
        let keeper = Task { [self, weak pool] in
            var pace = RedialPace(connectedAt: Clock.now())
            for await cut in cuts {
                guard !Task.isCancelled else { return }
                do throws(RoostError) {
                    // What the server did not want to hear it would hear again.
                    if Self.isFinal(cut) { throw cut }
                    let welcome = try await dialUntilAnswered(core, &pace)
                    pool?.noteWelcome(welcome)
                } catch {
                    pool?.giveUp(error)
                    return
                }
            }
        }
        return (pool, keeper)
    }

    private func dial(_ core: NIOLoopBound<ClientCore>, patience: Duration = .zero) async throws(RoostError) -> Welcome {
        try await dialer.connect(hello: .client(hello), on: loop, patience: patience) {
            (welcome: Welcome, link: any Link<ClientToServer>) -> any LinkDelegate<ServerToClient> in
            core.value.connected(welcome, link)
        }.welcome
    }

    /// Whether dialling again would come to the same end.
    private static func isFinal(_ cut: RoostError) -> Bool {
        [.refused, .protocolViolation, .usage, .conflict, .internal].contains(cut.code)
    }

    /// Each wait is up to half longer than the pace says, so that a thousand clients do not come back in one instant.
    private func dialUntilAnswered(
        _ core: NIOLoopBound<ClientCore>, _ pace: inout RedialPace
    ) async throws(RoostError) -> Welcome {
        var wait = pace.waitAfterCut(at: Clock.now())
        while true {
            let jitter = Double.random(in: 1...1.5)
            do { try await Task.sleep(for: wait * jitter) } catch { throw RoostError(.cancelled, "the pool was closed") }
            do throws(RoostError) {
                let welcome = try await dial(core)
                pace.connected(at: Clock.now())
                return welcome
            } catch {
                guard error.code == .unreachable || error.code == .lost else { throw error }
            }
            wait = pace.waitAfterFailure()
        }
    }
}
