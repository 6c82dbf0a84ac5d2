package import RoostModel

/// The streams of R's generator "L'Ecuyer-CMRG" (MRG32k3a), each 2^127 numbers after the one before.
///
///     task 0      seed                    the first stream that clusterSetRNGStream(seed) would make
///     task i      nextRNGStream^i(seed)
///
/// The state is two vectors of three numbers, and a step multiplies each by a matrix; so many steps are a power of the matrix.
/// Source: L'Ecuyer, Simard, Chen and Kelton (2002), "An object-oriented random-number package"; R's `nextRNGStream`.
extension RStreamSeed {
    /// Whether R would take it: each half below its modulus and not all 0.
    package var isValid: Bool {
        func holds(_ words: (UInt32, UInt32, UInt32), below modulus: UInt64) -> Bool {
            UInt64(max(words.0, words.1, words.2)) < modulus && words != (0, 0, 0)
        }
        return holds(first, below: Modulus.first.value) && holds(second, below: Modulus.second.value)
    }

    /// The next stream's first state: `parallel::nextRNGStream`.
    package mutating func advance() {
        first = Self.jumpFirst.times(first, Modulus.first)
        second = Self.jumpSecond.times(second, Modulus.second)
    }

    /// The state `streams` streams on.
    package func advanced(by streams: Int) -> RStreamSeed {
        RStreamSeed(
            first: Self.jumpFirst.power(streams, Modulus.first).times(first, Modulus.first),
            second: Self.jumpSecond.power(streams, Modulus.second).times(second, Modulus.second))
    }

    /// The one-step matrices to the power of 2^127.
    private static let jumpFirst = SeedMatrix(
        (2_427_906_178, 3_580_155_704, 949_770_784),
        (226_153_695, 1_230_515_664, 3_580_155_704),
        (1_988_835_001, 986_791_581, 1_230_515_664))
    private static let jumpSecond = SeedMatrix(
        (1_464_411_153, 277_697_599, 1_610_723_613),
        (32_183_930, 1_464_411_153, 1_022_607_788),
        (2_824_425_944, 32_183_930, 2_093_834_863))
}

/// 2^32 less a small number: a remainder needs no division.
private struct Modulus {
    var gap: UInt64
    var value: UInt64 { (1 << 32) - gap }

    static let first = Modulus(gap: 209)
    static let second = Modulus(gap: 22853)

    /// `number` modulo this. 2^32 is `gap` here, so the upper half counts `gap` times.
    @inline(__always) func reduce(_ number: UInt64) -> UInt64 {
        let once = (number >> 32) &* gap &+ (number & 0xFFFF_FFFF)
        let twice = (once >> 32) &* gap &+ (once & 0xFFFF_FFFF)
        // Below 2^32 + 2^30: `gap` is below 2^15, and the upper half of `once` is too.
        return twice >= value ? twice &- value : twice
    }

    /// a·x + b·y + c·z modulo this; each product alone fits into 64 bits.
    @inline(__always) func sum(_ a: UInt32, _ x: UInt32, _ b: UInt32, _ y: UInt32, _ c: UInt32, _ z: UInt32) -> UInt32 {
        let total =
            reduce(UInt64(a) &* UInt64(x)) &+ reduce(UInt64(b) &* UInt64(y)) &+ reduce(UInt64(c) &* UInt64(z))
        return UInt32(truncatingIfNeeded: reduce(total))
    }
}

/// Three rows of three numbers.
private struct SeedMatrix {
    typealias Row = (UInt32, UInt32, UInt32)
    var rows: (Row, Row, Row)

    init(_ first: Row, _ second: Row, _ third: Row) { rows = (first, second, third) }

    static let identity = SeedMatrix((1, 0, 0), (0, 1, 0), (0, 0, 1))

    @inline(__always) func times(_ v: Row, _ modulus: Modulus) -> Row {
        func row(_ r: Row) -> UInt32 { modulus.sum(r.0, v.0, r.1, v.1, r.2, v.2) }
        return (row(rows.0), row(rows.1), row(rows.2))
    }

    func times(_ other: SeedMatrix, _ modulus: Modulus) -> SeedMatrix {
        let b = other.rows
        func row(_ r: Row) -> Row {
            (
                modulus.sum(r.0, b.0.0, r.1, b.1.0, r.2, b.2.0), modulus.sum(r.0, b.0.1, r.1, b.1.1, r.2, b.2.1),
                modulus.sum(r.0, b.0.2, r.1, b.1.2, r.2, b.2.2)
            )
        }
        return SeedMatrix(row(rows.0), row(rows.1), row(rows.2))
    }

    func power(_ exponent: Int, _ modulus: Modulus) -> SeedMatrix {
        var result = Self.identity
        var square = self
        var rest = exponent
        while rest > 0 {
            if rest & 1 == 1 { result = result.times(square, modulus) }
            square = square.times(square, modulus)
            rest >>= 1
        }
        return result
    }
}
