import DequeModule
import RoostScheduler
import RoostWire

/// A peer's link, and the letters that wait until it takes more: from the first one on whose payloads are on disk, in order; but not
/// those that overtake on the link, too. Nothing is read from the disk ahead of what the peer takes.
final class Outbox<Message: WireMessage> {
    let link: any Link<Message>
    private var waiting: Deque<Effects.Letter<Message>> = []

    init(_ link: any Link<Message>) { self.link = link }

    /// - Parameter whole: The message, with what of it was left on disk; nil: it is not to be sent.
    func send(_ letter: Effects.Letter<Message>, completing whole: (Effects.Letter<Message>) -> Message?) {
        let mayLeave = waiting.isEmpty && (letter.stored == nil || link.isWritable)
        guard mayLeave || letter.message.lane == .urgent else { return waiting.append(letter) }
        put(letter, whole)
        // So that the link says when it has enough.
        if letter.stored != nil { link.flush() }
    }

    /// The peer has taken what was on its way.
    func sendWaiting(completing whole: (Effects.Letter<Message>) -> Message?) {
        while link.isWritable, let letter = waiting.popFirst() {
            put(letter, whole)
            link.flush()
        }
    }

    private func put(_ letter: Effects.Letter<Message>, _ whole: (Effects.Letter<Message>) -> Message?) {
        if let message = whole(letter) { link.send(message) }
    }
}
