import Glibc
import NIOCore
import RoostModel
import RoostNode
import Synchronization
import Testing

/// The reactor's thread as an event loop.
@Suite(.timeLimit(.minutes(1)))
struct ProcessEventLoopTests {
    @Test("What is handed over before the thread runs is done once it does, on it and in order")
    func earlyWork() async throws {
        let loop = try ProcessEventLoop()
        let seen = Mutex<[Int]>([])
        let last = loop.makePromise(of: Bool.self)
        for number in 0..<100 { loop.execute { seen.withLock { $0.append(number) } } }
        loop.execute { last.succeed(loop.inEventLoop) }
        let reactor = try ProcessReactor(guardLine: nil, eventLoop: loop) { _ in }
        #expect(try await last.futureResult.get())
        #expect(seen.withLock { $0 } == Array(0..<100))
        #expect(!loop.inEventLoop)
        withExtendedLifetime(reactor) {}
        try await loop.shutdownGracefully()
    }

    @Test("An end is told on the loop's thread, and what it decides to start is started in the same turn")
    func chain() async throws {
        let loop = try ProcessEventLoop()
        let chain = Chain(loop: loop, length: 20)
        let reactor = try ProcessReactor(guardLine: nil, eventLoop: loop) { chain.heard($0) }
        chain.begin(reactor)
        for await _ in chain.ended {}
        #expect(chain.wasAlwaysOnLoop)
        try await loop.shutdownGracefully()
    }

    @Test("A watched descriptor tells of bytes and, when asked, of room; it is closed with its watch")
    func watch() async throws {
        let loop = try ProcessEventLoop()
        let reactor = try ProcessReactor(guardLine: nil, eventLoop: loop) { _ in }
        var ends: [Int32] = [-1, -1]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0)
        defer { close(ends[1]) }
        let ours = ends[0]
        let (told, tell) = AsyncStream<DescriptorWatch.Readiness>.makeStream()
        let watch = loop.watch(ours) { readiness in
            var byte: UInt8 = 0
            if readiness.canRead { recv(ours, &byte, 1, Int32(MSG_DONTWAIT)) }
            tell.yield(readiness)
        }
        var next = told.makeAsyncIterator()
        send(ends[1], [7], 1, 0)
        let read = await next.next()
        #expect(read?.canRead == true && read?.canWrite == false)
        watch.wait(forRoom: true)
        let written = await next.next()
        #expect(written?.canRead == false && written?.canWrite == true)
        watch.close()
        var byte: UInt8 = 0
        #expect(recv(ends[1], &byte, 1, 0) == 0, "the other end hears that it is closed")
        withExtendedLifetime(reactor) {}
        try await loop.shutdownGracefully()
    }

    @Test("Timers: the earliest first, none early, none that was cancelled")
    func timers() async throws {
        let loop = try ProcessEventLoop()
        let reactor = try ProcessReactor(guardLine: nil, eventLoop: loop) { _ in }
        let seen = Mutex<[Int]>([])
        let start = NIODeadline.now()
        let late = loop.scheduleTask(in: .milliseconds(30)) { seen.withLock { $0.append(30) } }
        let cancelled = loop.scheduleTask(in: .milliseconds(20)) { seen.withLock { $0.append(20) } }
        let early = loop.scheduleTask(in: .milliseconds(10)) { seen.withLock { $0.append(10) } }
        cancelled.cancel()
        try await early.futureResult.get()
        try await late.futureResult.get()
        #expect(NIODeadline.now() - start >= .milliseconds(30))
        #expect(seen.withLock { $0 } == [10, 30])
        await #expect(throws: EventLoopError.self) { try await cancelled.futureResult.get() }
        withExtendedLifetime(reactor) {}
        try await loop.shutdownGracefully()
    }

    @Test("Shutting the loop down kills what runs, fails what was to be done later, and drops what comes after")
    func end() async throws {
        let loop = try ProcessEventLoop()
        let (ends, told) = AsyncStream<ProcessEvent>.makeStream()
        let reactor = try ProcessReactor(guardLine: nil, eventLoop: loop) { for event in $0 { told.yield(event) } }
        reactor.start(token: 1, .command("sleep", "600"))
        var events = ends.makeAsyncIterator()
        guard case .started(1, let pid) = await events.next() else { return #expect(Bool(false), "it did not start") }
        let (failures, failed) = AsyncStream<any Error>.makeStream()
        loop.scheduleTask(in: .hours(1)) {}.futureResult.whenFailure { failed.yield($0) }
        try await loop.shutdownGracefully()
        guard case .ended(1, let end) = await events.next() else { return #expect(Bool(false), "it did not end") }
        #expect(end.exit == .signalled(SIGKILL, coreDumped: false))
        #expect(kill(pid, 0) == -1 && errno == ESRCH)
        var failure = failures.makeAsyncIterator()
        #expect(await failure.next() as? EventLoopError == .shutdown)
        loop.execute { Issue.record("the loop has ended") }
        try await loop.shutdownGracefully()
    }

    @Test("A reactor that is shut down leaves its loop going")
    func reactorEndsFirst() async throws {
        let loop = try ProcessEventLoop()
        let reactor = try ProcessReactor(guardLine: nil, eventLoop: loop) { _ in }
        reactor.start(token: 1, .command("sleep", "600"))
        reactor.shutDown()
        #expect(try await loop.submit { 42 }.get() == 42)
        try await loop.scheduleTask(in: .milliseconds(1)) {}.futureResult.get()
        try await loop.shutdownGracefully()
    }

    @Test("A loop that was never taken to a thread ends at once")
    func neverRan() async throws {
        try await ProcessEventLoop().shutdownGracefully()
    }
}

/// Starts a program after the other, each when the one before has ended.
private final class Chain: Sendable {
    let ended: AsyncStream<Void>
    private let finish: AsyncStream<Void>.Continuation
    private let loop: ProcessEventLoop
    private let length: UInt64
    private let state = Mutex<(reactor: ProcessReactor?, wasAlwaysOnLoop: Bool)>((nil, true))

    init(loop: ProcessEventLoop, length: UInt64) {
        self.loop = loop
        self.length = length
        (ended, finish) = AsyncStream<Void>.makeStream()
    }

    var wasAlwaysOnLoop: Bool { state.withLock { $0.wasAlwaysOnLoop } }

    func begin(_ reactor: ProcessReactor) {
        state.withLock { $0.reactor = reactor }
        reactor.start(token: 1, .command("true"))
    }

    func heard(_ events: [ProcessEvent]) {
        if !loop.inEventLoop { state.withLock { $0.wasAlwaysOnLoop = false } }
        for case .ended(let token, _) in events {
            if token == length { finish.finish() }
            if token < length { state.withLock { $0.reactor }?.start(token: token + 1, .command("true")) }
        }
    }
}
