package import NIOCore
package import RoostModel

/// Values of the model as a store keeps them: the wire's own format, so that fields may be added the same way.
///
/// Large byte strings are left out of the values around them, and kept beside them: what a start has to read stays small.
package enum StoredForm {
    /// A job without what its tasks share: `common` is kept beside it.
    package static func encode(_ spec: JobSpec) -> ByteBuffer {
        var bare = spec
        bare.common = []
        return bytes { bare.encode(into: &$0) }
    }

    /// - Throws: ``WireFault`` when the bytes are no such value; so do all functions here that read.
    package static func spec(_ bytes: ByteBuffer) throws(WireFault) -> JobSpec {
        var reader = ProtobufReader(bytes)
        return try JobSpec(&reader)
    }

    /// Byte strings: their lengths, then their bytes.
    package static func encode(_ payloads: PayloadArray) -> ByteBuffer {
        var writer = ProtobufWriter()
        writer.buffer.reserveCapacity(payloads.bytes.count + payloads.count + 32)
        writer.payloads(lengths: 1, bytes: 2, PayloadSlice(payloads))
        return writer.buffer
    }

    package static func payloads(_ bytes: ByteBuffer) throws(WireFault) -> PayloadArray {
        var reader = ProtobufReader(bytes)
        var content: [UInt8] = []
        var ends: [UInt32] = []
        while let field = try reader.next() {
            switch field.number {
            case 1: try reader.ends(field, into: &ends)
            case 2: content = try reader.bytes(field, most: Int(UInt32.max))
            default: try reader.skip(field)
            }
        }
        return try ProtobufReader.payloads(content, ends: ends)
    }

    /// Outcomes without what their tasks returned, and their place in the job's outcome log.
    package static func encode(_ batch: OutcomeBatch, sequence: UInt64) -> ByteBuffer {
        var bare = batch
        bare.payloads = PayloadArray()
        return bytes {
            bare.encode(into: &$0)
            $0.varint(17, sequence)
            $0.varint(18, UInt32(batch.count))
        }
    }

    /// The batch has as many payloads as there were, all empty.
    package static func outcomes(_ bytes: ByteBuffer) throws(WireFault) -> (sequence: UInt64, batch: OutcomeBatch) {
        var reader = ProtobufReader(bytes)
        var batch = OutcomeBatch(job: JobID(rawValue: 0), epoch: 0)
        var parts = OutcomeBatch.Parts()
        var (sequence, count): (UInt64, UInt32) = (0, 0)
        while let field = try reader.next() {
            switch field.number {
            case 17: sequence = try reader.unsigned(field)
            case 18: count = try reader.unsigned(field)
            default: if try !batch.take(field, from: &reader, &parts) { try reader.skip(field) }
            }
        }
        guard count <= Limits.tasksPerJob else { throw .badValue(field: 18) }
        batch.payloads = PayloadArray(bytes: [], ends: Array(repeating: 0, count: Int(count)))
        guard batch.isConsistent else { throw .inconsistent }
        return (sequence, batch)
    }

    /// A whole batch, in pieces that belong one after the other; a large piece is what the batch holds, not a copy.
    package static func pieces(of batch: OutcomeBatch) -> [ArraySlice<UInt8>] {
        var writer = ProtobufWriter()
        writer.sharesFrom = sharedBytes
        batch.encode(into: &writer)
        var pieces: [ArraySlice<UInt8>] = []
        var index = writer.buffer.readerIndex
        for blob in writer.shared {
            pieces.append(writer.buffer.getBytes(at: index, length: blob.index - index).map { $0[...] } ?? [])
            pieces.append(blob.bytes)
            index = blob.index
        }
        pieces.append(writer.buffer.getBytes(at: index, length: writer.buffer.writerIndex - index).map { $0[...] } ?? [])
        return pieces
    }

    /// What ``pieces(of:)`` made of a batch, one after the other.
    package static func batch(_ bytes: ByteBuffer) throws(WireFault) -> OutcomeBatch {
        var reader = ProtobufReader(bytes)
        return try OutcomeBatch.decode(&reader, numberField: 16).batch
    }

    /// Payloads of at least so many bytes are not copied to be kept.
    private static let sharedBytes = 64 << 10

    /// Attempts that a node was granted.
    package static func encode(_ attempts: AttemptRun, node: NodeID) -> ByteBuffer {
        bytes {
            $0.nested(1) { attempts.encode(into: &$0) }
            $0.fixed64(2, node.rawValue)
        }
    }

    package static func granted(_ bytes: ByteBuffer) throws(WireFault) -> (AttemptRun, NodeID) {
        var reader = ProtobufReader(bytes)
        var attempts: AttemptRun?
        var node = NodeID(rawValue: 0)
        while let field = try reader.next() {
            switch field.number {
            case 1: attempts = try reader.nested(field, AttemptRun.init)
            case 2: node = NodeID(rawValue: try reader.fixed64(field))
            default: try reader.skip(field)
            }
        }
        guard let attempts else { throw .missing(field: 1) }
        return (attempts, node)
    }

    /// What a task is charged with, and why.
    package struct Charge: Equatable, Sendable {
        package var task: TaskIndex = 0
        package var failures: UInt8 = 0
        package var crashes: UInt8 = 0
        package var losses: UInt8 = 0
        package var postMortem: PostMortem?

        package init() {}
    }

    package static func encode(_ charge: Charge) -> ByteBuffer {
        bytes {
            $0.varint(1, charge.task)
            $0.varint(2, charge.failures)
            $0.varint(3, charge.crashes)
            $0.varint(4, charge.losses)
            if let evidence = charge.postMortem { $0.nested(5) { evidence.encode(into: &$0) } }
        }
    }

    package static func charge(_ bytes: ByteBuffer) throws(WireFault) -> Charge {
        var reader = ProtobufReader(bytes)
        var charge = Charge()
        while let field = try reader.next() {
            switch field.number {
            case 1: charge.task = try reader.unsigned(field)
            case 2: charge.failures = try reader.unsigned(field)
            case 3: charge.crashes = try reader.unsigned(field)
            case 4: charge.losses = try reader.unsigned(field)
            case 5: charge.postMortem = try reader.nested(field, PostMortem.init)
            default: try reader.skip(field)
            }
        }
        return charge
    }

    package static func encode(_ ranges: [TaskRange]) -> ByteBuffer { bytes { $0.ranges(1, ranges) } }

    package static func ranges(_ bytes: ByteBuffer) throws(WireFault) -> [TaskRange] {
        var reader = ProtobufReader(bytes)
        var ranges: [TaskRange] = []
        while let field = try reader.next() {
            if field.number == 1 { try reader.ranges(field, into: &ranges) } else { try reader.skip(field) }
        }
        return ranges
    }

    private static func bytes(_ write: (inout ProtobufWriter) -> Void) -> ByteBuffer {
        var writer = ProtobufWriter()
        write(&writer)
        return writer.buffer
    }
}
