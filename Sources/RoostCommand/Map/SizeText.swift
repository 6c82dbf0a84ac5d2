/// Amounts of memory as people write them: `100M`, `2G`, `512KiB`, `1.5g`, `4096`.
package enum SizeText {
    /// The bytes that `text` names; nil when it names none. As in GNU parallel `K M G T P` count by 1024 and
    /// `k m g t p` by 1000; `KiB`, `MiB`, … count by 1024 and `KB`, `MB`, … by 1000.
    package static func parse(_ text: String) -> Int64? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let number = DurationText.decimal(digits) else { return nil }
        let unit = text.dropFirst(digits.count)
        guard let factor = factor(unit) else { return nil }
        let bytes = (number * factor).rounded()
        return bytes <= 9e18 ? Int64(bytes) : nil
    }

    private static func factor(_ unit: Substring) -> Double? {
        guard let letter = unit.first else { return 1 }
        if unit == "B" { return 1 }
        guard let power = "kmgtp".firstIndex(of: Character(letter.lowercased())) else { return nil }
        let exponent = "kmgtp".distance(from: "kmgtp".startIndex, to: power) + 1
        let base: Double
        switch unit.dropFirst() {
        case "": base = letter.isUppercase ? 1024 : 1000
        case "iB", "i": base = 1024
        case "B", "b": base = 1000
        default: return nil
        }
        return (0..<exponent).reduce(1) { product, _ in product * base }
    }

    /// A size for people: `512 B`, `1.5 MiB`.
    package static func show(_ bytes: Int64) -> String {
        var value = Double(bytes)
        var unit = "B"
        for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] where value >= 1024 {
            value /= 1024
            unit = next
        }
        let tenths = Int((value * 10).rounded())
        return unit == "B" || tenths % 10 == 0 ? "\(tenths / 10) \(unit)" : "\(tenths / 10).\(tenths % 10) \(unit)"
    }
}
