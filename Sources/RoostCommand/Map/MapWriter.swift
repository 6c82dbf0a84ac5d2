import Glibc
import RoostModel

/// Writes what a session wants written: everything of one burst that goes to the same stream in one write.
struct MapWriter {
    private var pending: [OutputWrite] = []
    private var pendingBytes = 0
    private var isOutputBroken = false
    private var kept = KeptOutput()

    /// What stopped a write to standard output.
    enum Failure: Error {
        /// Whoever read it has gone.
        case closed
        case failed(MapError)
    }

    mutating func add(_ write: OutputWrite) throws(Failure) {
        switch write.place {
        case .output:
            pendingBytes += write.bytes.count
            pending.add(write.stream, write.bytes[...])
            if pendingBytes >= MapLimits.writeBytes { try flush() }
        case .kept(let task):
            do throws(MapError) {
                try kept.append(write.bytes, to: .init(task: task, stream: write.stream))
            } catch {
                throw .failed(error)
            }
        case .printKept(let task, _):
            try flush()
            try printKept(.init(task: task, stream: write.stream))
        case .dropKept(let task):
            kept.drop(.init(task: task, stream: write.stream))
        }
    }

    private mutating func printKept(_ key: KeptOutput.Key) throws(Failure) {
        while true {
            let bytes: [UInt8]
            do throws(MapError) { bytes = try kept.next(of: key) } catch { throw .failed(error) }
            if bytes.isEmpty { return }
            try write(OutputWrite(key.stream, bytes))
        }
    }

    mutating func flush() throws(Failure) {
        let writes = pending
        pending = []
        pendingBytes = 0
        for item in writes { try write(item) }
    }

    private mutating func write(_ item: OutputWrite) throws(Failure) {
        switch item.stream {
        case .stdout: try writeOutput(item.bytes)
        case .stderr:
            // Nobody is left who could be told that nobody is told.
            try? FileWriting.writeAll(item.bytes, to: STDERR_FILENO)
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
