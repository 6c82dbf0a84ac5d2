package import RoostModel

/// Something the node's machine is told.
package enum NodeEvent: Sendable {
    /// The server said welcome on a new connection; the hello before it carried ``NodeMachine/hello``.
    case connected(Welcome)
    case disconnected
    case serverSaid(ServerToNode)
    /// A worker's attempt ended, all by itself or by a signal we asked for.
    case workerEnded(worker: Int, WorkerEnd)
    /// A worker has done a whole batch; the batch carries job, epoch, tasks and payloads.
    case batchEnded(worker: Int, OutcomeBatch)
    /// What was to start waits for the worker of its seat, which is busy.
    case workerWaits(worker: Int)
    /// It waits no longer.
    case workerBegan(worker: Int)
    /// A task of a worker's batch, the one at `position`, signalled something while it runs.
    case workerSignalled(worker: Int, position: Int, bytes: [UInt8])
    case workerPrinted(worker: Int, OutputChunk.Stream, offset: UInt64, bytes: [UInt8])
    /// A batch could not be stored: there is no room, or the disk fails. Here it is back.
    case storingFailed(sequence: UInt64, OutcomeBatch)
    /// A stored batch has left for the server.
    case storedSent(sequence: UInt64)
    /// A stored batch cannot be read back: what its tasks returned is lost.
    case storedUnreadable(sequence: UInt64)
    /// SIGTERM, or a reclaim notice: finish what runs, take no more.
    case drainRequested(reason: String)
    /// A second SIGTERM: stop at once.
    case stopRequested(reason: String)
    case loadMeasured(milliLoad: UInt32)
    /// The processes that outlive their tasks, as they are now.
    case workersChanged([WorkerSnapshot])
    case deadlinePassed
}

/// How a worker's attempt ended, as the runtime saw it.
package struct WorkerEnd: Sendable {
    package var end: AttemptEnd
    package var payload: [UInt8]
    package var postMortem: PostMortem?
    package var runNanoseconds: UInt64

    package init(end: AttemptEnd, payload: [UInt8], postMortem: PostMortem? = nil, runNanoseconds: UInt64 = 0) {
        self.end = end
        self.payload = payload
        self.postMortem = postMortem
        self.runNanoseconds = runNanoseconds
    }
}

/// Something the node's shell has to do.
package enum NodeAction: Sendable {
    case send(NodeToServer)
    /// Keep this batch on disk; if `sends`, send it, too, once the link takes it, and answer with ``NodeEvent/storedSent(sequence:)``.
    case store(sequence: UInt64, OutcomeBatch, sends: Bool)
    /// Read a stored batch back and send it once the link takes it; the answer is the same.
    case sendStored(sequence: UInt64)
    /// Forget a stored batch.
    case discardStored(sequence: UInt64)
    /// Run these tasks, one after the other, on this worker.
    case start(worker: Int, WorkerStart)
    case signal(worker: Int, WorkerSignal)
    case stream(worker: Int, on: Bool)
    /// Somebody wants this signal sent to a process, should it be a worker that outlives its tasks.
    case signalWorker(processID: Int32, signal: Int32)
    /// Nothing was heard from the server for too long: connect anew.
    case reconnect
    /// All is done, or all is given up: end the agent.
    case leave(reason: String)
}

/// How an attempt is stopped.
package enum WorkerSignal: Sendable, Hashable { case interrupt, terminate, kill }

package struct WorkerStart: Sendable {
    package var job: JobSpec
    package var epoch: Epoch
    package var attempt: UInt32
    package var tasks: TaskRange
    package var arguments: PayloadSlice
    /// Whether somebody watches: output goes out while the task runs. Also where ``JobSpec/streamsOutput`` says so.
    package var isWatched: Bool
    /// Whether anybody is sent what the task says while it runs.
    var streams: Bool { isWatched || job.streamsOutput }
}

/// A deliberate bug of the node, switched on in a test to prove that the simulator would find it.
package enum NodeSabotage: String, Sendable, CaseIterable {
    /// Results are forgotten when sent, not when acknowledged.
    case forgetWhenSent
    /// A retract gives back what a worker runs already.
    case giveBackRunning
    /// Retracted tasks are given back and run all the same.
    case keepRetracted
    /// A drop is ignored.
    case ignoreDrop
    /// More runs at once than the node has room for.
    case overCommit
    /// A strict task goes on when its lease is over.
    case ignoreLease
    /// Stored results are not sent again on a new connection.
    case forgetStored
}
