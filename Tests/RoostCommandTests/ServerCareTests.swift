import Glibc
import RoostCommand
import RoostModel
import RoostScheduler
import RoostStore
import Testing

/// `roost server backup`, `restore` and `check`, the programs themselves.
@Suite struct ServerCareTests {
    @Test func aPoolIsCheckedBackedUpAndRestored() async throws {
        let place = try TemporaryDirectory()
        let (data, other, file) = ("\(place.path)/data", "\(place.path)/other", "\(place.path)/backup")
        let (store, _) = try PoolDatabase.open(directory: data, pool: 1)
        let job = JobSpec(id: JobID(rawValue: 5), runtime: .command, common: [UInt8](repeating: 7, count: 300_000))
        let error = await withCheckedContinuation { continuation in
            store.commit([
                .opened(job, number: 1, user: "ann"), .appended(job.id, first: 0, PayloadArray([bytes("one")])),
            ]) { continuation.resume(returning: $0) }
        }
        #expect(error == nil)

        // While the store is open, as a server has it.
        let check = try run("check --data \(data)", in: place)
        #expect(check.status == 0)
        #expect(check.text.hasPrefix("all is well: 1 durable jobs, 3 rows, 1 payload files"))
        #expect(try run("backup \(file) --data \(data)", in: place).status == 0)
        store.close()
        let again = try run("backup \(file) --data \(data)", in: place)
        #expect(again.status == 255 && again.text.contains("is there already"))

        #expect(try run("restore \(file) --data \(other)", in: place).status == 0)
        let (copy, pool) = try PoolDatabase.open(directory: other, pool: 1)
        #expect(pool.jobs.map(\.spec) == [job] && pool.jobs[0].chunks.map(\.payloads) == [PayloadArray([bytes("one")])])
        copy.close()

        // Damage is named, in words and for programs, with a status of its own.
        try #require(try shell("for f in \(other)/payloads/*/*; do printf x | dd of=$f bs=1 seek=99 conv=notrunc 2>/dev/null; done") == 0)
        let damaged = try run("check --data \(other)", in: place)
        #expect(damaged.status == 1 && damaged.text.contains("job 1 (0000000000000005) is damaged"))
        let json = try run("check --data \(other) --output json", in: place)
        #expect(json.status == 1 && json.text.hasPrefix("{\"jobs\":1,") && json.text.contains("\"code\":\"damaged\""))

        let nothing = try run("check --data \(place.path)/nowhere", in: place)
        #expect(nothing.status == 255 && nothing.text.contains("there is no database in"))
    }

    private func run(_ line: String, in place: TemporaryDirectory) throws -> (status: Int32, text: String) {
        let status = try shell("\(ShellQuoting.word(Programs.roost)) server \(line) >\(place.path)/.out 2>&1")
        return (status, text(place.read(".out") ?? []))
    }

    private func shell(_ line: String) throws -> Int32 {
        let status = system(line)
        return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
    }
}
