import Glibc
import Logging
import RoostModel
import RoostNode
import RoostTesting
import RoostWire
import Testing

/// Results on an agent's disk.
@Suite(.serialized) struct ResultStoreTests {
    /// A batch of everything that a batch can have.
    private static func batch(_ number: UInt64, bytes: Int) -> OutcomeBatch {
        var batch = OutcomeBatch(job: JobID(rawValue: 7), epoch: 4)
        let payload = (0..<bytes).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ Int(number)) }
        batch.append(task: 3, attempt: 2, code: .succeeded, payload: payload[...])
        batch.append(
            task: 9, attempt: 1, code: OutcomeCode(.failed, .failed), payload: [1, 2],
            postMortem: PostMortem(reason: "exit status 1", exitStatus: 1))
        batch.runNanoseconds = number
        return batch
    }

    /// Descriptors of files without a name in `directory`.
    private static func files(_ directory: TemporaryDirectory) -> [Int32] {
        (3..<1024).filter { descriptor in
            var target = [CChar](repeating: 0, count: 512)
            let count = max(0, readlink("/proc/self/fd/\(descriptor)", &target, target.count))
            let path = String(decoding: target.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            return path.hasPrefix(directory.path + "/")
        }
    }

    @Test func batchesComeBackAsTheyWere() throws {
        let directory = try TemporaryDirectory()
        let store = ResultStore(directory: directory.path)
        let sizes = [0, 1, 1000, 70_000, 3 << 20]
        for (number, bytes) in sizes.enumerated() { try store.add(UInt64(number), Self.batch(UInt64(number), bytes: bytes)) }
        for (number, bytes) in sizes.enumerated().reversed() {
            #expect(try store.batch(UInt64(number)) == Self.batch(UInt64(number), bytes: bytes))
        }
        #expect(store.contains(2))
        store.discard(2)
        #expect(!store.contains(2))
        #expect(throws: RoostError.self) { try store.batch(2) }
    }

    @Test func aFileGoesWithItsLastBatchAndLeavesNothing() throws {
        let directory = try TemporaryDirectory()
        do {
            let store = ResultStore(directory: directory.path, fileBytes: 5000)
            for number in 0..<9 as Range<UInt64> { try store.add(number, Self.batch(number, bytes: 2000)) }
            #expect(store.fileCount == 3 && Self.files(directory).count == 3)
            for number in [0, 1, 3, 4, 6] as [UInt64] { store.discard(number) }
            #expect(store.fileCount == 3 && store.bytes > 18_000)
            store.discard(2)
            #expect(store.fileCount == 2)
            for number in [7, 8, 5, 5] as [UInt64] { store.discard(number) }
            #expect(store.fileCount == 0 && store.bytes == 0 && Self.files(directory).isEmpty)
            try store.add(20, Self.batch(20, bytes: 10))
            #expect(store.fileCount == 1)
        }
        #expect(Self.files(directory).isEmpty)
        let names = Self.names(in: directory)
        #expect(names.isEmpty, "\(names)")
    }

    private static func names(in directory: TemporaryDirectory) -> [String] {
        guard let listing = opendir(directory.path) else { return ["?"] }
        defer { closedir(listing) }
        var names: [String] = []
        while let entry = readdir(listing) {
            names.append(withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        return names.filter { $0 != "." && $0 != ".." }
    }

    @Test func thereIsABoundAndADirectoryThatIsGoneIsSaid() throws {
        let directory = try TemporaryDirectory()
        let store = ResultStore(directory: directory.path, mostBytes: 5000)
        try store.add(1, Self.batch(1, bytes: 3000))
        #expect(throws: RoostError.self) { try store.add(2, Self.batch(2, bytes: 3000)) }
        store.discard(1)
        try store.add(2, Self.batch(2, bytes: 3000))
        let none = ResultStore(directory: directory.file("none"))
        let error = #expect(throws: RoostError.self) { try none.add(1, Self.batch(1, bytes: 10)) }
        #expect(error?.code == .io && error?.description.contains(directory.file("none")) == true)
    }

    @Test func aDiskIsNotFilled() throws {
        let directory = try TemporaryDirectory()
        guard Mount.mount(directory.path, options: "size=4m,mode=0700") else {
            return print("skipped: a small disk for a test cannot be mounted here (that needs root)")
        }
        defer { Mount.unmount(directory.path) }
        let store = ResultStore(directory: directory.path)
        var count: UInt64 = 0
        let error = #expect(throws: RoostError.self) {
            while count < 100 {
                try store.add(count, Self.batch(count, bytes: 100_000))
                count += 1
            }
        }
        #expect(error?.code == .limit && error?.message.contains("nearly full") == true)
        #expect((30...41).contains(count), "a twentieth is left: \(count)")
        // Without that care, the disk itself says no; what is there stays.
        let careless = ResultStore(directory: directory.path, reserve: 0)
        let full = #expect(throws: RoostError.self) {
            for number in 0..<10 as Range<UInt64> { try careless.add(number, Self.batch(number, bytes: 100_000)) }
        }
        #expect(full != nil)
        #expect(try store.batch(count - 1) == Self.batch(count - 1, bytes: 100_000))
        for number in 0..<count { store.discard(number) }
        try store.add(1, Self.batch(1, bytes: 1_000_000))
    }

    @Test func aDiskThatGivesBackSomethingElseIsFoundOut() throws {
        let directory = try TemporaryDirectory()
        let store = ResultStore(directory: directory.path)
        for number in 1...3 as ClosedRange<UInt64> { try store.add(number, Self.batch(number, bytes: 1000)) }
        let file = try #require(Self.files(directory).first)
        #expect(pwrite(file, [0xFF, 0xFE], 2, 500) == 2)
        #expect(throws: RoostError.self) { try store.batch(1) }
        #expect(try store.batch(2) == Self.batch(2, bytes: 1000))
        #expect(ftruncate(file, off_t(store.bytes - 10)) == 0)
        let error = #expect(throws: RoostError.self) { try store.batch(3) }
        #expect(error?.code == .io && error?.description.contains("too short") == true)
    }

    // MARK: Sending

    /// A link that takes as many writes as it has room for.
    private final class RecordedLink: Link {
        private(set) var sent: [UInt64] = []
        var room = 0
        var isWritable: Bool { room > 0 }
        let peer = "test"

        func send(_ message: NodeToServer) { if case .outcomes(let sequence, _) = message { sent.append(sequence) } }
        func flush() { room -= 1 }
        func close(_ reason: RoostError?) {}
    }

    private final class Told {
        var events: [NodeEvent] = []
        var sent: [UInt64] { events.compactMap { if case .storedSent(let sequence) = $0 { sequence } else { nil } } }
        var unreadable: [UInt64] {
            events.compactMap { if case .storedUnreadable(let sequence) = $0 { sequence } else { nil } }
        }
        var failed: [UInt64] {
            events.compactMap { if case .storingFailed(let sequence, _) = $0 { sequence } else { nil } }
        }
    }

    private static func results(_ store: ResultStore) -> (StoredResults, Told) {
        let told = Told()
        return (StoredResults(store: store, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) { told.events.append($0) }, told)
    }

    @Test func storedResultsLeaveAsFastAsTheLinkTakesThem() throws {
        let directory = try TemporaryDirectory()
        let store = ResultStore(directory: directory.path)
        let (results, told) = Self.results(store)
        let link = RecordedLink()
        link.room = 1
        for number in 1...5 as ClosedRange<UInt64> { results.store(number, Self.batch(number, bytes: 10), sendingOver: link) }
        #expect(link.sent == [1] && told.sent == [1])
        results.discard(3)
        #expect(!results.sendWaiting(over: link))
        link.room = 2
        #expect(!results.sendWaiting(over: link))
        #expect(link.sent == [1, 2, 4], "what is acknowledged is passed over")
        results.disconnected()
        link.room = 10
        #expect(!results.sendWaiting(over: link))
        #expect(link.sent.count == 3, "on a new connection the machine says what is to be sent")
        for number in [1, 2, 4, 5] as [UInt64] { results.send(number) }
        #expect(!results.sendWaiting(over: link))
        #expect(link.sent == [1, 2, 4, 1, 2, 4, 5] && told.sent == link.sent)
    }

    @Test func aTurnEndsBeforeEverythingIsRead() throws {
        let directory = try TemporaryDirectory()
        let (results, _) = Self.results(ResultStore(directory: directory.path))
        let link = RecordedLink()
        for number in 1...5 as ClosedRange<UInt64> { results.store(number, Self.batch(number, bytes: 3 << 20), sendingOver: link) }
        link.room = 10
        #expect(results.sendWaiting(over: link))
        #expect(link.sent == [1, 2])
        #expect(results.sendWaiting(over: link))
        #expect(!results.sendWaiting(over: link))
        #expect(link.sent == [1, 2, 3, 4, 5])
    }

    @Test func whatFailsIsTold() throws {
        let directory = try TemporaryDirectory()
        let (results, told) = Self.results(ResultStore(directory: directory.path, mostBytes: 5000))
        let link = RecordedLink()
        for number in 1...2 as ClosedRange<UInt64> { results.store(number, Self.batch(number, bytes: 3000), sendingOver: link) }
        #expect(told.failed == [2])
        let file = try #require(Self.files(directory).first)
        #expect(ftruncate(file, 100) == 0)
        link.room = 10
        #expect(!results.sendWaiting(over: link))
        #expect(link.sent.isEmpty && told.unreadable == [1])
        #expect(Self.files(directory).isEmpty)
    }
}

/// Small disks in memory.
private enum Mount {
    static func mount(_ directory: String, options: String) -> Bool {
        run(["mount", "-t", "tmpfs", "-o", options, "roost-test", directory])
    }

    static func unmount(_ directory: String) { _ = run(["umount", "-l", directory]) }

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
