import NIOCore
package import RoostModel

/// The command runtime's payloads: opaque to the server, written by the client and read by the node's agent.
package protocol PayloadCodable {
    func encode(into writer: inout ProtobufWriter)
    init(_ reader: inout ProtobufReader) throws(WireFault)
}

extension PayloadCodable {
    /// This value as a payload.
    package var payload: [UInt8] {
        var writer = ProtobufWriter()
        encode(into: &writer)
        return Array(writer.buffer.readableBytesView)
    }

    /// The value of a payload.
    package init(payload: some Sequence<UInt8>) throws(RoostError) {
        var reader = ProtobufReader(ByteBuffer(bytes: payload))
        do throws(WireFault) {
            try self.init(&reader)
        } catch {
            throw error.error(in: "\(Self.self)")
        }
    }
}

extension CommandCommon: PayloadCodable {
    package func encode(into writer: inout ProtobufWriter) {
        writer.bool(1, inheritsEnvironment)
        for variable in environment {
            writer.nested(2) {
                $0.string(1, variable.name)
                $0.string(2, variable.value)
            }
        }
        if let workingDirectory { writer.stringElement(3, workingDirectory) }
        writer.signed(4, outputHeadBytes)
        writer.signed(5, outputTailBytes)
        writer.bool(6, streamsLargeOnly)
    }

    package init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(outputHeadBytes: 0, outputTailBytes: 0)
        while let field = try reader.next() {
            switch field.number {
            case 1: inheritsEnvironment = try reader.bool(field)
            case 2: environment.append(try reader.nested(field, Variable.init))
            case 3: workingDirectory = try reader.string(field)
            case 4: outputHeadBytes = try Self.size(field, &reader)
            case 5: outputTailBytes = try Self.size(field, &reader)
            case 6: streamsLargeOnly = try reader.bool(field)
            default: try reader.skip(field)
            }
        }
    }

    private static func size(_ field: ProtobufReader.Field, _ reader: inout ProtobufReader) throws(WireFault) -> Int {
        let size: Int = try reader.signed(field)
        guard (0...Limits.payloadBytes).contains(size) else { throw .badValue(field: field.number) }
        return size
    }
}

extension CommandCommon.Variable {
    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(name: "", value: "")
        while let field = try reader.next() {
            switch field.number {
            case 1: name = try reader.string(field)
            case 2: value = try reader.string(field, most: Limits.payloadBytes)
            default: try reader.skip(field)
            }
        }
    }
}

extension CommandArgument: PayloadCodable {
    package func encode(into writer: inout ProtobufWriter) {
        switch self {
        case .shell(let line): writer.bytesElement(1, line)
        case .direct(let words): for word in words { writer.bytesElement(2, word) }
        }
    }

    package init(_ reader: inout ProtobufReader) throws(WireFault) {
        var line: [UInt8]?
        var words: [[UInt8]] = []
        while let field = try reader.next() {
            switch field.number {
            case 1: line = try reader.bytes(field)
            case 2: words.append(try reader.bytes(field))
            default: try reader.skip(field)
            }
        }
        self = line.map { .shell($0) } ?? .direct(words)
    }
}

extension CommandResult: PayloadCodable {
    package func encode(into writer: inout ProtobufWriter) {
        writer.optionalSigned(1, exitStatus)
        writer.optionalSigned(2, signal)
        writer.signed(3, startNanoseconds)
        writer.signed(4, runNanoseconds)
        writer.signed(5, userMicroseconds)
        writer.signed(6, systemMicroseconds)
        writer.varint(7, peakMemoryBytes)
        writer.nested(8) { stdout.encode(into: &$0) }
        writer.nested(9) { stderr.encode(into: &$0) }
        writer.varint(10, UInt64(slot))
    }

    package init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init(exitStatus: nil)
        while let field = try reader.next() {
            switch field.number {
            case 1: exitStatus = try reader.signed(field, as: Int32.self)
            case 2: signal = try reader.signed(field, as: Int32.self)
            case 3: startNanoseconds = try reader.signed(field)
            case 4: runNanoseconds = try reader.signed(field)
            case 5: userMicroseconds = try reader.signed(field)
            case 6: systemMicroseconds = try reader.signed(field)
            case 7: peakMemoryBytes = try reader.varint(field)
            case 8: stdout = try reader.nested(field, CapturedOutput.init)
            case 9: stderr = try reader.nested(field, CapturedOutput.init)
            case 10: slot = UInt32(clamping: try reader.varint(field))
            default: try reader.skip(field)
            }
        }
    }
}

extension CapturedOutput {
    func encode(into writer: inout ProtobufWriter) {
        writer.bytes(1, head)
        writer.bytes(2, tail)
        writer.varint(3, totalBytes)
    }

    init(_ reader: inout ProtobufReader) throws(WireFault) {
        self.init()
        while let field = try reader.next() {
            switch field.number {
            case 1: head = try reader.bytes(field)
            case 2: tail = try reader.bytes(field)
            case 3: totalBytes = try reader.varint(field)
            default: try reader.skip(field)
            }
        }
        // What was left out is total minus both, and cannot be less than nothing.
        guard totalBytes >= UInt64(head.count + tail.count) else { throw .inconsistent }
    }
}
