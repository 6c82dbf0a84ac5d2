package import NIOCore
package import RoostModel

/// One end of a connection inside the process: it carries the same message values as a ``TLSLink``, without bytes.
///
/// `send` fills an outbox that only this end touches; `flush` moves it to the peer's mailbox, where all that arrived
/// before the peer's turn is delivered in one batch. Delivery is always a turn of its own of the peer's event loop,
/// so an owner is never called while it calls.
package final class LocalLink<Outgoing: WireMessage, Incoming: WireMessage>: Link {
    package let peer: String
    private let inbox: LocalMailbox<Incoming>
    private let mailbox: LocalMailbox<Outgoing>
    private var outbox: [Outgoing] = []
    private var delegate: (any LinkDelegate<Incoming>)?
    private var isClosed = false

    init(peer: String, inbox: LocalMailbox<Incoming>, mailbox: LocalMailbox<Outgoing>) {
        self.peer = peer
        self.inbox = inbox
        self.mailbox = mailbox
    }

    /// From now on `delegate` hears what arrives, and what has arrived already.
    package func open(_ delegate: any LinkDelegate<Incoming>) {
        self.delegate = delegate
        inbox.open { [self] in takeTurn() }
    }

    package func send(_ message: Outgoing) {
        guard !isClosed else { return }
        outbox.append(message)
    }

    package func flush() {
        guard !outbox.isEmpty else { return }
        isWritable = mailbox.put(&outbox)
    }

    package private(set) var isWritable = true

    package func close(_ reason: RoostError?) {
        guard !isClosed else { return }
        flush()
        isClosed = true
        mailbox.close(reason ?? RoostError(.lost, "the other side closed the connection"))
        inbox.close(reason ?? RoostError(.lost, "the connection was closed"))
    }

    /// Everything that arrived, then, if the link is closed, the end.
    private func takeTurn() {
        let delivery = inbox.take()
        if delivery.isWriterWaiting { mailbox.nudge() }
        if !isClosed, !delivery.messages.isEmpty { delegate?.linkReceived(delivery.messages) }
        if !isClosed, !isWritable, mailbox.hasSpace {
            isWritable = true
            delegate?.linkWritabilityChanged(true)
        }
        if let end = delivery.end, let last = delegate {
            isClosed = true
            delegate = nil
            inbox.abandon()
            // What the peer has still to read of ours stays readable; then it ends too.
            mailbox.close(RoostError(.lost, "the other side closed the connection"))
            last.linkClosed(end)
        }
    }
}

/// The two ends of a connection inside the process, before their owners have taken them to their event loops.
package struct LocalEnd<Outgoing: WireMessage, Incoming: WireMessage>: Sendable {
    /// The loop on which the link must be made and used.
    package let eventLoop: any EventLoop
    private let peer: String
    private let inbox: LocalMailbox<Incoming>
    private let mailbox: LocalMailbox<Outgoing>

    /// Two ends, each on its event loop; both may be on the same.
    package static func pair(
        _ first: any EventLoop, _ second: any EventLoop,
        names: (String, String) = ("in this process", "in this process")
    ) -> (LocalEnd<Outgoing, Incoming>, LocalEnd<Incoming, Outgoing>) {
        let toFirst = LocalMailbox<Incoming>(reader: first)
        let toSecond = LocalMailbox<Outgoing>(reader: second)
        return (
            LocalEnd(eventLoop: first, peer: names.1, inbox: toFirst, mailbox: toSecond),
            LocalEnd<Incoming, Outgoing>(eventLoop: second, peer: names.0, inbox: toSecond, mailbox: toFirst)
        )
    }

    private init(
        eventLoop: any EventLoop, peer: String, inbox: LocalMailbox<Incoming>, mailbox: LocalMailbox<Outgoing>
    ) {
        self.eventLoop = eventLoop
        self.peer = peer
        self.inbox = inbox
        self.mailbox = mailbox
    }

    /// The link of this end. Call it once, on its event loop; then ``LocalLink/open(_:)`` it.
    package func makeLink() -> LocalLink<Outgoing, Incoming> {
        eventLoop.preconditionInEventLoop()
        return LocalLink(peer: peer, inbox: inbox, mailbox: mailbox)
    }
}
