package import RoostModel

/// A peer whose token is good, before the server has decided what to do with it.
package struct Arrival<Hello: Sendable>: Sendable {
    package var principal: Principal
    /// Which token it showed; nil over plain TCP without one.
    package var token: TokenID?
    package var hello: Hello
    /// The peer's address, for people.
    package var peer: String

    package init(principal: Principal, token: TokenID?, hello: Hello, peer: String) {
        self.principal = principal
        self.token = token
        self.hello = hello
        self.peer = peer
    }
}

/// What the server does with those who connect. Called on the connection's event loop.
package protocol WireAcceptor: Sendable {
    /// Who shows this credential (nil: plain TCP without a token); throws why it is refused.
    func principal(for credential: TokenCredential?) throws(RoostError) -> Principal

    /// Takes in a client, observer or admin. What is sent over `link` meanwhile goes out after the welcome.
    func accept(
        client arrival: Arrival<ClientHello>, over link: any Link<ServerToClient>
    ) throws(RoostError) -> (Welcome, any LinkDelegate<ClientToServer>)

    /// Takes in a node.
    func accept(
        node arrival: Arrival<NodeHello>, over link: any Link<ServerToNode>
    ) throws(RoostError) -> (Welcome, any LinkDelegate<NodeToServer>)

    /// A node's guard says that an incarnation is dead. Its connection is closed after the welcome.
    func heard(_ arrival: Arrival<GuardReport>) throws(RoostError) -> Welcome
}
