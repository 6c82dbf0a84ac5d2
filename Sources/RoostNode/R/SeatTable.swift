import RoostModel

/// Which worker each seat has, or how the one it had has ended. Pure.
struct SeatTable {
    private var seats: [SeatID: State] = [:]

    enum State: Equatable {
        /// A worker, by its token; moves to `ended` when the process ends.
        case taken(by: UInt64)
        /// For good: what was in the worker is gone, and its tasks are told so.
        case ended(String)
    }

    subscript(seat: SeatID) -> State? {
        get { seats[seat] }
        set { seats[seat] = newValue }
    }

    mutating func forget(_ session: SessionID) { seats = seats.filter { $0.key.session != session } }
}
