package import RoostModel

/// A message value that has a number and a form on the wire.
package protocol WireMessage: Sendable {
    /// Which message it is; unique over all directions (see docs/protocol.md).
    var number: MessageNumber { get }

    var lane: WireLane { get }

    /// Roughly how large it is: its payloads' bytes, 0 when it has none.
    var payloadBytes: Int { get }

    func encode(into writer: inout ProtobufWriter)

    /// The message of this number in this direction; nil when this direction has no such message.
    static func decode(_ number: MessageNumber, from reader: inout ProtobufReader) throws(WireFault) -> Self?
}

/// What a message must not overtake.
///
/// A payload too large for one frame is cut, and what is sent after it may go between its pieces. Messages about one
/// job stay in the order they were sent; those of different jobs may overtake one another.
package enum WireLane: Hashable, Sendable {
    /// Goes before everything that waits: heartbeats, acknowledgements, answers.
    case urgent
    /// Stays behind what was sent before it about the same job.
    case job(JobID)
    /// Stays behind what was sent before it of the same session's setup.
    case session(SessionID)
    /// Stays behind everything that was sent before it.
    case last
}

/// The numbers of all messages, in all directions. A number is never used again for something else.
package enum MessageNumber: UInt16, CaseIterable, Sendable {
    // Client to server.
    case submit = 1
    case append = 2
    case close = 3
    case read = 4
    case acknowledge = 5
    case watch = 6
    case query = 7
    case clientHeartbeat = 8
    case clientGoodbye = 9
    case setup = 10

    // Server to client.
    case submitted = 33
    case appended = 34
    case delivery = 35
    case progress = 36
    case ended = 37
    case refused = 38
    case reply = 39
    case output = 40
    case serverHeartbeat = 41
    case setupHeld = 42
    case condition = 43

    // Node to server.
    case outcomes = 65
    case retracted = 66
    case running = 67
    case nodeHeartbeat = 68
    case nodeOutput = 69
    case draining = 70
    case nodeGoodbye = 71
    case nodeCondition = 72

    // Server to node.
    case job = 97
    case grant = 98
    case retract = 99
    case cancel = 100
    case acknowledgeOutcomes = 101
    case drop = 102
    case forget = 103
    case watchTasks = 104
    case drain = 105
    case shutDown = 106
    case heartbeatInterval = 107
    case nodeSetup = 108
    case forgetSession = 109
    case killWorker = 110

    package var name: String { "\(self)" }
}
