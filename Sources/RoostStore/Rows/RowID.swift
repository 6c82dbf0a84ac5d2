import RoostModel

/// The key of a row that belongs to a job: the job's number, then the row's place among its like.
///
/// So the rows of a job lie together, in their order, and appending goes to the end of the job's stretch: no index is
/// needed beside SQLite's own.
struct RowID {
    /// The keys of all rows of the job with this number.
    static func all(of number: UInt32) -> ClosedRange<Int64> {
        let first = Int64(bitPattern: UInt64(number) << 32)
        return first...(first | 0xFFFF_FFFF)
    }

    /// - Throws: `.limit` for a place beyond 2^32.
    static func at(_ place: UInt64, of number: UInt32) throws(RoostError) -> Int64 {
        guard place <= UInt64(UInt32.max) else {
            throw RoostError(
                .limit, "job \(number) has more than \(UInt32.max) records",
                remedy: "Submit the rest of its tasks as another job.")
        }
        return Int64(bitPattern: UInt64(number) << 32 | place)
    }
}
