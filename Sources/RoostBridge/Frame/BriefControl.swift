import RoostModel

/// The control of a request that R makes again and again, as a row of doubles instead of a list: R writes it together with the
/// frame's header, and nothing has to be serialized or read.
///
///     call     1 | job | seed                       the blob is X
///     append   2 | job | seed                       the blob is X; answered only when something is wrong
///     next     3 | job | cursor | max | timeout
///     forget   4 | job                              answered only when something is wrong
///
/// `job` is the number that the answer to `submit` gives as `brief`; a seed that is NaN is none. A stream of R begins with a letter,
/// and the first byte of these doubles is 0.
enum BriefControl {
    /// Whether the bytes are no stream of R.
    static func isBrief(_ bytes: [UInt8]) -> Bool { bytes.first == 0 }

    /// The control that R would have sent as a list; nil when the numbers are none of these requests.
    static func read(_ bytes: [UInt8]) -> [(name: String, value: ControlValue)]? {
        let numbers = LittleEndian.doubles(bytes)
        guard numbers.count >= 2 else { return nil }
        let job = (name: "brief", value: ControlValue.doubles([numbers[1]]))
        switch (numbers[0], numbers.count) {
        case (1, 3): return [("op", .strings(["call"])), job] + seed(numbers[2])
        case (2, 3): return [("op", .strings(["append"])), job, ("quiet", .logicals([true]))] + seed(numbers[2])
        case (3, 5):
            return [
                ("op", .strings(["next"])), job, ("cursor", .doubles([numbers[2]])), ("max", .doubles([numbers[3]])),
                ("timeout", .doubles([numbers[4]])),
            ]
        case (4, 2): return [("op", .strings(["forget"])), job, ("quiet", .logicals([true]))]
        default: return nil
        }
    }

    private static func seed(_ number: Double) -> [(name: String, value: ControlValue)] {
        guard let seed = Int32(exactly: number) else { return [] }
        return [("seed", .integers([seed]))]
    }

    /// An answer as short, where all there is to say of tasks is their values: to `next` the cursor, 1 if the job has ended, and the
    /// tasks' indices from 1; to `call` nothing. The blob is the list of values.
    static func answer(cursor: Int, hasEnded: Bool, index: [TaskIndex]) -> [UInt8] {
        LittleEndian.bytes([Double(cursor), hasEnded ? 1 : 0] + index.map { Double($0) + 1 })
    }
}

/// Doubles as R's `readBin` and `writeBin` have them on this bridge.
enum LittleEndian {
    static func doubles(_ bytes: [UInt8]) -> [Double] {
        bytes.withUnsafeBytes { bytes in
            (0..<(bytes.count / 8)).map {
                Double(bitPattern: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self)))
            }
        }
    }

    static func bytes(_ doubles: [Double]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(8 * doubles.count)
        for number in doubles { withUnsafeBytes(of: number.bitPattern.littleEndian) { bytes.append(contentsOf: $0) } }
        return bytes
    }
}
