import RoostModel

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
    mutating func flag() -> Bool { Bool.random(using: &self) }

    /// Small numbers, large ones and the edges, about equally often.
    mutating func number<Value: FixedWidthInteger>(_: Value.Type = Value.self) -> Value {
        switch roll(0...3) {
        case 0: 0
        case 1: .max
        case 2: Value(truncatingIfNeeded: next() & 0x7F)
        default: Value(truncatingIfNeeded: next())
        }
    }

    mutating func maybe<Value>(_ value: (inout Dice) -> Value) -> Value? { flag() ? value(&self) : nil }

    mutating func many<Value>(_ most: Int, _ value: (inout Dice) -> Value) -> [Value] {
        (0..<roll(0...most)).map { _ in value(&self) }
    }

    mutating func bytes(_ most: Int) -> [UInt8] { many(most) { UInt8(truncatingIfNeeded: $0.next()) } }

    mutating func text(_ most: Int = 20) -> String {
        String(many(most) { "abcxyz 0189-_./äß€🐦\n\"".randomElement(using: &$0) ?? "a" })
    }

    mutating func duration() -> Duration { .nanoseconds(Int64(next() >> UInt64(roll(1...63)))) }
    mutating func job() -> JobID { JobID(rawValue: next()) }

    mutating func range() -> TaskRange {
        TaskRange(first: UInt32(roll(0...900_000_000)), count: UInt32(roll(1...1000)))
    }
}
