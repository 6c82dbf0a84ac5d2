import Glibc

/// What the environment asks of the simulations.
enum Setting {
    static func text(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        return String(cString: value)
    }

    /// The seeds that `make test` plays.
    static let usualSeeds: Range<UInt64> = 0..<500

    /// Whether every seed that catches a deliberate bug is wanted, rather than proof that some do.
    static var countsCatches: Bool { text("ROOST_CATCHES") != nil }

    /// One seed to replay, with its trace.
    static var seed: UInt64? { text("ROOST_SEED").flatMap { UInt64($0) } }

    /// Seeds to run: `ROOST_SEED=7`, `ROOST_SEEDS=1-5000` or `ROOST_SEEDS=0..<5000`.
    static var seeds: Range<UInt64>? {
        if let seed { return seed..<(seed + 1) }
        guard let text = text("ROOST_SEEDS") else { return nil }
        let isOpen = text.contains("..<")
        let parts = text.split(separator: isOpen ? "..<" : "-")
        guard parts.count == 2, let low = UInt64(parts[0]), let high = UInt64(parts[1]), low <= high else { return nil }
        return low..<(isOpen ? high : high + 1)
    }
}
