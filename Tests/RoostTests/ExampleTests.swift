import Glibc
import Roost
import RoostEmbedded
import Testing

@Suite("The examples", .timeLimit(.minutes(1)))
struct ExampleTests {
    /// Beside the tests, in the directory of the build.
    private var directory: String {
        get throws {
            var path = [CChar](repeating: 0, count: Int(PATH_MAX))
            let count = readlink("/proc/self/exe", &path, path.count)
            try #require(count > 0)
            let bytes = path[..<count].map { UInt8(bitPattern: $0) }
            let directory = bytes.prefix(upTo: bytes.lastIndex(of: UInt8(ascii: "/")) ?? 0)
            return String(decoding: directory, as: UTF8.self)
        }
    }

    @Test("primes: what the README shows is compiled, runs, and is right")
    func primes() async throws {
        let program = try "\(directory)/example-primes"
        try await withPool(slots: 1) { pool in
            let job = try await pool.submit(commands: [.program(program, ["20000"])])
            let outcome = try #require(try await job.collect().first)
            #expect(outcome.isSuccess, "\(outcome.errorOutput)")
            #expect(outcome.output == "2262 primes up to 20000, found by 20 tasks\n")
        }
    }
}
