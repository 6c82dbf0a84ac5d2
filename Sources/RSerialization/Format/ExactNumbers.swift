extension Double {
    /// This number as an integer, if it is one. `Int(exactly:)` would need the C library's mathematics, which nothing here imports.
    @inline(__always) var exactInteger: Int? {
        guard self >= -0x1p62, self <= 0x1p62 else { return nil }
        let integer = Int(self)
        return Double(integer) == self ? integer : nil
    }

    /// This number as an R integer, if it is one. NA is none.
    var exactInt32: Int32? {
        guard let integer = exactInteger, integer > Int(Int32.min), integer <= Int(Int32.max) else { return nil }
        return Int32(integer)
    }
}
