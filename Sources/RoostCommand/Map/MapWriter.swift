import Glibc
import RoostModel

/// Writes what a session wants written: everything of one burst that goes to the same stream in one write.
struct MapWriter {
    private var pending: [OutputWrite] = []
    private var pendingBytes = 0
    private var isOutputBroken = false

    /// What stopped a write to standard output.
    enum Failure: Error {
        /// Whoever read it has gone.
        case closed
        case failed(MapError)
    }

    mutating func add(_ write: OutputWrite) throws(Failure) {
        pendingBytes += write.bytes.count
        pending.add(write.stream, write.bytes[...])
        if pendingBytes >= MapLimits.writeBytes { try flush() }
    }

    mutating func flush() throws(Failure) {
        let writes = pending
        pending = []
        pendingBytes = 0
        for write in writes {
            switch write.stream {
            case .stdout: try writeOutput(write.bytes)
            case .stderr:
                // Nobody is left who could be told that nobody is told.
                try? FileWriting.writeAll(write.bytes, to: STDERR_FILENO)
            }
        }
    }

    private mutating func writeOutput(_ bytes: [UInt8]) throws(Failure) {
        guard !isOutputBroken else { return }
        do {
            try FileWriting.writeAll(bytes, to: STDOUT_FILENO)
        } catch {
            isOutputBroken = true
            if error.code == EPIPE { throw .closed }
            let remedy =
                error.code == ENOSPC || error.code == EDQUOT
                ? "make room there; with --joblog FILE and --resume what has ended need not run again" : ""
            throw .failed(
                MapError(.roostFailed, "cannot write standard output: \(error.message)", remedy: remedy))
        }
    }
}
