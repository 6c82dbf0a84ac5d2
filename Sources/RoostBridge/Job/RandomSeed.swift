import RoostModel

/// The state that a job's first task gets, as R has it in `.Random.seed`.
struct RandomSeed {
    /// R's code for the kinds of generators; 7 in its last two digits is L'Ecuyer-CMRG.
    var kind: Int32
    var next: RStreamSeed

    /// Nil when the control has none.
    init?(_ control: Control) throws(BridgeFailure) {
        guard control.has("seed") else { return nil }
        guard let integers = control.integers("seed"), integers.count == 7, integers[0] >= 0, integers[0] % 100 == 7,
            let seed = RStreamSeed(Array(integers[1...])), seed.isValid
        else { throw .usage("'seed' is no .Random.seed of the kind \"L'Ecuyer-CMRG\"", remedy: "It has 7 integers.") }
        kind = integers[0]
        next = seed
    }

    var integers: [Int32?] { [kind] + next.integers }
}
