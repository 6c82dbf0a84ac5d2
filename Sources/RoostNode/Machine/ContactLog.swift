import RoostModel

/// How long the node has been in contact with each of its pool's servers: how long, therefore, clients had the opportunity
/// to ask for what it keeps for them.
struct ContactLog {
    /// Those that are over, ascending by epoch.
    private(set) var contacts: [Contact] = []
    private var current: (epoch: Epoch, since: Instant)?

    /// Of the present server, or of the last one.
    var epoch: Epoch { current?.epoch ?? contacts.last?.epoch ?? 0 }

    mutating func connected(to epoch: Epoch, at now: Instant) {
        disconnected(at: now)
        current = (epoch, now)
    }

    mutating func disconnected(at now: Instant) {
        guard let (epoch, since) = current else { return }
        current = nil
        if let last = contacts.last, last.epoch == epoch {
            contacts[contacts.count - 1].time += now - since
        } else {
            contacts.append(Contact(epoch: epoch, time: now - since))
        }
        // Whatever is older is older than anybody waits for.
        if contacts.count > Limits.contactsPerNode { contacts.removeFirst(contacts.count - Limits.contactsPerNode) }
    }
}
