package import RoostModel

/// A fact the scheduler is told.
package enum Event: Sendable {
    case clientConnected(ConnectionID, Principal, ClientHello, peer: String)
    case nodeConnected(ConnectionID, NodeHello, peer: String)
    /// The guard of a node's agent says that the agent is dead.
    case guardReported(GuardReport)
    case clientSaid(ConnectionID, ClientToServer)
    case nodeSaid(ConnectionID, NodeToServer)
    case disconnected(ConnectionID)
    /// The instant that `nextDeadline` named has come.
    case deadlinePassed
    /// The first so many writes that this scheduler asked for are on disk.
    case committed(UInt64)
    /// A node was not told of a job: what its tasks share is not on disk as it was written.
    case jobNotSent(ConnectionID, JobID)
    /// A grant did not leave: the arguments of these tasks are not on disk as they were written.
    case grantNotSent(ConnectionID, AttemptRun, RoostError)
}

/// What the shell has to do, in this order: close, send, hand the writes to the store; send what depends on them when they,
/// and all before them, are on disk.
package struct Effects {
    package var toNodes: [Letter<ServerToNode>] = []
    package var toClients: [Letter<ServerToClient>] = []
    package var closes: [Closing] = []
    package var notices: [Notice] = []
    package var writes: [StoreWrite] = []
    /// Letters that leave when every write so far is on disk.
    package var afterWrites = Letters()

    package struct Letters {
        package var toNodes: [Letter<ServerToNode>] = []
        package var toClients: [Letter<ServerToClient>] = []

        package init() {}

        package var isEmpty: Bool { toNodes.isEmpty && toClients.isEmpty }

        package mutating func append(_ other: Letters) {
            toNodes += other.toNodes
            toClients += other.toClients
        }
    }

    /// A message and whom it is for.
    package struct Letter<Message> {
        package var connection: ConnectionID
        package var message: Message
        /// It depends on no write, whatever job it is about.
        package var isUrgent = false
        /// Where the payloads of the outcomes, or the arguments, in it are, when they are not in it.
        package var stored: StoredPayloads?
    }

    /// Payloads of a job, in the store: of those in one place, those at these positions.
    package struct StoredPayloads: Hashable, Sendable {
        package var job: JobID
        package var place: StoredPlace
        package var positions: [Range<Int>]
    }

    /// A connection to end, and what to tell the peer.
    package struct Closing {
        package var connection: ConnectionID
        package var reason: RoostError
    }

    package init() {}

    package mutating func send(
        _ message: ServerToNode, to connection: ConnectionID, isUrgent: Bool = false, stored: StoredPayloads? = nil
    ) {
        toNodes.append(Letter(connection: connection, message: message, isUrgent: isUrgent, stored: stored))
    }

    package mutating func send(
        _ message: ServerToClient, to connection: ConnectionID, stored: StoredPayloads? = nil
    ) {
        toClients.append(Letter(connection: connection, message: message, stored: stored))
    }

    package mutating func close(_ connection: ConnectionID, _ reason: RoostError) {
        closes.append(Closing(connection: connection, reason: reason))
    }

    package mutating func removeAll() {
        toNodes.removeAll(keepingCapacity: true)
        toClients.removeAll(keepingCapacity: true)
        closes.removeAll(keepingCapacity: true)
        notices.removeAll(keepingCapacity: true)
        writes.removeAll(keepingCapacity: true)
        afterWrites = Letters()
    }
}

/// Something an operator wants in the log.
package enum Notice: Hashable, Sendable {
    case nodeJoined(name: String, slots: Int)
    case nodeReturned(name: String)
    case nodeSuspect(name: String)
    case nodeLost(name: String, reason: String, tasks: Int)
    case nodeLeft(name: String, reason: String)
    /// It is drained: so many tasks crashed there that succeeded elsewhere.
    case nodeQuarantined(name: String, tasks: Int)
    case jobOpened(number: UInt32, user: String)
    case jobEnded(number: UInt32, JobProgress)
    case taskHeld(number: UInt32, task: TaskIndex, reason: String)
    case sessionLost(description: String, jobs: Int)
    /// A durable job's client left while it submitted: the job has the tasks that had come.
    case jobCutShort(number: UInt32, tasks: UInt32)
    case jobRestored(number: UInt32, tasks: UInt32, done: UInt32)
    case jobDamaged(number: UInt32, reason: String)
    case recovered(waited: Duration, nodesMissing: Int)
}
