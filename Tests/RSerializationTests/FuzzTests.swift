import RSerialization
import Testing

/// Whatever bytes come, they are an object or an error. Seeds are fixed; the numbers of rounds bound the time.
@Suite struct FuzzTests {
    @Test(arguments: 0..<4)
    func changedStreamsAreObjectsOrErrors(seed: Int) throws {
        var dice = Dice(seed: UInt64(seed) + 100)
        let streams = try Fixtures.all().streams.map(\.bytes).filter { $0.count < 20_000 }
        var (objects, rounds) = (0, 0)
        for _ in 0..<25 {
            for stream in streams {
                var bytes = stream
                for _ in 0..<dice.roll(1...3) { dice.change(&bytes) }
                rounds += 1
                if meet(bytes, &dice) { objects += 1 }
            }
        }
        // Both ways were really taken.
        #expect(objects > rounds / 50 && objects < rounds - rounds / 50, "\(objects) of \(rounds)")
    }

    @Test(arguments: 0..<2)
    func randomBytesAreErrorsOrObjects(seed: Int) {
        var dice = Dice(seed: UInt64(seed) + 200)
        let types: [UInt8] = [1, 2, 3, 4, 5, 6, 9, 10, 13, 14, 16, 19, 21, 22, 24, 25, 238, 239, 243, 244, 247, 249, 254, 255]
        for _ in 0..<20_000 {
            var bytes = RItem.toStream([])
            for _ in 0..<dice.roll(0...12) {
                // Words that look like flags and like small lengths.
                if dice.roll(0...2) > 0 {
                    bytes += [types[dice.roll(0...types.count - 1)], UInt8(dice.roll(0...7)), 0, 0]
                } else {
                    bytes += [UInt8(dice.roll(0...3)), 0, 0, 0]
                }
            }
            _ = meet(bytes, &dice)
        }
    }

    /// Does everything with a stream that can be done.
    /// - Returns: whether it is an object.
    private func meet(_ bytes: [UInt8], _ dice: inout Dice) -> Bool {
        let whole = Result { () throws(RSerializationError) -> Int? in
            var scanner = RScanner()
            return try scanner.feed(bytes)
        }
        let pieces = Result { () throws(RSerializationError) -> Int? in
            var scanner = RScanner()
            var position = 0
            while position < bytes.count {
                let piece = bytes[position..<min(bytes.count, position + dice.roll(1...40))]
                if let end = try scanner.feed(piece) { return position + end }
                position += piece.count
            }
            return nil
        }
        if case .success(let end) = whole {
            #expect(pieces == .success(end), "what a scanner finds depends on the pieces")
        } else if case .success = pieces {
            Issue.record("what a scanner refuses depends on the pieces")
        }
        var limits = RLimits()
        limits.expandedElements = 10_000
        do throws(RSerializationError) {
            var cutter = try RCutter(bytes, limits: limits)
            var items = RItems()
            // Not all: a compact sequence may have a thousand million elements.
            _ = try cutter.next(1000, into: &items)
            for index in 0..<items.count { try RItem.check(Array(items[index])) }
            var joiner = RJoiner(nativeEncoding: cutter.nativeEncoding)
            try joiner.append(items)
            let joined = try joiner.finish(names: cutter.names)
            var scanner = RScanner()
            #expect(try scanner.feed(joined) == joined.count)
            // Items may be anything, too.
            var broken = items.bytes
            if broken.count > 4 {
                dice.change(&broken)
                var other = RJoiner()
                try other.append(broken)
            }
        } catch {}
        do throws(RSerializationError) {
            let object = try RObject(stream: bytes, limits: limits)
            #expect(try RObject(stream: object.stream(), limits: limits).item() == object.item())
            return true
        } catch { return false }
    }
}

/// A seeded generator: what a test draws with it is the same on every machine.
struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    mutating func roll(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }

    mutating func change(_ bytes: inout [UInt8]) {
        guard bytes.count > 4 else { return }
        let index = roll(2...bytes.count - 1)
        switch roll(0...5) {
        case 0: bytes[index] = UInt8(truncatingIfNeeded: next())
        case 1: bytes[index] ^= 1 << UInt8(roll(0...7))
        case 2: bytes.removeLast(min(bytes.count - index, roll(1...16)))
        case 3: bytes.insert(contentsOf: [UInt8](repeating: UInt8(truncatingIfNeeded: next()), count: roll(1...8)), at: index)
        case 4:
            // A word becomes a flag, a length or a large number.
            let word = [[255, 255, 255, 255], [255, 255, 255, 127], [0, 0, 0, 128], [19, 2, 0, 0], [255, 1, 0, 0]].randomElement(
                using: &self)
            if let word, index + 4 <= bytes.count { bytes.replaceSubrange(index..<index + 4, with: word.map { UInt8($0) }) }
        default:
            let from = roll(2...bytes.count - 1)
            let count = min(roll(1...24), bytes.count - max(from, index))
            bytes.replaceSubrange(index..<index + count, with: Array(bytes[from..<from + count]))
        }
    }
}
