/// A deliberate bug, switched on in a test to prove that the simulator would find it. Never on otherwise.
package enum Sabotage: String, Sendable, CaseIterable {
    /// An outcome of an attempt that is not the current one is recorded.
    case acceptStaleAttempt
    /// Tasks that a node gave back are never granted again.
    case forgetRetracted
    /// A batch is acknowledged to its node before the client has it, and forgotten by the server.
    case acknowledgeTooEarly
    /// A slot is released twice.
    case releaseSlotTwice
    /// A delivered batch advances a reader's cursor by two.
    case skipDelivery
    /// A lost node's tasks stay granted to it.
    case forgetLostNode
    /// A reconnecting node's inventory is believed without comparing attempts.
    case trustInventory
    /// What a reconnecting node does not have is not granted again.
    case ignoreMissingInventory
    /// A suspect node's tasks are granted elsewhere at once, under the same attempt number.
    case regrantWithoutNewAttempt
    /// Tasks that the client says it has outcomes of run again, and are delivered again.
    case forgetFinished
    /// The crash limit is never reached.
    case forgetCrashes
    /// A node is not sent the setup that a job needs.
    case forgetSetup
    /// A node is believed to have kept its setup when its agent was started again.
    case trustOldSetup
    /// What depends on a write is said before it is on disk.
    case acknowledgeBeforeCommit
    /// After a restart a recorded outcome is not found again.
    case forgetStoredOutcome
    /// How often a task has killed its workers is not written.
    case forgetCrashCounts
    /// Arguments that were left on disk are read from the beginning of what came with them.
    case misplaceArguments
    /// A node that is told of an ended job's new round is not given what its tasks share.
    case forgetLeftCommon
    /// What nodes still have of attached jobs after a restart is dropped.
    case dropClaims
    /// A cancelled job's tasks that wait are left waiting.
    case forgetWaitingOnCancel
    /// Tasks of a seat run on any node.
    case forgetSeats
    /// A seat whose node is not back after the server's restart is bound anew, and nobody told.
    case rebindSeats
}
