import RoostModel

/// The state that a job's first task gets, as R has it in `.Random.seed`.
struct RandomSeed {
    /// R's code for the kinds of generators; 7 in its last two digits is L'Ecuyer-CMRG.
    var kind: Int32
    var next: RStreamSeed

    /// Nil when the control has none.
    init?(_ control: Control) throws(BridgeFailure) {
        guard control.has("seed") else { return nil }
        if let seed = control.integers("seed"), seed.count == 1, seed[0] != .min {
            self = RandomSeed(setSeed: seed[0])
            return
        }
        guard let integers = control.integers("seed"), integers.count == 7, integers[0] >= 0, integers[0] % 100 == 7,
            let seed = RStreamSeed(Array(integers[1...])), seed.isValid
        else { throw .usage("'seed' is no .Random.seed of the kind \"L'Ecuyer-CMRG\"", remedy: "It has 7 integers.") }
        kind = integers[0]
        next = seed
    }

    /// What `set.seed(seed, "L'Ecuyer-CMRG", "Inversion", "Rejection")` leaves in `.Random.seed`. Source: `RNG_Init` in R's `RNG.c`.
    init(setSeed seed: Int32) {
        var x = UInt32(bitPattern: seed)
        for _ in 0..<50 { x = 69069 &* x &+ 1 }
        var words: [Int32] = []
        while words.count < 6 {
            x = 69069 &* x &+ 1
            // Below the smaller of the generator's two moduli.
            if x < 4_294_944_443 { words.append(Int32(bitPattern: x)) }
        }
        kind = 10407
        guard let state = RStreamSeed(words) else { preconditionFailure("six numbers are a state") }
        self.next = state
    }

    var integers: [Int32?] { [kind] + next.integers }
}
