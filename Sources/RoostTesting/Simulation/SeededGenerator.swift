import RoostModel

/// Random numbers from a seed: the same seed gives the same numbers, on every machine and in every run.
///
/// SplitMix64 (Steele, Lea, Flood 2014): a counter and a mix; small, fast, and good enough to draw faults with.
package struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    package init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678_9ABC_DEF1 }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// Another generator, so that draws for one purpose do not shift those for another.
    package mutating func fork() -> SeededGenerator { SeededGenerator(seed: next()) }

    /// 0 ..< 1.
    package mutating func unit() -> Double { Double(next() >> 11) / 9_007_199_254_740_992 }

    package mutating func chance(_ probability: Double) -> Bool { unit() < probability }

    package mutating func int(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(next().multipliedFullWidth(by: UInt64(range.count)).high)
    }

    package mutating func pick<Element>(_ choices: [Element]) -> Element { choices[int(0...(choices.count - 1))] }

    /// Between two lengths, each order of magnitude as likely as the other.
    package mutating func length(_ low: Duration, _ high: Duration) -> Duration {
        var bits = 0
        let from = low.wholeNanoseconds
        let to = high.wholeNanoseconds
        while from << (bits + 1) <= to { bits += 1 }
        let scale = from << Int64(int(0...bits))
        return .nanoseconds(min(to, scale + Int64(unit() * Double(scale))))
    }

    /// Between two lengths, all as likely.
    package mutating func even(_ low: Duration, _ high: Duration) -> Duration {
        let from = low.wholeNanoseconds
        return .nanoseconds(from + Int64(unit() * Double(high.wholeNanoseconds - from)))
    }

    /// A waiting time of `mean` on average.
    package mutating func wait(mean: Duration) -> Duration {
        .nanoseconds(Int64(unit() * 2 * Double(mean.wholeNanoseconds)))
    }
}
