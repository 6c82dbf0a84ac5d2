extension [UInt8] {
    /// Appends `number` with three decimals, right-aligned in `width` columns, as C's `%*.3f` prints it.
    mutating func append(thousandths number: Double, width: Int) {
        let scaled = (number * 1000).rounded()
        guard scaled.isFinite, abs(scaled) < 9e18 else { return append(contentsOf: Array("nan".utf8)) }
        let whole = Int64(scaled)
        var digits: [UInt8] = whole < 0 ? [UInt8(ascii: "-")] : []
        digits.append(decimal: Int(whole.magnitude / 1000))
        digits.append(UInt8(ascii: "."))
        let fraction = whole.magnitude % 1000
        for divisor: UInt64 in [100, 10, 1] { digits.append(UInt8(ascii: "0") + UInt8(fraction / divisor % 10)) }
        append(contentsOf: repeatElement(UInt8(ascii: " "), count: Swift.max(0, width - digits.count)))
        append(contentsOf: digits)
    }
}
