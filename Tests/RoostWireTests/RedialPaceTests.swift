import RoostModel
import RoostWire
import Testing

@Suite struct RedialPaceTests {
    @Test func `After a connection that had lasted the server is dialled at once, then with growing waits`() {
        var pace = RedialPace(connectedAt: .zero)
        #expect(pace.waitAfterCut(at: .zero + .seconds(60)) == .zero)
        #expect(pace.waitAfterFailure() == Limits.reconnectFirst)
        #expect(pace.waitAfterFailure() == Limits.reconnectFirst * 2)
        for _ in 0..<20 { _ = pace.waitAfterFailure() }
        #expect(pace.waitAfterFailure() == Limits.reconnectMost)
    }

    @Test func `Whoever is sent away at once comes back more and more slowly`() {
        var pace = RedialPace(connectedAt: .zero)
        var now = Instant.zero
        var waits: [Duration] = []
        for _ in 0..<10 {
            let wait = pace.waitAfterCut(at: now)
            waits.append(wait)
            now = now + wait
            pace.connected(at: now)
        }
        #expect(waits.first == Limits.reconnectFirst)
        #expect(waits.last == Limits.reconnectMost)
        #expect(pace.waitAfterCut(at: now + RedialPace.steadyAfter) == .zero)
    }
}
