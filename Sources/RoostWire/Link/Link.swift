package import RoostModel

/// One end of a connection, carrying message values. Everything happens on its event loop.
package protocol Link<Outgoing>: AnyObject {
    associatedtype Outgoing: WireMessage

    /// Adds a message to what the next ``flush()`` sends. After the link has closed, it is dropped.
    func send(_ message: Outgoing)

    /// Sends everything added since the last flush, as one write.
    func flush()

    /// Whether the peer keeps up. While it does not, hold back everything that can wait; the delegate hears when
    /// it does again.
    var isWritable: Bool { get }

    /// Without a reason: sends what was added and closes. With one: tells the peer and closes, without waiting for
    /// large messages on their way.
    func close(_ reason: RoostError?)

    /// The peer's address, for people.
    var peer: String { get }
}

/// What a link tells its owner, on the link's event loop.
package protocol LinkDelegate<Incoming>: AnyObject {
    associatedtype Incoming: WireMessage

    /// All messages of one read, in order.
    func linkReceived(_ messages: [Incoming])

    func linkWritabilityChanged(_ isWritable: Bool)

    /// The last call, exactly once for each link, also when its owner closed it.
    func linkClosed(_ reason: RoostError)
}
