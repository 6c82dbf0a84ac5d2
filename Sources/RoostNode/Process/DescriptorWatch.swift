import CRoostLinux
import Glibc

/// A descriptor that a ``ProcessEventLoop``'s thread watches for whoever lives on that loop: a socket, a listener.
///
/// What the watch tells is level-triggered: whoever leaves something unread is told again.
package struct DescriptorWatch: Sendable {
    private let shared: ReactorShared
    private let id: UInt64

    init(shared: ReactorShared, id: UInt64) {
        self.shared = shared
        self.id = id
    }

    /// What the watch tells: that something came, at first only that; and that the descriptor takes bytes again.
    package func wait(forBytes: Bool = true, forRoom: Bool = false) {
        shared.send(.rewatch(id, forBytes: forBytes, forRoom: forRoom))
    }

    /// Ends the watch and closes the descriptor. What the present turn has seen already may still be told.
    package func close() { shared.send(.unwatch(id)) }

    /// What can be done with the descriptor. One whose peer has gone, or that is broken, can be both read and written: that will say so.
    package struct Readiness: Sendable {
        package var canRead: Bool
        package var canWrite: Bool
    }
}

/// A watch, as the loop's thread has it.
struct WatchedDescriptor: Sendable {
    var id: UInt64
    var descriptor: Int32
    var onReady: @Sendable (DescriptorWatch.Readiness) -> Void
}

extension ReactorLoop {
    func watch(_ watched: WatchedDescriptor) {
        watches[watched.id] = watched
        // One that cannot be watched is told of at once: what is done with it fails, and says why.
        if !setEvents(of: watched, EPOLL_CTL_ADD, forBytes: true, forRoom: false) {
            watched.onReady(DescriptorWatch.Readiness(canRead: true, canWrite: true))
        }
    }

    func rewatch(_ id: UInt64, forBytes: Bool, forRoom: Bool) {
        if let watched = watches[id] { _ = setEvents(of: watched, EPOLL_CTL_MOD, forBytes: forBytes, forRoom: forRoom) }
    }

    func unwatch(_ id: UInt64) {
        guard let watched = watches.removeValue(forKey: id) else { return }
        // As long as a process that was just forked has it too, the watch would go on.
        epoll_ctl(epoll, EPOLL_CTL_DEL, watched.descriptor, nil)
        close(watched.descriptor)
    }

    func watchReady(_ id: UInt64, _ events: UInt32) {
        let broken = events & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0
        watches[id]?.onReady(
            DescriptorWatch.Readiness(
                canRead: broken || events & EPOLLIN.rawValue != 0, canWrite: broken || events & EPOLLOUT.rawValue != 0))
    }

    private func setEvents(of watched: WatchedDescriptor, _ operation: Int32, forBytes: Bool, forRoom: Bool) -> Bool {
        let events = (forBytes ? EPOLLIN.rawValue : 0) | (forRoom ? EPOLLOUT.rawValue : 0)
        var event = epoll_event(events: events, data: epoll_data(u64: Source.watchBits | watched.id))
        return epoll_ctl(epoll, operation, watched.descriptor, &event) == 0
    }
}
