import Glibc
import RoostModel
import RoostScheduler
import RoostStore
import Testing

/// A disk that is full, or cannot be written: said loudly, and nothing acknowledged that is not there.
@Suite(.serialized) struct DiskTests {
    /// Writes until it fails. The groups that were acknowledged, and the failure.
    private static func fill(_ store: PoolDatabase, bytes: Int) async -> (count: Int, failure: RoostError?) {
        let job = JobID(rawValue: 1)
        var error = await store.write([.opened(Sample.spec(1), number: 1, user: "ann")])
        var count = 0
        while error == nil && count < 10_000 {
            error = await store.write([
                .task(job, .outcomes(sequence: UInt64(count), Sample.outcomes(1, first: 0, count: 1, bytes: bytes)))
            ])
            if error == nil { count += 1 }
        }
        let later = await store.write([.changed(job, JobStanding())])
        return (count, later == error ? error : RoostError(.internal, "it went on after a failure"))
    }

    private static func expectAll(_ directory: String, _ count: Int) throws {
        let (store, pool) = try PoolDatabase.open(directory: directory, pool: 7)
        #expect(pool.jobs[0].facts.count == count && store.damage.isEmpty)
        for sequence in 0..<count {
            #expect(try store.payloads(of: JobID(rawValue: 1), at: .outcomes(sequence: UInt64(sequence))).count == 1)
        }
        store.close()
    }

    /// Files may not grow beyond a limit: rows fail at one size of payload, files at the other.
    @Test(arguments: [5000, 700_000]) func filesThatMayNotGrow(bytes: Int) async throws {
        let directory = TemporaryDirectory()
        let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
            [path = directory.path as String, bytes] in
            signal(SIGXFSZ, SIG_IGN)
            let (store, _) = try PoolDatabase.open(directory: path, pool: 7)
            var limit = rlimit(rlim_cur: 600_000, rlim_max: 600_000)
            #expect(setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
            let (count, failure) = await Self.fill(store, bytes: bytes)
            #expect(failure?.code == .io)
            #expect(failure?.message.contains(path) ?? false)
            #expect(failure?.remedy.isEmpty == false)
            File.write(Array("\(count)".utf8), to: "\(path).count")
            exit(failure?.code == .io ? 0 : 1)
        }
        _ = result
        let count = try #require(Int(String(decoding: File.read("\(directory.path).count"), as: UTF8.self)))
        unlink("\(directory.path).count")
        #expect(bytes > 600_000 ? count == 0 : count > 10)
        try Self.expectAll(directory.path, count)
    }

    @Test func aFullDisk() async throws {
        let directory = TemporaryDirectory()
        guard Mount.mount(directory.path, options: "size=3m,mode=0700") else {
            return print("skipped: a small disk for a test cannot be mounted here (that needs root)")
        }
        defer { Mount.unmount(directory.path) }
        let (store, _) = try PoolDatabase.open(directory: directory.path, pool: 7)
        let (count, failure) = await Self.fill(store, bytes: 20_000)
        let error = try #require(failure)
        #expect(count > 10 && error.code == .io, "\(error)")
        #expect(error.message.contains("pool.sqlite") && error.remedy.contains("Make room"), "\(error)")
        store.close()
        // Without room it does not start, or it does with all there is.
        if let (again, pool) = try? PoolDatabase.open(directory: directory.path, pool: 7) {
            #expect(pool.jobs[0].facts.count == count)
            again.close()
        }
        #expect(Mount.mount(directory.path, options: "remount,size=30m"))
        try Self.expectAll(directory.path, count)
    }

    @Test func aDiskThatCannotBeWritten() async throws {
        let directory = TemporaryDirectory()
        guard Mount.mount(directory.path, options: "size=3m,mode=0700") else {
            return print("skipped: a small disk for a test cannot be mounted here (that needs root)")
        }
        defer { Mount.unmount(directory.path) }
        var (store, _) = try PoolDatabase.open(directory: directory.path, pool: 7)
        store.close()
        #expect(Mount.mount(directory.path, options: "remount,ro"))
        do throws(RoostError) {
            (store, _) = try PoolDatabase.open(directory: directory.path, pool: 7)
            Issue.record("it was opened")
        } catch {
            #expect(error.code == .io && error.message.contains(directory.path), "\(error)")
            #expect(error.remedy.contains("mounted for writing"), "\(error)")
        }
    }
}

/// Small disks in memory.
enum Mount {
    static func mount(_ directory: String, options: String) -> Bool {
        run(["mount", "-t", "tmpfs", "-o", options, "roost-test", directory])
    }

    static func unmount(_ directory: String) { _ = run(["umount", directory]) }

    private static func run(_ words: [String]) -> Bool {
        var arguments = words.map { strdup($0) }
        defer { for argument in arguments { free(argument) } }
        arguments.append(nil)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var process: pid_t = 0
        guard posix_spawnp(&process, words[0], &actions, nil, arguments, environ) == 0 else { return false }
        var status: CInt = 0
        return waitpid(process, &status, 0) == process && status == 0
    }
}
