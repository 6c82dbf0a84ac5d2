/// `-j`: how many tasks run at once, as it was written.
package enum JobsSpec: Hashable, Sendable {
    /// As many as there are slots: one a CPU in the embedded pool.
    case slots
    /// Exactly so many.
    case count(UInt32)
    /// A percentage of the CPUs.
    case percent(UInt32)
    /// So many more, or fewer, than there are CPUs.
    case relative(Int32)
    /// `0`: as many as possible.
    case unlimited

    package static func parse(_ text: String) -> JobsSpec? {
        if text.hasSuffix("%") {
            guard let percent = UInt32(text.dropLast()), percent > 0, percent <= 100_000 else { return nil }
            return .percent(percent)
        }
        guard let number = Int32(text), abs(number) <= 1_000_000 else { return nil }
        if text.hasPrefix("+") || text.hasPrefix("-") { return .relative(number) }
        return number == 0 ? .unlimited : .count(UInt32(number))
    }

    /// The number of tasks at once on a machine with `cpus` CPUs; at least one. `unlimited` gives `most`.
    package func resolve(cpus: Int, most: Int = 1024) -> Int {
        switch self {
        case .slots: max(1, cpus)
        case .count(let count): Int(count)
        case .percent(let percent): max(1, cpus * Int(percent) / 100)
        case .relative(let difference): max(1, cpus + Int(difference))
        case .unlimited: most
        }
    }
}
