import CRoostLinux
import Glibc
import NIOCore
package import RoostModel
import RoostWire

/// Outcome batches on an agent's disk, until the server acknowledges them.
///
///     file    [ batch 7 | batch 8 | batch 11 | …      one after the other, as the wire encodes them
///     places  7 ─▶ file, offset, parts
///
/// A file has no name and goes with its descriptor: nothing is left behind, however the agent ends, and its room is free
/// when the last batch in it is discarded. Nothing is synced: results that the server has not acknowledged die with their
/// agent, and their tasks run elsewhere. Digests tell what was written from what a failing disk gives back.
package final class ResultStore {
    /// The bytes of all files, with what is discarded already.
    package private(set) var bytes = 0
    /// How many files there are.
    package var fileCount: Int { files.count }

    private let directory: String
    private let fileBytes: Int
    private let mostBytes: Int
    private let reserve: Int
    private var places: [UInt64: Place] = [:]
    private var files: [Int: File] = [:]
    /// The file that is written to; nil: the next batch begins one.
    private var current: Int?
    private var nextFile = 0

    /// Where a batch is.
    private struct Place {
        var file: Int
        var offset: Int
        var parts: [Part]
        var length: Int { parts.reduce(0) { $0 + $1.length } }
    }

    private struct Part {
        var length: Int
        var digest: UInt64
    }

    private struct File {
        let descriptor: Int32
        var length = 0
        /// Batches in it that are not discarded.
        var batches = 0
    }

    /// - Parameters:
    ///   - directory: Where the files are made; it has to be there when something is stored.
    ///   - fileBytes: A file that has so many bytes is written to no more.
    ///   - mostBytes: The most bytes of all files together.
    ///   - reserve: Bytes that stay free on the disk; of a small one, a twentieth.
    package init(
        directory: String, fileBytes: Int = Limits.resultFileBytes, mostBytes: Int = Limits.resultFilesBytes,
        reserve: Int = Limits.diskReserveBytes
    ) {
        self.directory = directory
        self.fileBytes = fileBytes
        self.mostBytes = mostBytes
        self.reserve = reserve
    }

    deinit { for file in files.values { close(file.descriptor) } }

    package func contains(_ sequence: UInt64) -> Bool { places[sequence] != nil }

    /// Stores a batch under its number.
    /// - Throws: `.io` when the disk fails or is full, `.limit` when there is no room to spare; then nothing of it is there.
    package func add(_ sequence: UInt64, _ batch: OutcomeBatch) throws(RoostError) {
        let pieces = StoredForm.pieces(of: batch)
        var place = Place(file: 0, offset: 0, parts: pieces.map { Part(length: $0.count, digest: Digest.of($0)) })
        try checkRoom(for: place.length)
        place.file = try fileToWrite()
        guard var file = files[place.file] else { preconditionFailure("it was opened just now") }
        place.offset = file.length
        for piece in pieces {
            do throws(RoostError) {
                try Self.write(piece, to: file.descriptor, at: file.length)
            } catch {
                // What there is of it takes no room.
                ftruncate(file.descriptor, off_t(place.offset))
                closeIfUnused(place.file)
                throw error
            }
            file.length += piece.count
        }
        bytes += place.length
        file.batches += 1
        files[place.file] = file
        places[sequence] = place
        if file.length >= fileBytes { current = nil }
    }

    /// A stored batch.
    /// - Throws: `.io` when the disk does not give back what was written.
    package func batch(_ sequence: UInt64) throws(RoostError) -> OutcomeBatch {
        guard let place = places[sequence], let file = files[place.file] else {
            throw RoostError(.internal, "result batch \(sequence) is not stored")
        }
        var offset = place.offset
        var whole = ByteBuffer()
        whole.reserveCapacity(place.length)
        for part in place.parts {
            let digest = try Self.read(part.length, from: file.descriptor, at: offset, into: &whole)
            guard digest == part.digest else { throw Self.unreadable("it holds other bytes than were written") }
            offset += part.length
        }
        do throws(WireFault) {
            return try StoredForm.batch(whole)
        } catch {
            throw Self.unreadable("\(error)")
        }
    }

    /// Forgets a batch; its file's room is free when it was the last one in it.
    package func discard(_ sequence: UInt64) {
        guard let place = places.removeValue(forKey: sequence) else { return }
        files[place.file]?.batches -= 1
        closeIfUnused(place.file)
    }

    // MARK: Files

    private func fileToWrite() throws(RoostError) -> Int {
        if let current { return current }
        let descriptor = roost_unnamed_file(directory)
        guard descriptor >= 0 else { throw Self.failure("cannot make a file for results in \(directory)") }
        let number = nextFile
        nextFile += 1
        files[number] = File(descriptor: descriptor)
        current = number
        return number
    }

    private func closeIfUnused(_ number: Int) {
        guard let file = files[number], file.batches == 0 else { return }
        close(file.descriptor)
        bytes -= file.length
        files[number] = nil
        if current == number { current = nil }
    }

    /// An agent never fills somebody's disk.
    private func checkRoom(for length: Int) throws(RoostError) {
        guard bytes + length <= mostBytes else {
            throw RoostError(.limit, "results that are not acknowledged have \(mostBytes >> 20) MiB of files already")
        }
        var facts = statvfs()
        guard statvfs(directory, &facts) == 0 else { throw Self.failure("cannot ask how full the disk of \(directory) is") }
        let unit = Int(facts.f_frsize)
        let free = Int(facts.f_bavail) * unit - length
        guard free >= min(reserve, Int(facts.f_blocks) * unit / 20) else {
            throw RoostError(.limit, "the disk of \(directory) is nearly full")
        }
    }

    private static func write(_ bytes: ArraySlice<UInt8>, to file: Int32, at offset: Int) throws(RoostError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(file, $0.baseAddress?.advanced(by: written), $0.count - written, off_t(offset + written))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure("cannot write results to the disk") }
            written += count
        }
    }

    /// Appends `length` bytes of the file to `buffer`; their digest.
    private static func read(
        _ length: Int, from file: Int32, at offset: Int, into buffer: inout ByteBuffer
    ) throws(RoostError) -> UInt64 {
        var digest: UInt64 = 0
        var error: Int32 = 0
        let got = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: length) { room in
            var filled = 0
            while filled < length {
                let count = pread(file, room.baseAddress?.advanced(by: filled), length - filled, off_t(offset + filled))
                if count < 0, errno == EINTR { continue }
                if count < 0 { error = errno }
                if count <= 0 { break }
                filled += count
            }
            digest = Digest.of(UnsafeRawBufferPointer(rebasing: room[..<filled]))
            return filled
        }
        guard got == length else { throw unreadable(error == 0 ? "the file is too short" : String(cString: strerror(error))) }
        return digest
    }

    private static func failure(_ what: String) -> RoostError {
        RoostError(.io, what, cause: String(cString: strerror(errno)))
    }

    private static func unreadable(_ cause: String) -> RoostError {
        RoostError(.io, "stored results cannot be read back", cause: cause)
    }
}
