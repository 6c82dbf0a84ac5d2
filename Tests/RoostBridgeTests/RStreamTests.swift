import Foundation
import RoostBridge
import RoostModel
import Testing

/// The streams of tasks are R's own.
struct RStreamTests {
    /// What R 4.2.2 gives after `RNGkind("L'Ecuyer-CMRG"); set.seed(42)`.
    private let start = RStreamSeed([-2_133_391_687, 507_561_766, 1_260_545_903, 1_362_917_092, -1_772_566_379, -1_344_458_670])!

    @Test("the streams of seed 42, as R gives them")
    func golden() {
        var seed = start
        seed.advance()
        #expect(seed.integers == [-94_575_036, -24_861_725, 357_812_871, 346_211_554, -1_301_022_835, 440_649_733])
        seed.advance()
        #expect(seed.integers == [-358_246_211, -1_411_857_254, -488_221_791, 1_069_515_918, -1_720_689_715, 1_070_199_760])
        #expect(
            start.advanced(by: 100_000).integers
                == [1_272_356_963, -676_918_442, -1_667_196_846, -1_809_097_930, 105_528_977, 1_059_161_212])
        #expect(start.advanced(by: 0) == start)
        #expect(start.isValid)
    }

    @Test("many steps are one jump")
    func jump() {
        var seed = start
        for _ in 0..<1000 { seed.advance() }
        #expect(seed == start.advanced(by: 1000))
    }

    @Test("a seed of zeros, or beyond the moduli, is none")
    func invalid() {
        #expect(RStreamSeed([0, 0, 0, 1, 1, 1])?.isValid == false)
        #expect(RStreamSeed([1, 1, 1, 1, 1, -1])?.isValid == false)
        #expect(RStreamSeed([1, 2, 3]) == nil)
    }

    @Test("parallel::nextRNGStream, asked")
    func askedOfR() async throws {
        let script = """
            RNGkind("L'Ecuyer-CMRG"); for (k in 1:20) { set.seed(k * 7919); s <- .Random.seed
            for (i in 1:50) { cat(s[2:7], "\\n"); s <- parallel::nextRNGStream(s) } }
            """
        let lines = try R.run(script).split(separator: "\n").map { $0.split(separator: " ").compactMap { Int32($0) } }
        try #require(lines.count == 1000)
        for first in stride(from: 0, to: 1000, by: 50) {
            var seed = try #require(RStreamSeed(lines[first]))
            for step in 0..<50 {
                #expect(seed.integers == lines[first + step])
                seed.advance()
            }
        }
    }
}

/// Real R. `make setup` installs it.
enum R {
    struct Failed: Error, CustomStringConvertible { var description: String }

    /// What the script prints.
    static func run(_ script: String, environment: [String: String] = [:]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["Rscript", "--vanilla", "-e", script]
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failed(description: "Rscript ended with status \(process.terminationStatus); is R installed? (make setup)")
        }
        return text
    }
}
