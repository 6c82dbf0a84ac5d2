import Roost
import RoostEmbedded

/// Counts the primes up to a number with the programs every Linux machine has, a task for each thousand numbers.
///
///     swift run -c release example-primes 200000
@main
struct Primes {
    static func main() async throws {
        let limit = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 100_000
        let step = 1000

        // As many tasks at a time as this machine has CPUs. On a server instead:
        // let pool = try await Pool.connect("roost://head:7117", token: token)
        let pool = try await Pool.embedded()

        // `factor` prints a number and its prime factors; a prime is a line of two words.
        let job = try await pool.submit(
            commands: stride(from: 1, through: limit, by: step).map { first in
                .shell("seq \(first) \(min(first + step - 1, limit)) | factor | awk 'NF == 2' | wc -l")
            })

        var primes = 0
        for try await outcome in job.results {
            guard outcome.isSuccess, let found = Int(outcome.output.filter(\.isNumber)) else {
                print("task \(outcome.task): \(outcome.postMortem?.reason ?? "printed no number")")
                continue
            }
            primes += found
        }
        let end = try await job.wait()
        print("\(primes) primes up to \(limit), found by \(end.succeeded) tasks")
        await pool.close()
    }
}
