extension RNumbers {
    /// A number as `as.character` of R 4 writes it: up to 15 significant digits, in the shorter of the fixed and the scientific notation.
    public static func text(_ value: Double) -> String {
        if value.isNaN { return isNA(value) ? "NA" : "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "Inf" }
        if value == 0 { return "0" }
        var (digits, exponent) = shortestDigits(value.magnitude)
        if digits.count > 15 { (digits, exponent) = rounded(digits, exponent, to: 15) }
        // The value is d.ddd × 10^exponent.
        let count = digits.count
        let scientific = count + (count > 1 ? 1 : 0) + (abs(exponent) >= 100 ? 5 : 4)
        let fixed: Int
        if exponent < 0 { fixed = 1 - exponent + count } else { fixed = max(exponent + 1, count) + (count > exponent + 1 ? 1 : 0) }
        let sign = value < 0 ? "-" : ""
        let text = String(decoding: digits.map { $0 + 48 }, as: UTF8.self)
        if fixed <= scientific {
            if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + text }
            if count <= exponent + 1 { return sign + text + String(repeating: "0", count: exponent + 1 - count) }
            return sign + text.prefix(exponent + 1) + "." + text.dropFirst(exponent + 1)
        }
        let power = abs(exponent)
        let fraction = count > 1 ? "." + text.dropFirst() : ""
        return sign + text.prefix(1) + fraction + (exponent < 0 ? "e-" : "e+") + (power < 10 ? "0" : "") + String(power)
    }

    /// The fewest digits that mean this number and no other, and the power of ten of the first.
    private static func shortestDigits(_ value: Double) -> (digits: [UInt8], exponent: Int) {
        var digits: [UInt8] = []
        var (power, pointAt) = (0, -1)
        var rest = value.description.utf8[...]
        while let byte = rest.popFirst() {
            switch byte {
            case 48...57: digits.append(byte - 48)
            case 46: pointAt = digits.count
            default:
                power = Int(String(decoding: rest, as: UTF8.self)) ?? 0
                rest = rest[rest.endIndex...]
            }
        }
        var exponent = (pointAt < 0 ? digits.count : pointAt) - 1 + power
        let zeros = digits.prefix { $0 == 0 }.count
        digits.removeFirst(zeros)
        exponent -= zeros
        while digits.count > 1, digits.last == 0 { digits.removeLast() }
        return (digits, exponent)
    }

    private static func rounded(_ digits: [UInt8], _ exponent: Int, to count: Int) -> (digits: [UInt8], exponent: Int) {
        var kept = Array(digits[..<count])
        var exponent = exponent
        if digits[count] >= 5 {
            var index = count - 1
            while index >= 0, kept[index] == 9 {
                kept[index] = 0
                index -= 1
            }
            if index >= 0 {
                kept[index] += 1
            } else {
                kept.insert(1, at: 0)
                exponent += 1
            }
        }
        while kept.count > 1, kept.last == 0 { kept.removeLast() }
        return (kept, exponent)
    }
}
