package import RoostModel

/// How a store works. The defaults are right; tests make numbers small.
package struct StoreOptions: Sendable {
    /// Payloads of more bytes than this go to files of their own.
    package var fileBytes = 256 << 10
    /// Pages of the write-ahead log after which it is copied into the database (8 MiB).
    package var checkpointPages = 2048
    /// Bytes of unfinished jobs' arguments that a start reads into memory; what comes beyond is checked, and left on disk.
    package var argumentBytes = Limits.cachedArgumentBytes
    /// Payload bytes that groups which wait together may bring into one transaction.
    package var transactionBytes = 64 << 20
    /// The most rows that one step deletes of what is forgotten, and their most bytes.
    package var forgetRows = 2000
    package var forgetBytes = 16 << 20
    /// Asked at each point where the store's process may die, or the disk fail, what fails there; for tests.
    package var faults: (@Sendable (StorePoint) -> RoostError?)?

    /// Told once, on the store's own thread, when the store has failed and closed for good: also when nobody waits for a
    /// commit, as while it removes what was forgotten.
    package var onFailure: (@Sendable (RoostError) -> Void)?

    package init() {}

    func reached(_ point: StorePoint) throws(RoostError) { if let error = faults?(point) { throw error } }
}

/// The points between a store's steps: what a crash there leaves is what recovery must deal with.
package enum StorePoint: String, Sendable, CaseIterable {
    case beforePayloadWrite, beforePayloadSync, beforePayloadRename, beforeDirectorySync
    case beforeTransaction, beforeCommit, afterCommit
    case beforeUnlink, beforeCheckpoint, afterCheckpoint, beforeForgetCommit
}
