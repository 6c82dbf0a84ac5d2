import RoostModel

/// A session's setup log as its client keeps it: all of it, for a server that forgets.
///
/// On each connection the server is asked how much it has, and is sent the rest.
struct SetupLog {
    private let session: SessionID
    private var entries: [[UInt8]] = []
    /// Entries sent on this connection or known to be there; nil before the server has said how many it has.
    private var sent: Int?

    init(session: SessionID) { self.session = session }

    mutating func append(_ payload: [UInt8], isConnected: Bool, into actions: inout [ClientAction]) {
        entries.append(payload)
        guard isConnected else { return }
        if sent != nil { send(into: &actions) } else if entries.count == 1 { ask(into: &actions) }
    }

    mutating func connected(into actions: inout [ClientAction]) {
        sent = nil
        if !entries.isEmpty { ask(into: &actions) }
    }

    /// The server has the first `count` entries.
    mutating func held(_ count: UInt32, into actions: inout [ClientAction]) {
        // An answer to the question; later ones acknowledge what was sent.
        if sent == nil { sent = min(Int(count), entries.count) }
        send(into: &actions)
    }

    private func ask(into actions: inout [ClientAction]) {
        actions.append(.send(.setup(SetupEntry(session: session, number: 0, payload: []))))
    }

    private mutating func send(into actions: inout [ClientAction]) {
        guard let from = sent else { return }
        for index in from..<entries.count {
            let entry = SetupEntry(session: session, number: UInt32(index) + 1, payload: entries[index])
            actions.append(.send(.setup(entry)))
        }
        sent = entries.count
    }
}
