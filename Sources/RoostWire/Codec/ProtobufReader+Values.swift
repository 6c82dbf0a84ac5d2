import RoostModel

/// Values of the model that many messages share.
extension ProtobufReader {
    /// Whole nanoseconds, not negative.
    mutating func duration(_ field: Field) throws(WireFault) -> Duration {
        let nanoseconds: Int64 = try signed(field)
        guard nanoseconds >= 0 else { throw .badValue(field: field.number) }
        return .nanoseconds(nanoseconds)
    }

    mutating func jobID(_ field: Field) throws(WireFault) -> JobID { JobID(rawValue: try fixed64(field)) }

    /// A name: short.
    mutating func name(_ field: Field) throws(WireFault) -> String { try string(field, most: Limits.nameBytes) }

    /// Ranges as packed pairs of first index and count.
    mutating func ranges(_ field: Field, into ranges: inout [TaskRange]) throws(WireFault) {
        var numbers: [UInt32] = []
        try packed(field, into: &numbers)
        guard numbers.count % 2 == 0 else { throw .inconsistent }
        ranges.reserveCapacity(ranges.count + numbers.count / 2)
        for position in stride(from: 0, to: numbers.count, by: 2) {
            ranges.append(try Self.range(numbers[position], numbers[position + 1], field))
        }
    }

    /// A range that ends where indices end, or before.
    static func range(_ first: UInt32, _ count: UInt32, _ field: Field) throws(WireFault) -> TaskRange {
        guard first <= Limits.tasksPerJob, count <= Limits.tasksPerJob - first else {
            throw .badValue(field: field.number)
        }
        return TaskRange(first: first, count: count)
    }

    /// Payloads from their lengths (already added up) and their bytes.
    static func payloads(_ bytes: [UInt8], ends: [UInt32]) throws(WireFault) -> PayloadArray {
        guard Int(ends.last ?? 0) == bytes.count else { throw .inconsistent }
        return PayloadArray(bytes: bytes, ends: ends)
    }
}

extension ProtobufWriter {
    mutating func duration(_ field: Int, _ value: Duration) { signed(field, value.wholeNanoseconds) }

    mutating func optionalDuration(_ field: Int, _ value: Duration?) {
        optionalSigned(field, value.map(\.wholeNanoseconds))
    }

    mutating func jobID(_ field: Int, _ value: JobID) { fixed64(field, value.rawValue) }

    mutating func ranges(_ field: Int, _ ranges: [TaskRange]) {
        guard !ranges.isEmpty else { return }
        var numbers: [UInt32] = []
        numbers.reserveCapacity(ranges.count * 2)
        for range in ranges {
            numbers.append(range.first)
            numbers.append(range.count)
        }
        packed(field, numbers)
    }

    /// Lengths in one field, all bytes in another.
    mutating func payloads(lengths: Int, bytes: Int, _ payloads: PayloadSlice) {
        self.lengths(lengths, of: payloads)
        let base = payloads.base
        let from = base.start(of: payloads.positions.lowerBound)
        blob(bytes, base.bytes[from..<base.start(of: payloads.positions.upperBound)])
    }
}
