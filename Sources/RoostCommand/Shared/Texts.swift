import RoostModel

/// Numbers as names: 16 hexadecimal digits.
enum Hex {
    static func of(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension String {
    /// With blanks behind it.
    func padded(to width: Int) -> String { count < width ? self + String(repeating: " ", count: width - count) : self }
}

/// Thousandths as people write them: 2, 0.5.
enum MilliText {
    static func show(_ milli: Int64) -> String {
        guard milli % 1000 != 0 else { return "\(milli / 1000)" }
        return "\(Double(milli) / 1000)"
    }

    /// A decimal number of at most three digits behind the point, as thousandths.
    static func parse(_ text: some StringProtocol) -> Int64? {
        guard !text.isEmpty, text.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }), let value = Double(text),
            value <= 1e12
        else { return nil }
        return Int64((value * 1000).rounded())
    }
}

/// `KEY=VALUE`.
struct Pair {
    var key: String
    var value: String

    init?(_ text: String) {
        guard let equals = text.firstIndex(of: "="), equals != text.startIndex else { return nil }
        key = String(text[..<equals])
        value = String(text[text.index(after: equals)...])
    }
}
