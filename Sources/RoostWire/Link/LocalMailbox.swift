import NIOCore
import RoostModel
import Synchronization

/// What is on its way to one end of a ``LocalLink``.
///
/// The writer's loop puts batches in; the first one since the last delivery schedules a turn of the reader's loop,
/// and that turn takes everything. The lock is held for the length of an array append.
final class LocalMailbox<Message: WireMessage>: Sendable {
    private let reader: any EventLoop
    private let state = Mutex(State())
    /// What the reader does with its turn; touched on the reader's loop only.
    private let turn: NIOLoopBoundBox<(() -> Void)?>

    /// From this many undelivered messages on, the writer is asked to wait.
    private static var spaciousCount: Int { 4096 }

    private struct State {
        var messages: [Message] = []
        var end: RoostError?
        var isOpen = false
        var isTurnScheduled = false
        /// The writer was told to wait, and wants to hear when it need not.
        var isWriterWaiting = false
    }

    init(reader: any EventLoop) {
        self.reader = reader
        turn = .makeEmptyBox(eventLoop: reader)
    }

    /// From now on `turn` runs, on the reader's loop, when something has arrived.
    func open(_ turn: @escaping () -> Void) {
        self.turn.value = turn
        let isDue = state.withLock { state in
            state.isOpen = true
            state.isTurnScheduled = !state.messages.isEmpty || state.end != nil
            return state.isTurnScheduled
        }
        if isDue { scheduleTurn() }
    }

    /// Adds a batch, leaving `batch` empty. Whether there is space for more.
    func put(_ batch: inout [Message]) -> Bool {
        // A closed mailbox drops what comes: nobody will read it.
        let (isDue, hasSpace) = state.withLock { state in
            if state.end == nil {
                if state.messages.isEmpty {
                    swap(&state.messages, &batch)
                } else {
                    state.messages.append(contentsOf: batch)
                }
            }
            let hasSpace = state.messages.count < Self.spaciousCount
            if !hasSpace { state.isWriterWaiting = true }
            return (Self.mustSchedule(&state), hasSpace)
        }
        batch.removeAll(keepingCapacity: true)
        if isDue { scheduleTurn() }
        return hasSpace
    }

    /// After what is in the mailbox comes the end.
    func close(_ reason: RoostError) {
        let isDue = state.withLock { state in
            if state.end == nil { state.end = reason }
            return Self.mustSchedule(&state)
        }
        if isDue { scheduleTurn() }
    }

    /// Gives the reader a turn although nothing has arrived.
    func nudge() {
        let isDue = state.withLock { Self.mustSchedule(&$0) }
        if isDue { scheduleTurn() }
    }

    var hasSpace: Bool { state.withLock { $0.messages.count < Self.spaciousCount } }

    struct Delivery {
        var messages: [Message]
        var end: RoostError?
        /// Whether to tell the writer that there is space again.
        var isWriterWaiting: Bool
    }

    /// Everything that has arrived; the reader's turn begins with it.
    func take() -> Delivery {
        state.withLock { state in
            let delivery = Delivery(messages: state.messages, end: state.end, isWriterWaiting: state.isWriterWaiting)
            state.messages = []
            state.isWriterWaiting = false
            state.isTurnScheduled = false
            return delivery
        }
    }

    /// The reader is gone: no more turns.
    func abandon() {
        turn.value = nil
        state.withLock { state in
            state.isOpen = false
            state.messages = []
        }
    }

    private static func mustSchedule(_ state: inout State) -> Bool {
        guard state.isOpen, !state.isTurnScheduled else { return false }
        state.isTurnScheduled = true
        return true
    }

    private func scheduleTurn() {
        reader.execute { self.turn.value?() }
    }
}
